"""What happened when, for a time axis: revisions, rounds, and what rounds found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from app.store.models import Revision, Round, RoundStatus


def revisions(session: Session, since: datetime, until: datetime, limit: int) -> list[Row[Any]]:
    """The newest: version, author, reason, created_at, round_id."""
    columns = (Revision.version, Revision.author, Revision.reason, Revision.created_at, Revision.round_id)
    query = select(*columns).where(Revision.created_at >= since, Revision.created_at < until)
    return list(session.execute(query.order_by(Revision.created_at.desc()).limit(limit)))


def rounds(session: Session, since: datetime, until: datetime, limit: int) -> list[Row[Any]]:
    """The newest that are over: id, planned_at, status, trigger, degraded."""
    columns = (Round.id, Round.planned_at, Round.status, Round.trigger, Round.degraded)
    over = (RoundStatus.DONE, RoundStatus.PARTIAL, RoundStatus.FAILED, RoundStatus.SKIPPED)
    query = select(*columns).where(Round.planned_at >= since, Round.planned_at < until, Round.status.in_(over))
    return list(session.execute(query.order_by(Round.planned_at.desc()).limit(limit)))


def findings(session: Session, since: datetime, until: datetime, kinds: Sequence[str], limit: int) -> list[Row[Any]]:
    """The newest insights of these kinds: at, round_id, kind, text."""
    each = func.jsonb_array_elements(Round.insights).table_valued("value", name="insight")
    kind, said = each.c.value.op("->>")("kind"), each.c.value.op("->>")("text")
    query = (
        select(Round.planned_at.label("at"), Round.id.label("round_id"), kind.label("kind"), said.label("text"))
        .select_from(Round)
        .join(each, onclause=kind.in_(kinds))
        .where(Round.planned_at >= since, Round.planned_at < until)
    )
    return list(session.execute(query.order_by(Round.planned_at.desc()).limit(limit)))
