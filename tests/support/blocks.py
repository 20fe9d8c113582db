"""The API in front of servers of a test's own, by blocks of its own, with or without Postgres and Redis."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import requests
from werkzeug.serving import make_server

from app import bootstrap
from app.api import create_app
from app.bootstrap import Running
from app.providers.client import Client, Pool
from tests.providers.server import Answer, Server
from tests.support.system import ROOT, build

NAMES = ("one", "two", "three")


@dataclass(frozen=True)
class Stack:
    url: str
    servers: Mapping[str, Server]
    running: Running

    def post(self, path: str, headers: dict[str, str] | None = None, **body: Any) -> requests.Response:
        return requests.post(f"{self.url}{path}", json=body, headers=headers, timeout=30)

    def calls(self) -> dict[str, int]:
        return {name: len(server.received) for name, server in self.servers.items()}

    def begin_anew(self, answer: Answer) -> None:
        """Every server answers so, has received nothing, and no breaker is open."""
        for server in self.servers.values():
            server.answer = answer
            server.received.clear()
        breakers = self.running.gateway.breakers
        breakers.value, breakers.generation = {}, breakers.generation + 1


@contextmanager
def stack_of(
    folder: Path, blocks: str, variables: Mapping[str, str] | None = None, urls: tuple[str, str] | None = None
) -> Iterator[Stack]:
    """`blocks` name the servers' URLs as {one}, {two}, {three}. `urls`: of Postgres and Redis, where there are any."""
    shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns("runtime.json"))
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(lambda _: ())) for name in NAMES}
        text = blocks.format(**{name: server.url for name, server in servers.items()})
        (folder / "config" / "providers.toml").write_text(text)
        database_url, redis_url = urls or (
            f"postgresql+psycopg2://postgres@/no?host={folder}",
            f"unix://{folder}/no.sock",
        )
        system = build(database_url, redis_url, folder, variables)
        stack.callback(system.close)
        running = bootstrap.start(replace(system.services, client=Client(Pool(16))), seed=1)
        stack.callback(running.stop)
        server = make_server("127.0.0.1", 0, create_app(running), threaded=True)
        stack.callback(server.server_close)
        stack.enter_context(_serving(server))
        yield Stack(f"http://127.0.0.1:{server.port}", servers, running)


@contextmanager
def _serving(server: Any) -> Iterator[None]:
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield
    server.shutdown()
    thread.join(5)
