"""The start of an API process, and its return to the servers: it never waits for them to serve."""

from __future__ import annotations

import threading
from pathlib import Path

import redis
import structlog

from app.access import keys
from app.errors import TooLooError
from app.live import live_config
from app.services import Services

log = structlog.get_logger()

#: s that a start waits for Redis and PostgreSQL; then it serves what it has
FIRST_TRY_S = 5.0
#: s between two tries to bring all copies up to date
NEXT_TRY_S = 1.0


class Recovery:
    """Brings config, scorecard and keys up to the newest copy: at once where the servers answer, else when they do."""

    def __init__(self, services: Services, file: Path) -> None:
        self._services = services
        self._file = file
        self._tried = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recovery", daemon=True)
        self._problem: str | None = "not tried yet"

    def start(self, patience_s: float = FIRST_TRY_S) -> bool:
        """True where all is up to date within `patience_s`; else it goes on by itself."""
        self._thread.start()
        self._tried.wait(patience_s)
        return self.joined

    @property
    def joined(self) -> bool:
        return self._problem is None

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=NEXT_TRY_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            before, self._problem = self._problem, self._recovered()
            self._tried.set()
            if self._problem is None:
                return
            if self._problem != before:
                log.warning("serving what is at hand until all is back", reason=self._problem)
            self._stopping.wait(NEXT_TRY_S)

    def _recovered(self) -> str | None:
        try:
            return self._recover()
        except Exception as error:  # whatever it is: a process without this thread would never join the servers
            log.exception("recovery failed")
            return f"recovery failed: {error!r}"

    def _recover(self) -> str | None:
        services, problems = self._services, []
        try:
            live_config.recover(services.sessions, services.redis, self._file, services.providers)
            keys.recover(services.sessions, services.redis)
        except TooLooError as error:
            problems.append(str(error))
        try:
            services.redis.ping()
        except redis.RedisError as error:
            problems.append(f"Redis is not reachable: {error}")
        if len(problems) < 2:  # one of them may have what this process needs
            for document in (services.config, services.scorecard, services.keys):
                document.refresh(services.redis)
        return "; ".join(problems) or None
