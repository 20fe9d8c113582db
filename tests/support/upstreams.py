"""Three providers of the test's own, `one` before `two` before `three`: real HTTP, each byte in the test's hands."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from app import bootstrap
from app.bootstrap import Running
from app.domain.catalog import Target
from app.gateway.calls import Reply
from app.gateway.gateway import ReplyStream
from app.live import live_config
from app.providers.client import Client, Pool
from tests.providers.server import Received, Server, chunked, whole
from tests.support.system import ROOT, System, build

MODELS = ["m", "n"]
NAMES = ("one", "two", "three")
#: s, for a thread of ours to do what it does at once
HANDS_OVER = 10.0
#: observations that say what a provider takes
KNOWN = 200
#: USD per million tokens of prompt and completion
INPUT_PRICE, OUTPUT_PRICE = 40.0, 80.0


def said(text: str) -> list[bytes]:
    """A plain answer: 10 tokens of prompt, 5 of answer."""
    document = {
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    }
    return whole(200, {"content-type": "application/json"}, json.dumps(document).encode())


def refused(status: int) -> list[bytes]:
    return whole(status, {"content-type": "application/json"}, b'{"error":{"message":"no"}}')


def piece(text: str) -> bytes:
    """Of a streamed answer."""
    return b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text.encode()


END = (b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n")


def streamed(*texts: str) -> Iterator[bytes]:
    return chunked([*map(piece, texts), *END])


@dataclass(frozen=True)
class Upstreams:
    system: System
    running: Running
    servers: Mapping[str, Server]

    def target(self, name: str) -> Target:
        return next(target for target in self.running.gateway.services.targets if target.provider == name)

    def calls(self) -> dict[str, int]:
        return {name: len(server.received) for name, server in self.servers.items()}

    def queues(self, name: str, *, told: bytes = b"", stream: bool = False) -> None:
        """From now on the provider says `told`, keeps the line alive for ten seconds, and hangs up."""
        server = self.servers[name]
        alive = b": wait\n\n" if stream else b"\n"
        server.answer = lambda _: chunked(
            (each for part in ([told], server.trickle(alive)) for each in part), end=False
        )

    def known(self, took_ms: float = 0.0, *, stream: bool = False, names: Iterable[str] = ("one",)) -> None:
        """What they took so far, always. 0: from now on every call of them is late, at once."""
        hedging = self.running.gateway.hedging
        assert hedging is not None
        for name in names:
            for _ in range(KNOWN):
                hedging.note(self.target(name), took_ms, stream=stream)

    def late(self, answer: Iterable[bytes] | None = None, *, stream: bool = False) -> None:
        """`one` keeps the next request waiting; `two` gives the `answer`, once `one` has been asked."""
        self.known(stream=stream)
        self.queues("one", stream=stream)
        queueing, asked = self.servers["one"].answer, threading.Event()

        def one(request: Received) -> Iterable[bytes]:
            asked.set()
            return queueing(request)

        def two(_: Received) -> Iterable[bytes]:
            asked.wait(HANDS_OVER)
            return said("two says") if answer is None else answer

        self.servers["one"].answer, self.servers["two"].answer = one, two

    def has_ended(self, name: str, outcome: str) -> bool:
        """Was a call of this provider counted with this outcome?"""
        text = self.running.gateway.metrics.render(lambda: iter(())).decode()
        return re.search(rf'tooloo_attempts_total{{[^}}]*outcome="{outcome}",provider="{name}"', text) is not None

    def hedges(self) -> dict[str, float]:
        """How second calls ended, as Prometheus is told."""
        text = self.running.gateway.metrics.render(lambda: iter(())).decode()
        return {end: float(n) for end, n in re.findall(r'tooloo_hedges_total\{outcome="(\w+)"\} (\S+)', text)}


def attempts(reply: Reply | ReplyStream) -> list[tuple[str, str]]:
    """Who was called, and how that ended."""
    return [(a.target.provider, a.error.code if a.error else "ok" if a.success else "gone") for a in reply.attempts]


@contextmanager
def upstreams(
    database_url: str,
    redis_url: str,
    folder: Path,
    *,
    models: int = 1,
    names: Mapping[str, str] = MappingProxyType({}),
    prefill: bool = False,
    **policy: float,
) -> Iterator[Upstreams]:
    """With a gateway in front; each has `models` models, or the one of `names`; `policy`: keys of [gateway]. Nothing is
    explored."""
    shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns("runtime.json"))
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(lambda _: said("yes"))) for name in NAMES}
        blocks = (
            f'[{name}]\nformat = "openai"\nbase_url = "{server.url}"\n'
            f"priority = {place}\nmodels = {json.dumps([names[name]] if name in names else MODELS[:models])}\n"
            f"prefill = {json.dumps(prefill)}\n"
            f"[{name}.prices]\nm = {{ input = {INPUT_PRICE}, output = {OUTPUT_PRICE} }}\n"
            for place, (name, server) in enumerate(servers.items(), 1)
        )
        (folder / "config" / "providers.toml").write_text("\n".join(blocks))
        system = build(database_url, redis_url, folder)
        stack.callback(system.close)
        services = replace(
            system.services,
            client=Client(Pool(16)),
            policy=replace(
                system.services.policy,
                gateway=replace(system.services.policy.gateway, **policy),  # type: ignore[arg-type]  # by name
            ),
        )
        system = replace(system, services=services)
        running = bootstrap.start(services, seed=1)
        stack.callback(running.stop)
        live_config.update(services.sessions, services.redis, {"explorationRate": 0}, author="anna", reason="a test")
        services.config.refresh(services.redis)
        yield Upstreams(system, running, servers)
