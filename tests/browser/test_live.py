"""Pages that follow what happens: new requests on top, figures that grow, and nothing for a tab that nobody sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.api.pages import requests as requests_page
from app.api.pages import stream
from app.api.pages.blueprint import LIVE
from app.operations import rolling
from tests.api.test_request_list import entry, log
from tests.browser.looking import Looking
from tests.browser.test_traffic import traffic
from tests.support.rounds import run_round
from tests.support.system import System
from tests.support.waiting import wait_until

PAGES = ("/", "/requests", "/timeline", "/spend", "/better", "/rounds", "/config", "/health")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"LOOK_S": 0.1, "TICK_S": 0.1, "BEAT_S": 0.2}.items():
        monkeypatch.setattr(stream, name, value)
    monkeypatch.setattr(requests_page, "COUNT_S", 0.0)
    for page, found in list(LIVE.items()):
        if found.every_s is not None:
            monkeypatch.setitem(LIVE, page, replace(found, every_s=0.1))
    yield
    wait_until(lambda: is_open() == 0, what="every stream is closed")


def is_open() -> int:
    return stream.STREAMS - stream._free._value


def now(name: str, **other: Any) -> dict[str, Any]:
    return {**entry(name, **other), "at": datetime.now(UTC)}


def top(page: Page) -> Any:
    return page.locator("#list tr").first


def test_new_requests_come_in_on_top_where_the_filters_let_them(looking: Looking, system: System) -> None:
    log(system, *(entry(f"r{number:02}", number + 1, key="ci") for number in range(50)))
    page = looking.go("/requests?key=ci")
    expect(page.locator("#h-list")).to_have_text("50 of 50, newest first")

    log(system, now("other", key="dev"), now("<b>new</b>", key="ci"))

    expect(top(page)).to_contain_text("<b>new</b>")
    expect(page.locator("#h-list")).to_have_text("50 of 51, newest first")
    expect(page.locator("#list tr")).to_have_count(50)
    expect(page.locator("#list")).not_to_contain_text("r49")
    page.locator("#older").click()  # goes on behind what is shown now
    expect(page.locator("#list")).to_contain_text("r49")
    assert looking.violations() == []


def test_who_pauses_reads_on_and_gets_what_waited(looking: Looking, system: System) -> None:
    log(system, entry("old"))
    page = looking.go("/requests")
    page.get_by_role("button", name="Pause").click()

    log(system, now("first"))
    expect(page.locator("#held")).to_have_text("1 new request waits")
    log(system, now("second"))
    expect(page.locator("#held")).to_have_text("2 new requests wait")
    expect(top(page)).to_contain_text("old")
    page.get_by_role("button", name="Go on").click()

    expect(top(page)).to_contain_text("second")
    expect(page.locator("#list tr")).to_have_count(3)


def test_a_row_that_somebody_is_at_stays_where_it_is(looking: Looking, system: System) -> None:
    log(system, entry("old"))
    page = looking.go("/requests")
    page.get_by_role("link", name="old").hover()
    log(system, now("new"))
    expect(page.locator("#held")).to_have_text("1 new request waits")
    page.locator("h1").hover()
    expect(top(page)).to_contain_text("new")


def test_the_first_request_of_all_makes_a_list(looking: Looking, system: System) -> None:
    page = looking.go("/requests")
    expect(page.locator(".empty")).to_be_visible()
    log(system, now("first"))
    expect(top(page)).to_contain_text("first")


def test_a_chart_is_drawn_anew_and_its_table_stays_open(looking: Looking, system: System) -> None:
    traffic(system)
    page = looking.go("/timeline?source=benchmark")
    expect(page.locator("#quality canvas")).to_be_visible()
    page.locator("#cost").get_by_text("Show as table").click()
    page.locator("#cost").get_by_text("Show as table").focus()
    before = page.locator("#cost details tbody").inner_text()

    run_round(system)
    rolling.roll_up(system.services)

    expect(page.locator("#cost details tbody")).not_to_have_text(before)
    expect(page.locator("#cost details tbody")).to_be_visible()
    expect(page.locator("#cost canvas")).to_be_visible()
    expect(page.locator("#cost summary")).to_be_focused()
    assert looking.violations() == []


@pytest.mark.parametrize("path", PAGES)
def test_a_hidden_tab_has_no_stream_and_has_one_again_when_it_is_seen(looking: Looking, path: str) -> None:
    page = looking.go(path)
    wait_until(lambda: is_open() == 1, what="the page's stream is open")
    _hide(page, hidden=True)
    wait_until(lambda: is_open() == 0, what="the hidden tab's stream is closed")
    _hide(page, hidden=False)
    wait_until(lambda: is_open() == 1, what="there is a stream again")


def _hide(page: Page, *, hidden: bool) -> None:
    """As the browser does it when another tab is looked at; without a window it has no other tab to look at."""
    page.evaluate(
        """(hidden) => {
          const state = { hidden, visibilityState: hidden ? "hidden" : "visible" };
          for (const [name, value] of Object.entries(state)) {
            Object.defineProperty(document, name, { value, configurable: true });
          }
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
