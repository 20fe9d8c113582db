"""Rows stored together, where one of them must not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from app.store.database import is_unstorable

log = structlog.get_logger()

Row = TypeVar("Row")


def storable(session: Session, rows: Sequence[Row], store: Callable[[Sequence[Row]], None], table: str) -> list[Row]:
    """Store rows; those that are stored then. The others are reported and left out.

    Rows that fail together are tried by halves, so that one bad row among a thousand costs twenty statements. Whatever
    lies not in a row, such as a lost connection, is raised: then none of them is given up.
    """
    if not rows:
        return []
    try:
        with session.begin_nested():
            store(rows)
    except (StatementError, ValueError) as error:
        if not is_unstorable(error):
            raise
        if len(rows) > 1:
            middle = len(rows) // 2
            return [kept for half in (rows[:middle], rows[middle:]) for kept in storable(session, half, store, table)]
        reason = str(getattr(error, "orig", error)).strip().splitlines() or [repr(error)]
        log.error("row not storable, dropped", table=table, reason=reason[0])
        return []
    return list(rows)
