"""The system of one test: real Postgres and Redis; providers and broker replaced at their seams."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kombu.exceptions import OperationalError

from app import bootstrap, settings
from app.broker import JUDGE, OPTIMIZE, PROBE, Messages
from app.domain.rounds.rounds import ProbeKey
from app.providers.base import Answer, ChatRequest, Delta, Endpoint, Finish, Timing, Usage
from app.services import Services

ROOT = Path(__file__).parents[2]

#: one provider's behaviour: an Answer, or a ProviderError to raise
Behaviour = Callable[[str, ChatRequest], Answer]


def answer(text: str = "forty-two", *, latency_ms: float = 100.0, cost_usd: float | None = 0.001) -> Answer:
    return Answer(
        text=text,
        finish=Finish.STOP,
        usage=Usage(prompt=10, completion=20),
        timing=Timing(connect_ms=0.0, first_token_ms=latency_ms / 2, total_ms=latency_ms),
        model="fake-1",
        reported_cost_usd=cost_usd,
    )


class FakeStream:
    dropped: tuple[str, ...] = ()

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def __iter__(self) -> Iterator[Delta]:
        yield Delta(text=self.answer.text)

    def close(self) -> None:
        pass


@dataclass
class FakeClient:
    """Stands where the HTTP client stands; behaves per provider as it is told, and keeps what it was asked."""

    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    calls: list[tuple[str, ChatRequest]] = field(default_factory=list)

    def complete(self, endpoint: Endpoint, model: str, request: ChatRequest, **_: Any) -> Answer:
        name = endpoint.provider.name
        self.calls.append((name, request))
        behaviour = self.behaviours.get(name)
        return behaviour(model, request) if behaviour else answer()

    def stream(self, endpoint: Endpoint, model: str, request: ChatRequest, **_: Any) -> FakeStream:
        return FakeStream(self.complete(endpoint, model, request))

    def warm_up(self, endpoint: Endpoint) -> None:
        pass


@dataclass
class FakeCanary:
    """Stands where the canary stands: off by as much as it is told."""

    off_ms: float | None = 0.5

    def begin(self) -> Future[float | None]:
        done: Future[float | None] = Future()
        done.set_result(self.off_ms)
        return done


@dataclass
class FakeCelery:
    """Stands where Celery stands: keeps the messages, or refuses them as a lost broker does."""

    sent: list[tuple[str, list[str]]] = field(default_factory=list)
    away: bool = False

    def send_task(self, name: str, args: list[str], queue: str, **_: Any) -> None:
        if self.away:
            raise OperationalError("broker away")
        judge = name == JUDGE and queue.startswith("probe.")
        assert judge or queue in {"optimizer", "control", f"probe.{args[1]}" if len(args) > 1 else ""}
        self.sent.append((name, args))

    def take(self, name: str) -> list[list[str]]:
        """The messages of one task, in order; they are gone then."""
        taken = [args for each, args in self.sent if each == name]
        self.sent = [(each, args) for each, args in self.sent if each != name]
        return taken

    def take_probes(self) -> list[ProbeKey]:
        return [ProbeKey(*args) for args in self.take(PROBE)]

    def take_optimize(self) -> list[str]:
        return [args[0] for args in self.take(OPTIMIZE)]


@dataclass(frozen=True)
class System:
    services: Services
    client: FakeClient
    celery: FakeCelery
    canary: FakeCanary

    def close(self) -> None:
        self.services.engine.dispose()
        self.services.redis.close()


def build(database_url: str, redis_url: str, folder: Path, environment: Mapping[str, str] | None = None) -> System:
    """Services over this database and Redis, with the project's own config copied to `folder`."""
    config_dir = folder / "config"
    if not config_dir.exists():
        shutil.copytree(ROOT / "config", config_dir, ignore=shutil.ignore_patterns("runtime.json"))
    configured = settings.load(
        {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "TOOLOO_CONFIG_DIR": str(config_dir),
            "TOOLOO_DATA_DIR": str(folder / "data"),
            "TOOLOO_LAB_URL": "http://lab.invalid",
            **(environment or {}),
        },
        dotenv=None,
    )
    client, celery, canary = FakeClient(), FakeCelery(), FakeCanary()
    services = bootstrap.build(configured, threads=8)
    services = replace(services, client=client, canary=canary, messages=Messages(celery))  # type: ignore[arg-type]  # the seams
    return System(services, client, celery, canary)
