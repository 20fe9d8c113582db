"""Live outcomes, and what has been learned from them and from rounds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.store import rollups
from app.store.models import Learned, LiveOutcome
from app.store.storing import storable

START = "0-0"


def record(session: Session, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Insert rows of the outcomes table; the rows that are in it then. One that is there already (a redelivery) is.

    A row that cannot be stored is reported and left out: it must not hold up all that come after it.
    """

    def store(some: Sequence[Mapping[str, Any]]) -> None:
        session.execute(insert(LiveOutcome).on_conflict_do_nothing(), [dict(row) for row in some])

    stored = storable(session, rows, store, LiveOutcome.__tablename__)
    rollups.mark(session, (row["at"] for row in stored))
    return stored


def known(session: Session, keys: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
    """Of these outcomes, by request and attempt, those that are stored."""
    columns = LiveOutcome.request_id, LiveOutcome.attempt
    return {
        (row.request_id, row.attempt) for row in session.execute(select(*columns).where(tuple_(*columns).in_(keys)))
    }


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
