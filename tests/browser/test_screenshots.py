"""The screenshots of docs/screenshots, made where SCREENSHOTS names a folder: `make screenshots`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from app.evidence import ingest
from app.lab import answers
from app.operations import rolling
from app.providers.client import Client, Pool
from tests.browser.looking import Looking
from tests.browser.palette import reduced
from tests.support.lab import RunningLab, running_lab
from tests.support.rounds import run_round
from tests.support.served import served
from tests.support.system import System, build
from tests.support.waiting import wait_until

FOLDER = os.environ.get("SCREENSHOTS")
pytestmark = [
    pytest.mark.skipif(FOLDER is None, reason="SCREENSHOTS names no folder"),
    pytest.mark.timeout(600),
]
#: by name of the file
PAGES = {
    "overview": "/", "requests": "/requests", "better": "/better", "timeline": "/timeline", "rounds": "/rounds",
    "round": "/rounds/{round}?prompt=simple-qa", "what-if": "/what-if", "config": "/config", "spend": "/spend",
    "request": "/requests/{request}", "keys": "/keys", "health": "/health", "api": "/docs",
}  # fmt: skip
#: chats before the pictures
CHATS = 120


@pytest.fixture
def lab() -> Iterator[RunningLab]:
    with running_lab(answers.answer, instant=False) as made:
        yield made


@pytest.fixture
def lively(lab: RunningLab, database_url: str, redis_url: str, tmp_path: Path) -> Iterator[System]:
    """A system that talks to the lab, so that its answers, grades and times are the lab's."""
    made = build(database_url, redis_url, tmp_path, {"TOOLOO_LAB_URL": lab.url})
    yield replace(made, services=replace(made.services, client=Client(Pool(64))))
    made.close()


def test_every_page_with_a_morning_behind_it(chromium: Browser, lively: System, lab: RunningLab) -> None:
    with served(lively) as url:
        run_round(lively)
        lab.set("openai", error_rate=0.6)
        round_id = run_round(lively)
        lab.set("openai", error_rate=0.01)
        _change(
            url,
            weights={"latency": 0.5, "cost": 0.2, "reliability": 0.3},
            reason="people wait for answers",
            updatedBy="ann",
        )
        _chat(url)
        request_id = requests.post(f"{url}/api/v1/chat", json={"message": "Why?"}, timeout=60).json()["data"][
            "requestId"
        ]
        ingest.ingest(lively.services)
        rolling.roll_up(lively.services)

        def is_logged() -> bool:
            ingest.ingest(lively.services)
            return requests.get(f"{url}/requests/{request_id}", timeout=60).ok

        wait_until(is_logged, what="the request is in the log")
        for width, scheme in (("desk", "light"), ("desk", "dark"), ("phone", "light")):
            with Looking.at(chromium, url, width=width, scheme=scheme) as looking:
                for name, template in PAGES.items():
                    path = template.format(round=round_id, request=request_id)
                    page = looking.go(path)
                    _take(chromium, page, f"{name}-{'phone' if width == 'phone' else scheme}")


def test_an_empty_one_and_one_without_word(chromium: Browser, url: str) -> None:
    with Looking.at(chromium, url) as looking:
        page = looking.page
        page.clock.install()
        looking.go("/")
        _take(chromium, page, "overview-empty")
        page.context.set_offline(True)
        page.clock.run_for(40_000)
        expect(page.locator("html")).to_have_class("stale")
        _take(chromium, page, "overview-stale")
        looking.trouble.clear()  # nobody was met


def _change(url: str, **change: object) -> None:
    assert requests.post(f"{url}/api/v1/system/runtime-config", json=change, timeout=20).ok


def _chat(url: str) -> None:
    def one(number: int) -> int:
        said = {"message": f"What is {number} + {number}?"}
        return requests.post(f"{url}/api/v1/chat", json=said, timeout=60).status_code

    with ThreadPoolExecutor(8) as clients:
        assert set(clients.map(one, range(CHATS))) == {200}


def _take(chromium: Browser, page: Page, name: str) -> None:
    assert FOLDER is not None
    page.wait_for_load_state("load")
    page.wait_for_function("() => document.getElementById('state')?.textContent !== 'loading…'")
    file = Path(FOLDER) / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(reduced(chromium, page.screenshot(animations="disabled")))
