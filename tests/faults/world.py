"""A stack as `tooloo up` runs it, on servers of its own: whatever it talks to can be ended, frozen, and cut off."""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import redis as redis_py
import requests
from sqlalchemy import Connection, Engine, create_engine, make_url, select

from app.cli import servers as embedded
from app.cli.place import Place, place
from app.store import database
from app.store.models import LiveOutcome, Probe, Revision, Round
from tests.faults.oracle import RoundSeen
from tests.faults.relay import Relay
from tests.support import bodies, servers
from tests.support.lab import RunningLab, running_lab
from tests.support.stack import Stack, stack
from tests.support.waiting import wait_until

PROVIDERS = ("deepseek", "gemini", "anthropic", "openai")
#: in every chat of a test, so that the lab's other calls are known to be probes
CHAT = "Ping number"
#: what takes minutes in production takes seconds: leases, the reaper's turns, and calls that hang
FAST = {"interval_s": 3600, "reap_every_s": 5, "lease_margin_s": 2}
#: s for all processes to start beside the servers of other tests
READY_S = 300
TROUBLE = re.compile(r"^(\S+) +│ .*\[(?:warning|error|critical)\]")
DROPPED = re.compile(r"^tooloo_outcomes_(?:dropped|lost)_total (\S+)", re.MULTILINE)


@dataclass
class Server:
    """PostgreSQL or Redis, behind a line that can be held."""

    command: Sequence[str]
    log: Path
    stop_signal: signal.Signals
    where: Place
    problem: Callable[[], str | None]
    relay: Relay
    _process: subprocess.Popen[bytes] | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        self._process = self._stack.enter_context(servers.running(self.command, self.log, self.stop_signal, self.where))
        wait_until(lambda: self.problem() is None, 60, what="the server answers")

    def stop(self) -> None:
        self._stack.close()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(20)
        self._stack.close()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, sig: signal.Signals) -> None:
        assert self._process is not None
        whole = psutil.Process(self._process.pid)
        for each in (whole, *whole.children(recursive=True)):
            each.send_signal(sig)


@dataclass
class World:
    postgres: Server
    redis: Server
    lab: RunningLab
    #: between the stack and its providers
    to_lab: Relay
    engine: Engine
    cache: redis_py.Redis
    stack: Stack
    #: bodies of probes that the lab got
    probes: Counter[str]

    @property
    def url(self) -> str:
        return self.stack.url

    def slow(self, latency_ms: float) -> None:
        for name in PROVIDERS:
            self.lab.set(name, latency=latency_ms)

    def start_round(self) -> str:
        return str(self.stack.post("/api/v1/system/benchmarks", {"beside": True})["roundId"])

    def done(self, round_id: str) -> int:
        """Probes that are final, as the database has them."""
        with self.engine.connect() as connection:
            query = select(Probe.status).where(Probe.round_id == round_id)
            return sum(status in ("ok", "error", "timeout") for status in connection.scalars(query))

    def rounds(self, ids: Sequence[str]) -> list[RoundSeen]:
        return rounds_seen(self.engine, ids)

    def ended(self, round_id: str) -> bool:
        return self.rounds([round_id])[0].after_deadline_s is not None

    def stored(self, request_ids: Sequence[str]) -> set[str]:
        """Of these requests, those with an outcome in the database."""
        with self.engine.connect() as connection:
            query = select(LiveOutcome.request_id).where(LiveOutcome.request_id.in_(request_ids))
            return set(connection.scalars(query))

    def served_version(self) -> int:
        return int(self.stack.get("/api/v1/system/runtime-config")["version"])

    def counted_lost(self) -> int:
        text = requests.get(f"{self.url}/metrics", timeout=10).text
        return int(sum(float(number) for number in DROPPED.findall(text)))

    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{self.url}/readyz", timeout=10).json()["data"]
        return found

    def is_well(self) -> bool:
        """Everything answers and every process is up; the stories of a file follow each other."""
        try:
            return self.ready()["status"] == "ok"
        except (requests.RequestException, KeyError, ValueError):
            return False

    def is_quiet(self) -> bool:
        """No round is under way."""
        with self.engine.connect() as connection:
            return not any(status in ("running", "optimizing") for status in connection.scalars(select(Round.status)))

    def trouble(self, since: int) -> tuple[dict[str, int], int]:
        """Lines of warnings and errors by process, and tracebacks, from this place of the log on."""
        text = self.stack.printed()[since:]
        lines = Counter(match[1] for line in text.splitlines() if (match := TROUBLE.match(line)))
        return dict(lines), text.count("Traceback (most recent call last)")


def rounds_seen(engine: Engine, ids: Sequence[str]) -> list[RoundSeen]:
    """As the database has them."""
    with engine.connect() as connection:
        return [_round_seen(connection, each) for each in ids]


def _round_seen(connection: Connection, round_id: str) -> RoundSeen:
    row = connection.execute(select(Round.__table__).where(Round.id == round_id)).one()
    probes = connection.execute(
        select(Probe.provider, Probe.model, Probe.prompt_id, Probe.status).where(Probe.round_id == round_id)
    )
    versions = connection.scalars(select(Revision.version).where(Revision.round_id == round_id))
    late = None if row.finished_at is None else (row.finished_at - row.deadline_at).total_seconds()
    keys = {(each.provider, each.model, each.prompt_id): each.status for each in probes}
    return RoundSeen(round_id, row.status, row.expected_n, keys, late, tuple(versions))


@contextmanager
def world(folder: Path, *, policy: Mapping[str, object] | None = None, **environment: str) -> Iterator[World]:
    probes: Counter[str] = Counter()

    def witness(path: str, headers: Mapping[str, str], body: bytes) -> None:
        bodies.note(path, headers, body)
        if CHAT.encode() not in body:
            probes[path] += 1

    with ExitStack() as stays:
        data = stays.enter_context(servers.folder())
        lab = stays.enter_context(running_lab(witness=witness))
        postgres = stays.enter_context(_postgres(data))
        redis = stays.enter_context(_redis(data))
        to_lab = stays.enter_context(Relay(int(lab.url.rsplit(":", 1)[1])))
        engine = create_engine(embedded.postgres_url(place(data)), pool_pre_ping=True)
        stays.callback(engine.dispose)
        cache = stays.enter_context(redis_py.Redis.from_url(embedded.redis_url(place(data))))
        lines = {
            "DATABASE_URL": _through(embedded.postgres_url(place(data)), postgres.relay),
            "REDIS_URL": f"redis://127.0.0.1:{redis.relay.port}/0",
            "TOOLOO_LAB_URL": f"http://127.0.0.1:{to_lab.port}",
        }
        running = stays.enter_context(
            stack(
                folder, policy={**FAST, **(policy or {})}, ready_s=READY_S, recorded=False, **{**lines, **environment}
            )
        )
        made = World(postgres, redis, lab, to_lab, engine, cache, running, probes)
        wait_until(made.is_well, 60, "all is well")
        wait_until(made.is_quiet, 120, "the first round is over")
        yield made


def _through(url: str, relay: Relay) -> str:
    """The same database by the relay's port."""
    return make_url(url).set(host="127.0.0.1", port=relay.port, query={}).render_as_string(hide_password=False)


@contextmanager
def _postgres(data: Path) -> Iterator[Server]:
    where = place(data)
    embedded.prepare_postgres(where, durable=False)
    url = embedded.postgres_url(where)
    command = embedded.postgres_command(where, durable=False)
    with Relay(where.sockets / ".s.PGSQL.5432") as relay:
        server = Server(command, data / "postgres.log", signal.SIGINT, where, lambda: database.problem(url), relay)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def _redis(data: Path) -> Iterator[Server]:
    where = place(data)
    embedded.prepare_redis(where)
    url = embedded.redis_url(where)
    with Relay(where.sockets / "redis.sock") as relay:
        server = Server(
            embedded.redis_command(where),
            data / "redis.log",
            signal.SIGTERM,
            where,
            lambda: embedded.redis_problem(url),
            relay,
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()
