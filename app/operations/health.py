"""Looks at the dependencies in threads of its own, so that asking for their health never waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import redis

from app.errors import DependencyUnavailable
from app.services import Services
from app.store import database, rounds

#: s between two looks
EVERY_S = 2.0
#: s without an answer after which a dependency counts as away: a frozen server answers nothing, not even no
SILENT_S = 5.0
#: s that the first question waits for the first look
FIRST_S = 2.0

#: s that stopping waits for each present look
STOP_S = 0.5

#: a benchmark that has been silent for this many intervals is not alive, whatever its processes say
SILENT_INTERVALS = 1.25

OK = "ok"


class Watch:
    """`checks`: by name, what gives `ok` or says what is wrong; it may hang."""

    def __init__(
        self,
        checks: Mapping[str, Callable[[], str]],
        *,
        every_s: float = EVERY_S,
        silent_s: float = SILENT_S,
        first_s: float = FIRST_S,
    ) -> None:
        self._watches = {name: _Watched(check, every_s, silent_s, first_s) for name, check in checks.items()}
        self._threads = [
            threading.Thread(target=watched.run, name=f"watch-{name}", daemon=True)
            for name, watched in self._watches.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """The threads end after their present look, before what they look at is closed; one that hangs is left."""
        for watched in self._watches.values():
            watched.stopping.set()
        for thread in self._threads:
            thread.join(timeout=STOP_S)

    def states(self) -> dict[str, str]:
        return {name: watched.state() for name, watched in self._watches.items()}


class _Watched:
    def __init__(self, check: Callable[[], str], every_s: float, silent_s: float, first_s: float) -> None:
        self._check = check
        self._every_s, self._silent_s, self._first_s = every_s, silent_s, first_s
        self._found = "not looked at yet"
        self._looked_at = time.monotonic()
        self._first = threading.Event()
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            self._found, self._looked_at = self._check(), time.monotonic()
            self._first.set()
            self.stopping.wait(self._every_s)

    def state(self) -> str:
        self._first.wait(self._first_s)
        silent_s = time.monotonic() - self._looked_at
        return self._found if silent_s < self._every_s + self._silent_s else f"no answer for {silent_s:.0f} s"


def checks(services: Services) -> Mapping[str, Callable[[], str]]:
    """What a Watch looks at."""
    return {
        "postgres": lambda: _postgres(services),
        "redis": lambda: _redis(services),
        "benchmark": lambda: _benchmark(services),
    }


def _benchmark(services: Services) -> str:
    try:
        with database.transaction(services.sessions) as session:
            last, now = rounds.latest_start(session), database.now(session)
    except DependencyUnavailable:
        return "unknown"
    if last is None:
        return "no round yet"
    silent_s = (now - last).total_seconds()
    return OK if silent_s <= SILENT_INTERVALS * services.policy.rounds.interval_s else f"silent for {silent_s:.0f} s"


def _postgres(services: Services) -> str:
    try:
        with database.transaction(services.sessions) as session:
            database.now(session)
    except DependencyUnavailable as error:
        return str(error)
    return OK


def _redis(services: Services) -> str:
    try:
        services.redis.ping()
    except redis.RedisError as error:
        return f"Redis is not reachable: {error}"
    return OK
