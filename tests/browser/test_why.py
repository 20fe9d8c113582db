"""Request detail, Better? and What if."""

from __future__ import annotations

import re
from typing import Literal

import pytest
import requests
from playwright.sync_api import Browser, expect

from app.evidence import ingest
from tests.api.system.test_comparing import measured, record_after
from tests.browser.looking import Looking
from tests.support.rounds import run_round
from tests.support.system import System
from tests.support.waiting import wait_until


def answered(system: System, url: str) -> str:
    """The page of a request that the log has."""
    told = requests.post(f"{url}/api/v1/chat", json={"message": "hi"}, timeout=30).json()["data"]
    path = f"/requests/{told['requestId']}"

    def written() -> bool:
        ingest.ingest(system.services)
        return requests.get(f"{url}/api/v1{path}", timeout=30).ok

    wait_until(written)
    return path


def test_a_request_shows_the_parts_of_every_score(looking: Looking, system: System) -> None:
    measured(system)
    page = looking.go(answered(system, looking.url))

    expect(page.locator("#why")).to_contain_text("Answered by")
    expect(page.locator("#why")).to_contain_text("to be first with probability")
    first = page.locator("#candidates tbody tr").first
    expect(first).to_contain_text("success × quality")
    expect(first.locator("svg.stacked rect")).to_have_count(3)
    expect(page.get_by_text("our own overhead, and waiting")).to_be_visible()
    page.get_by_text("Show as table").click()
    expect(page.get_by_role("row", name=re.compile("our own"))).to_be_visible()
    assert looking.violations() == []
    assert looking.overflow() <= 0


@pytest.mark.parametrize(("width", "scheme"), [("desk", "dark"), ("phone", "light"), ("phone", "dark")])
def test_the_pages_of_why_are_fit_for_everybody(
    chromium: Browser, system: System, url: str, width: str, scheme: Literal["light", "dark"]
) -> None:
    measured(system)
    record_after(system)
    request = answered(system, url)
    with Looking.at(chromium, url, width=width, scheme=scheme) as looking:
        for path in (request, "/better?range=1h", "/what-if?range=1h"):
            page = looking.go(path)
            page.wait_for_load_state("load")
            if path.startswith("/what-if"):
                page.get_by_role("button", name="Replay").click()
                expect(page.locator("#moved")).to_contain_text("requests would have gone elsewhere")
            for closed in page.locator("main details:not([open]) summary").all():
                closed.click()
            assert looking.violations() == [], path
            assert looking.overflow() <= 0, path


def test_better_says_what_was_gained_or_that_nobody_can_tell(looking: Looking, system: System) -> None:
    page = looking.go("/better?range=1h")
    expect(page.locator("#sentence")).to_contain_text("cannot tell")

    measured(system)
    page = looking.go("/better?range=1h")

    expect(page.locator("#sentence")).to_contain_text("Of 240 requests, beside always deepseek/")
    row = page.locator("section", has=page.locator("#h-first")).get_by_role("row", name=re.compile("latency, mean"))
    expect(row).to_contain_text("worse")
    expect(page.locator("#h-random")).to_contain_text("one at random")
    assert looking.violations() == []
    assert looking.overflow() <= 0


def test_what_if_replays_and_applies_the_weights_as_a_revision(looking: Looking, system: System) -> None:
    run_round(system)
    measured(system)
    record_after(system)
    page = looking.go("/what-if?range=1h")

    page.get_by_label("latency", exact=False).first.fill("0.6")
    expect(page.locator("#o-latency")).to_have_text("0.60")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#moved")).to_contain_text("of 40 requests would have gone elsewhere, by 2 rounds")
    page.get_by_label("Reason").fill("the chat window waits")
    page.get_by_role("button", name="Apply the weights as a revision").click()
    expect(page.locator("#moved")).to_contain_text("Applied as revision")

    system.services.config.refresh(system.services.redis)
    assert system.services.config.value.global_.provider_weights.latency == 0.6
    assert looking.violations() == []
    assert looking.overflow() <= 0
