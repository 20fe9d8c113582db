"""Can a row be written?"""

from __future__ import annotations

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.store.models import HealthCheck


def write(session: Session) -> None:
    """Write a row, as everything else does; raises what a write raises."""
    session.execute(text("SET LOCAL lock_timeout = '2s'"))  # another process may hold it, and be frozen
    statement = insert(HealthCheck).values(id=1, written_at=func.now())
    session.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"written_at": func.now()}))
