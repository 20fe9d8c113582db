"""A lab on a port of its own, in a thread, for tests that want providers they can steer."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from aiohttp import web

from app.config_files import load_prompts, load_providers
from app.domain.catalog import Provider
from app.lab.answering import AnswerFunction
from app.lab.playback import Playback
from app.lab.serve import make_runner
from app.lab.server import Witness, create_app
from tests.support import bodies

CONFIG = Path(__file__).resolve().parents[2] / "config"
#: s that an order to the lab may take: it shares a process, and its lock, with hundreds of callers
LIMIT_S = 60
#: answers at once, always, and as prescribed
INSTANT = {"latency": 0, "sigma": 0, "tokens_per_s": 1e9, "error_rate": 0, "fail_latency": 0, "prompt_token_ms": 0}
#: holds two-byte letters, quotes and a line break, so that a careless client stumbles
SENTENCE = 'Olá! The answer is "forty-two".\nIt took über-long to compute, as everyone knows.'


@dataclass(frozen=True)
class RunningLab:
    url: str
    #: providers whose figures were set by a test, until somebody resets them
    touched: set[str] = field(default_factory=set)

    def set(self, provider: str, **figures: Any) -> None:
        self.touched.add(provider)
        answer = requests.patch(f"{self.url}/lab/profiles/{provider}", json=figures, timeout=LIMIT_S)
        assert answer.status_code == 200, answer.text

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.url}{path}", timeout=LIMIT_S)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def advance(self, **to: Any) -> Any:
        answer = requests.post(f"{self.url}/lab/trace/advance", json=to, timeout=LIMIT_S)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def refused(self) -> list[Any]:
        """Requests that were wrong themselves."""
        return list(self.get("/lab/requests?last=0")["refused"])

    def last(self) -> Any:
        return self.get("/lab/requests?last=1")["recent"][0]


def sentence(prompt: str, quality: float, rng: random.Random, /, *, temperature: float | None) -> str:
    return SENTENCE


def quality_said(prompt: str, quality: float, rng: random.Random, /, *, temperature: float | None) -> str:
    """An answer that lets a test see what was asked for."""
    return f"{quality:g} {temperature}"


@contextmanager
def running_lab(
    answer: AnswerFunction = sentence,
    *,
    providers: Sequence[Provider] | None = None,
    playback: Playback | None = None,
    instant: bool = True,
    loopback: bool = True,
    witness: Witness = bodies.note,
) -> Iterator[RunningLab]:
    """The lab with the providers of config/ (or others), ready to answer; stopped and gone afterwards."""
    chosen = load_providers(CONFIG) if providers is None else providers
    app = create_app(
        chosen,
        load_prompts(CONFIG),
        answer,
        playback=playback,
        seed=1,
        loopback=loopback,
        witness=witness,
    )
    with _served(app) as url:
        lab = RunningLab(url)
        for provider in chosen if instant and playback is None else ():
            lab.set(provider.name, **INSTANT)
        yield lab


@contextmanager
def _served(app: web.Application) -> Iterator[str]:
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = []
    ready = threading.Event()

    async def serve() -> None:
        runner = make_runner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        stop = asyncio.Event()
        started.append((asyncio.get_running_loop(), stop, runner.addresses[0][1]))
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="lab")
    thread.start()
    assert ready.wait(10), "the lab did not start"
    loop, stop, port = started[0]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive(), "the lab did not stop"
