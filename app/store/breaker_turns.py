"""When breakers opened and closed, kept to be looked back at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from app.store.models import BreakerTurn
from app.store.storing import storable


def record(session: Session, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that are stored then. The caller stores none twice: they have no name of their own."""

    def store(some: Sequence[Mapping[str, Any]]) -> None:
        session.execute(insert(BreakerTurn), [dict(row) for row in some])

    return storable(session, rows, store, BreakerTurn.__tablename__)


def between(
    session: Session, since: datetime, until: datetime, limit: int, *, provider: str | None, model: str | None
) -> list[BreakerTurn]:
    """The newest."""
    query = select(BreakerTurn).where(BreakerTurn.at >= since, BreakerTurn.at < until)
    if provider is not None:
        query = query.where(BreakerTurn.provider == provider)
    if model is not None:
        query = query.where(BreakerTurn.model == model)
    return list(session.scalars(query.order_by(BreakerTurn.at.desc()).limit(limit)))


def forget(session: Session, older: timedelta, limit: int) -> int:
    old = (
        select(BreakerTurn.id)
        .where(BreakerTurn.at < func.now() - older)
        .order_by(BreakerTurn.at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return len(session.scalars(delete(BreakerTurn).where(BreakerTurn.id.in_(old)).returning(BreakerTurn.id)).all())
