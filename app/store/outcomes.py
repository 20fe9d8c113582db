"""Live outcomes, and what has been learned from them and from rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.models import Learned, LiveOutcome

START = "0-0"


def record(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows of the outcomes table; a row that is there already (a redelivery) is left alone."""
    if not rows:
        return 0
    inserted = session.scalars(
        insert(LiveOutcome).on_conflict_do_nothing().returning(LiveOutcome.attempt), [dict(row) for row in rows]
    )
    return len(inserted.all())


def learned(session: Session) -> Learned:
    """The one row, locked until the transaction ends: ingest and optimizer take turns."""
    query = select(Learned).where(Learned.id == 1).with_for_update()
    row = session.scalar(query)
    if row is None:
        session.execute(
            insert(Learned)
            .values(id=1, generation=0, scorecard={}, optimizer={}, stream_id=START)
            .on_conflict_do_nothing()
        )
        row = session.scalars(query).one()
    return row


def peek(session: Session) -> Learned | None:
    """The row as it is, without the lock."""
    return session.get(Learned, 1)
