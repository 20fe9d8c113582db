"""Live outcomes, and what has been learned from them and from rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from app.store.database import is_unstorable
from app.store.models import Learned, LiveOutcome

log = structlog.get_logger()

START = "0-0"


def record(session: Session, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Insert rows of the outcomes table; the rows that are in it then. One that is there already (a redelivery) is.

    A row that cannot be stored is reported and left out: it must not hold up all that come after it.
    """
    if not rows:
        return []
    try:
        _insert(session, rows)
    except (StatementError, ValueError) as error:
        if not is_unstorable(error):
            raise
        return [row for row in rows if _stored_alone(session, row)]
    return list(rows)


def _insert(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    with session.begin_nested():
        session.execute(insert(LiveOutcome).on_conflict_do_nothing(), [dict(row) for row in rows])


def _stored_alone(session: Session, row: Mapping[str, Any]) -> bool:
    try:
        _insert(session, [row])
    except (StatementError, ValueError) as error:
        if not is_unstorable(error):
            raise
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        log.error("outcome not storable, dropped", request_id=row.get("request_id"), reason=reason)
        return False
    return True


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
