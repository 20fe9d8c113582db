"""Looks at the dependencies in threads of its own, so that asking for their health never waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import redis
import structlog

from app import config_files
from app.errors import ConfigError, DependencyUnavailable
from app.evidence import ingest
from app.operations import processes, provider_file
from app.operations.vitals import Vitals, free_mb, look, waiting
from app.services import Services
from app.store import database, health, outcomes, rounds

log = structlog.get_logger()

#: s between two looks
EVERY_S = 2.0
#: s without an answer after which a dependency counts as away: a frozen server answers nothing, not even no
SILENT_S = 5.0
#: s that the first question waits for the first look
FIRST_S = 2.0

#: s that stopping waits for each present look
STOP_S = 0.5

#: a key that readiness writes, and the s it is kept
WRITTEN, WRITTEN_S = "tooloo:written", 60

#: s that our clock may be off
CLOCK_S = 5.0

OK = "ok"


#: looks that are no state of a dependency: /healthz tells of the first, app.operations.attention of both
BENCHMARK, ROUNDS = "benchmark", "rounds"


@dataclass(frozen=True, slots=True)
class State:
    """`said`: OK, or what is wrong, and since when this process has seen it so."""

    said: str
    since: datetime | None


class Watch:
    """`checks`: by name, what gives `ok` or says what is wrong; it may hang. `vitals`: what they keep up to date."""

    def __init__(
        self,
        checks: Mapping[str, Callable[[], str]],
        vitals: Vitals | None = None,
        *,
        every_s: float = EVERY_S,
        silent_s: float = SILENT_S,
        first_s: float = FIRST_S,
    ) -> None:
        self.vitals = vitals or Vitals()
        self._watches = {name: _Watched(name, check, every_s, silent_s, first_s) for name, check in checks.items()}
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

    def troubles(self) -> dict[str, State]:
        """What is not OK."""
        states = {name: State(watched.state(), watched.since()) for name, watched in self._watches.items()}
        return {name: state for name, state in states.items() if state.said != OK}


class _Watched:
    def __init__(self, name: str, check: Callable[[], str], every_s: float, silent_s: float, first_s: float) -> None:
        self._name = name
        self._check = check
        self._every_s, self._silent_s, self._first_s = every_s, silent_s, first_s
        self._found = "not looked at yet"
        self._looked_at = time.monotonic()
        self._since: datetime | None = None
        self._first = threading.Event()
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            self._found, self._looked_at = self._look(), time.monotonic()
            self._tell()
            self._since = None if self._found == OK else self._since or datetime.now(UTC)
            self._first.set()
            self.stopping.wait(self._every_s)

    def _tell(self) -> None:
        """When it is well again, and how long it was not; that it is not is told by whoever misses it."""
        if self._found == OK and self._since is not None:
            log.info("well again", what=self._name, after_s=round((datetime.now(UTC) - self._since).total_seconds()))

    def _look(self) -> str:
        try:
            return self._check()
        except Exception as error:  # whatever it is: without this thread the last state would stand for ever
            log.exception("health check failed")
            return f"unknown: {error!r}"

    def state(self) -> str:
        self._first.wait(self._first_s)
        silent_s = time.monotonic() - self._looked_at
        return self._found if silent_s < self._every_s + self._silent_s else f"no answer for {silent_s:.0f} s"

    def since(self) -> datetime | None:
        """None: it was fine when it was last looked at."""
        return self._since


def checks(services: Services, vitals: Vitals) -> Mapping[str, Callable[[], str]]:
    """What a Watch looks at. Each says `ok` of what can do its work, not of what merely answers."""
    return {
        "postgres": lambda: _postgres(services),
        "redis": lambda: _redis(services),
        "ingest": lambda: _ingest(services, vitals),
        "config": lambda: _config(services),
        "clock": lambda: _clock(services),
        "files": partial(_files, services, provider_file.fingerprint(services.settings.config_dir)),
        "processes": lambda: processes.state(processes.read(services.settings.processes_file), time.time()),
        BENCHMARK: lambda: _benchmark(services, vitals),
        ROUNDS: lambda: _rounds(services, vitals),
    }


def _age_s(services: Services) -> float | None:
    """Since the last round ended that measured something, or the first was planned; raises DependencyUnavailable."""
    with database.transaction(services.sessions) as session:
        last = rounds.latest_result(session) or rounds.first_start(session)
        return None if last is None else (database.now(session) - last).total_seconds()


def _benchmark(services: Services, vitals: Vitals) -> str:
    """A fixed word, and after a colon what more there is to say."""
    try:
        age_s = vitals.benchmark_age_s = _age_s(services)
    except DependencyUnavailable as error:
        vitals.benchmark_age_s = None
        return f"unknown: {error}"
    if age_s is None:
        return "no round yet"
    policy = services.policy.rounds
    if age_s <= services.policy.health.benchmark_silent_intervals * policy.interval_s + policy.deadline_s:
        return OK
    return f"silent: no round with results for {age_s:.0f} s"


def _rounds(services: Services, vitals: Vitals) -> str:
    """Keeps what app.operations.attention reads."""
    vitals.queues = waiting(services)
    vitals.disk_free_mb = free_mb(services.settings.snapshot_file.parent)
    try:
        vitals.seen = look(services)
    except DependencyUnavailable as error:
        vitals.seen = None
        return f"unknown: {error}"
    return OK


def _postgres(services: Services) -> str:
    try:
        with database.transaction(services.sessions) as session:
            health.write(session)
    except DependencyUnavailable as error:
        return str(error)
    return OK


def _redis(services: Services) -> str:
    try:
        services.redis.set(WRITTEN, "1", ex=WRITTEN_S)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        return f"Redis is not reachable: {error}"
    except redis.RedisError as error:
        return f"Redis cannot be written: {error}"
    return OK


def _ingest(services: Services, vitals: Vitals) -> str:
    """Do outcomes still come in? The other checks say what is away."""
    try:
        with database.transaction(services.sessions) as session:
            row = outcomes.peek(session)
            after = outcomes.START if row is None else row.stream_id
        found = vitals.ingest = ingest.pulse(services.redis, after)
    except (DependencyUnavailable, redis.RedisError) as error:
        vitals.ingest = None
        return f"unknown: {error}"
    silent_s = services.policy.health.ingest_silent_s
    if found.oldest_s is not None and found.oldest_s > silent_s:
        return f"stands still: outcomes have waited for {found.oldest_s:.0f} s"
    if found.age_s is not None and found.age_s > silent_s:
        return f"stands still: it last ran {found.age_s:.0f} s ago (is there a worker for the control queue?)"
    return OK


def _files(services: Services, read: str | None) -> str:
    """`read`: as it was when this process began."""
    if provider_file.fingerprint(services.settings.config_dir) in (read, None):
        return OK
    try:
        config_files.load_providers(services.settings.config_dir)
    except ConfigError as error:
        return f"not taken over, the one before stays: {error}"
    return OK  # processes that read it as it is now are about to take over


def _clock(services: Services) -> str:
    """Against PostgreSQL's, by which all hosts reckon: budgets, ages of keys and signatures go wrong with ours."""
    try:
        with database.transaction(services.sessions) as session:
            asked = datetime.now(UTC)
            theirs = database.now(session)
            off_s = (asked + (datetime.now(UTC) - asked) / 2 - theirs).total_seconds()
    except DependencyUnavailable as error:
        return f"unknown: {error}"
    if abs(off_s) <= CLOCK_S:
        return OK
    return (
        f"{abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} PostgreSQL's: synchronise the clocks of both hosts"
    )


def _config(services: Services) -> str:
    if services.config.version >= 0:
        return OK
    return f"none found in Redis or PostgreSQL: serving {services.settings.snapshot_file.name}, or the defaults"
