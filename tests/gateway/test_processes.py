"""S15 of the sixteen, by two API processes on one Redis: all is real but for their clock, which the test moves."""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.gateway.test_sixteen import ASKED, TEXT, Provider, refuses, well
from tests.providers.server import Server
from tests.support.api_process import api_processes, set_clock
from tests.support.system import ROOT
from tests.support.waiting import wait_until

OUTAGE_S, EVERY_S, REQUESTS = 60, 4, 20


@dataclass(frozen=True)
class World:
    folder: Path
    urls: list[str]
    primary: Provider
    secondary: Provider

    def get(self, url: str, path: str) -> Any:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        connection.request("GET", path)
        document = json.loads(connection.getresponse().read())
        connection.close()
        return document

    def ask(self, url: str) -> str:
        """Who answered it, whole."""
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        body = json.dumps({"model": "auto", "messages": ASKED}).encode()
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        document = json.loads(connection.getresponse().read())
        connection.close()
        assert document["choices"][0]["message"]["content"] == TEXT
        who: str = document["model"]
        return who

    def breakers(self) -> list[object]:
        return [self.get(url, "/readyz")["data"]["breakers"] for url in self.urls]

    def agree_on(self, state: str | None) -> None:
        """Until all processes have heard of it."""
        expected = {} if state is None else {"primary/m": state}
        wait_until(lambda: self.breakers() == [expected] * len(self.urls), 30, what=f"all processes say {state}")


@pytest.fixture
def world(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("runtime.json"))
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(well)) for name in ("primary", "secondary")}
        blocks = [
            f'[{name}]\nformat = "openai"\nbase_url = "{server.url}"\npriority = {place}\nmodels = ["m"]\n'
            for place, (name, server) in enumerate(servers.items(), 1)
        ]
        (tmp_path / "config" / "providers.toml").write_text("\n".join(blocks))
        urls = stack.enter_context(api_processes(tmp_path, database_url, redis_url, 2))
        yield World(tmp_path, urls, Provider(servers["primary"]), Provider(servers["secondary"]))


def test_s15_an_outage_of_a_minute_is_seen_and_ended_by_all_processes(world: World) -> None:
    world.primary.behaviours = [refuses(503)]
    asked, served = [], []
    for number, url in zip(range(REQUESTS), cycle([world.urls[0], world.urls[0], world.urls[1], world.urls[1]])):
        now_s = number * EVERY_S
        set_clock(world.folder, now_s)
        if now_s >= OUTAGE_S:
            world.primary.behaviours = [well]
        before = len(world.primary.asked)
        served.append(world.ask(url))
        if len(world.primary.asked) > before:
            asked.append(now_s)
            # what came of it is known everywhere before the next request
            heard = len([at for at in asked if at < OUTAGE_S])
            world.agree_on(None if served[-1] == "primary/m" or heard < 3 else "open")

    down = [at for at in asked if at < OUTAGE_S]
    assert down == [0, 4, 8, 24, 40]
    back = served.index("primary/m") * EVERY_S
    assert OUTAGE_S <= back <= OUTAGE_S + 30
    assert served[back // EVERY_S :] == ["primary/m"] * (REQUESTS - back // EVERY_S)


def test_s15_of_all_requests_at_once_one_is_the_trial(world: World) -> None:
    world.primary.behaviours = [refuses(503)]
    for url in (world.urls[0], world.urls[1], world.urls[0]):
        world.ask(url)
    world.agree_on("open")
    set_clock(world.folder, 16)
    world.agree_on("half_open")

    with ThreadPoolExecutor(8) as threads:
        served = list(threads.map(world.ask, world.urls * 8, timeout=60))

    assert served == ["secondary/m"] * 16
    assert len(world.primary.asked) == 4
