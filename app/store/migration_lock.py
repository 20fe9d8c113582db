"""One migration at a time, over all hosts, with a word while it waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

from app.errors import DependencyUnavailable

#: any number that nobody else uses
KEY = 730_150_001
#: s between two tries, and between two words of them
EVERY_S, WORD_S = 0.2, 30.0

_HOLDER = text("""
    SELECT a.pid, a.state, coalesce(host(a.client_addr), 'this host') AS address
    FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = :key
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")


@contextmanager
def held(engine: Engine, patience_s: float, tell: Callable[[str], None]) -> Iterator[None]:
    """Raises DependencyUnavailable after `patience_s`, with who holds it.

    The lock is a transaction's, on a connection of its own: a migration may commit in between, and a pooler between us
    and PostgreSQL would keep a session's lock when we are gone.
    """
    give_up_at, tell_at = time.monotonic() + patience_s, 0.0
    with engine.connect() as connection:
        while not _taken(connection):
            holder = _holder(connection)
            connection.rollback()
            if time.monotonic() > give_up_at:
                raise DependencyUnavailable(f"waited {patience_s:g} s for another migration: {holder}")
            if time.monotonic() > tell_at:
                tell(f"waiting for another migration: {holder}")
                tell_at = time.monotonic() + WORD_S
            time.sleep(EVERY_S)
        yield


def _taken(connection: Connection) -> bool:
    # it waits idly while the other connection migrates
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    return bool(connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": KEY}))


def _holder(connection: Connection) -> str:
    found = connection.execute(_HOLDER, {"key": KEY}).first()
    if found is None:
        return "its session has just ended"
    if found.state == "idle":
        return (
            f"session {found.pid} from {found.address} holds its lock and does nothing (an earlier release left"
            f" it there through a pooler); end it: SELECT pg_terminate_backend({found.pid})"
        )
    return f"session {found.pid} from {found.address} is at it"
