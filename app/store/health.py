"""Can a row be written, and is there room for more?"""

from __future__ import annotations

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.store.models import HealthCheck

#: kB that there must be room for: a table that grows takes a page or more at a time, and so do its indexes
ROOM_KB = 1024
#: rows that do not fit in `work_mem` go to a file on the disk of the database, gone with the statement. A table to fill
#: would have to be emptied again, and room once taken hides a disk that has become full
_TAKE_ROOM = text("SELECT count(*) FROM unnest(array_fill(repeat('x', 8192), ARRAY[CAST(:pages AS int)]))")


def write(session: Session) -> None:
    """Write a row, as everything else does, and as much as a growing table takes; raises what a write raises."""
    session.execute(text("SET LOCAL lock_timeout = '2s'"))  # another process may hold it, and be frozen
    session.execute(text("SET LOCAL work_mem = '64kB'"))
    session.execute(text("SET LOCAL temp_tablespaces = ''"))
    session.execute(_TAKE_ROOM, {"pages": ROOM_KB // 8})
    statement = insert(HealthCheck).values(id=1, written_at=func.now())
    session.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"written_at": func.now()}))
