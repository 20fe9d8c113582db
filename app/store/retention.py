"""Deletes what is old, a batch at a time: short locks, and a pace that autovacuum keeps up with."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.orm import Session

from app.store.models import KeptResponse, LiveOutcome, Round, RoundStatus

_CLOSED = (RoundStatus.DONE, RoundStatus.PARTIAL, RoundStatus.FAILED, RoundStatus.SKIPPED)


def delete_rounds(session: Session, older: timedelta, limit: int) -> int:
    """Closed rounds with their probes; revisions stay, and lose their reference."""
    old = (
        select(Round.id)
        .where(Round.planned_at < func.now() - older, Round.status.in_(_CLOSED))
        .order_by(Round.planned_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return len(session.scalars(delete(Round).where(Round.id.in_(old)).returning(Round.id)).all())


def delete_outcomes(session: Session, older: timedelta, limit: int) -> int:
    key = (LiveOutcome.request_id, LiveOutcome.attempt)
    old = (
        select(*key)
        .where(LiveOutcome.at < func.now() - older)
        .order_by(LiveOutcome.at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    gone = delete(LiveOutcome).where(tuple_(*key).in_(old)).returning(LiveOutcome.request_id)
    return len(session.scalars(gone).all())


def delete_responses(session: Session, older: timedelta, limit: int) -> int:
    old = (
        select(KeptResponse.id)
        .where(KeptResponse.at < func.now() - older)
        .order_by(KeptResponse.at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    gone = delete(KeptResponse).where(KeptResponse.id.in_(old)).returning(KeptResponse.id)
    return len(session.scalars(gone).all())
