"""What keys have spent, in Postgres: what is left of a budget must outlive a Redis that lost its data.

Written and read in a thread of its own; no request waits for it. Nothing is written that Redis was not told before, so
that Redis is behind only where it has lost something. What a process has not written when it is killed, some seconds'
worth, Redis alone has.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from datetime import timedelta

from app.access.allowance import Spent
from app.access.ledger import Days
from app.domain.key_limits import NANOS
from app.errors import DependencyUnavailable
from app.live import live_config
from app.store import database, key_spending
from app.store.database import Sessions

#: s between two looks: to write what was spent here, and to read what all have
EVERY_S = 3.0
#: days that are read: a month, and what zones differ by
READ_DAYS = 33


class Spending:
    """Of one process."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._lock = threading.Lock()
        #: by key and day
        self._unwritten: dict[tuple[str, str], Spent] = {}
        self._read: Mapping[str, Mapping[str, int]] = {}

    def add(self, key_id: str, day: str, spent: Spent) -> None:
        with self._lock:
            self._unwritten[key_id, day] = self._unwritten.get((key_id, day), Spent()) + spent

    def known(self, key_id: str, day: str, month: str) -> Days:
        """As it was last read."""
        days = self._read.get(key_id, {})
        return Days(day, month, days.get(day, 0), sum(nanos for each, nanos in days.items() if each.startswith(month)))

    def write(self) -> None:
        """Raises DependencyUnavailable, and then it is tried again with the next."""
        with self._lock:
            rows, self._unwritten = self._unwritten, {}
        if not rows:
            return
        try:
            with database.transaction(self._sessions) as session:
                for (key_id, day), spent in rows.items():
                    key_spending.add(session, key_id, day, spent.nanos / NANOS, spent.tokens, spent.requests)
        except DependencyUnavailable:
            for (key_id, day), spent in rows.items():
                self.add(key_id, day, spent)
            raise

    def read(self, key_ids: Collection[str]) -> None:
        """Of these keys; raises DependencyUnavailable."""
        if not key_ids:
            self._read = {}
            return
        since = (live_config.utc_now() - timedelta(days=READ_DAYS)).date()
        found: dict[str, dict[str, int]] = {}
        with database.transaction(self._sessions) as session:
            for key_id, day, usd in key_spending.since(session, since, key_ids):
                found.setdefault(key_id, {})[day] = round(usd * NANOS)
        self._read = found
