"""Requests, Timeline and Spend, in a browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from app.operations import rolling
from app.store import database, outcomes
from tests.api.test_request_list import attempt, entry, log
from tests.browser.looking import Looking
from tests.store.test_outcomes import row
from tests.support.rounds import run_round
from tests.support.system import System

PAGES = ("/requests", "/timeline", "/spend")
HOSTILE = "<img src=x onerror=alert(1)>\u202e"


def traffic(system: System) -> None:
    """Two targets in five hours, one of which refuses its key in the last; a round."""
    now = datetime.now(UTC)
    with database.transaction(system.services.sessions) as session:
        for hours in range(5):
            at = now - timedelta(hours=hours)
            some = [row(f"a{hours}-{n}", at=at, latency_ms=300.0 + n, cost_usd=0.01) for n in range(8)]
            bad = {"success": False, "error_class": "bad_key"} if hours == 0 else {}
            others = {"provider": "gemini", "model": "gemini-2.5-flash", **bad}
            some += [row(f"b{hours}-{n}", at=at, **others) for n in range(2)]
            outcomes.record(session, some)
    run_round(system)
    rolling.roll_up(system.services)


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


@pytest.mark.parametrize(("width", "scheme"), [("desk", "light"), ("phone", "dark")])
def test_axe_finds_nothing(chromium: Browser, system: System, url: str, width: str, scheme: str) -> None:
    traffic(system)
    log(system, entry("r1"), entry("r2", 3, status="all_attempts_failed", provider=None, model=None))
    with Looking.at(chromium, url, width=width, scheme=scheme) as looking:
        for path in PAGES:
            page = looking.go(path)
            page.wait_for_load_state("load")
            expect(page.locator("canvas").first).to_be_visible()
            assert looking.violations() == [], path
            assert looking.overflow() <= 0, path


def test_without_data_each_page_says_so(looking: Looking) -> None:
    for path in ("/requests", "/timeline", "/spend"):
        expect(looking.go(path).locator(".empty")).to_be_visible()


def test_filters_stand_in_the_url_and_pages_go_on(looking: Looking, system: System) -> None:
    log(system, *(entry(f"r{n:02}", n + 1, key="ci") for n in range(60)), entry("other", 2))
    page = looking.go("/requests")
    expect(page.get_by_role("heading", name="50 of 61, newest first")).to_be_visible()

    page.get_by_label("Key", exact=True).fill("ci")
    page.get_by_role("button", name="Show").click()

    expect(page.get_by_role("heading", name="50 of 60, newest first")).to_be_visible()
    assert query(page)["key"] == ["ci"]
    log(system, entry("new", 0.1, key="ci"))
    page.locator("#older").click()
    expect(page.get_by_role("link", name="r59")).to_be_visible()
    assert page.get_by_role("row").count() == 11
    assert page.get_by_label("Key", exact=True).input_value() == "ci"
    page.get_by_text("Newest", exact=True).click()
    expect(page.locator("#older")).to_be_visible()


def test_what_others_wrote_is_text(looking: Looking, system: System) -> None:
    attempts = [attempt("deepseek")]
    log(system, entry("r1", key=HOSTILE, segment=HOSTILE, provider=HOSTILE, model=HOSTILE, attempts=attempts))
    page = looking.go("/requests")

    expect(page.get_by_role("cell", name="<img src=x onerror=alert(1)>\\u202e", exact=True)).to_be_visible()
    assert page.locator("main img").count() == 0


def test_a_wrong_filter_is_named(looking: Looking) -> None:
    page = looking.go("/requests?minMs=slow")
    expect(page.get_by_text("minMs must be a number from 0 on: got 'slow'")).to_be_visible()
    looking.trouble.clear()  # the status 400


def test_the_timeline_tells_shares_and_what_happened(looking: Looking, system: System) -> None:
    traffic(system)
    page = looking.go("/timeline")

    share = page.locator("#share")
    share.get_by_text("Show as table").click()
    newest = share.get_by_role("row").nth(1)
    expect(newest).to_contain_text("80.0 %")
    expect(newest).to_contain_text("20.0 %")
    expect(page.locator("#markers")).to_contain_text("gemini/gemini-2.5-flash refuses: bad_key (2 calls)")
    page.locator('select[name="source"]').select_option("benchmark")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#quality canvas")).to_be_visible()


def test_a_range_dragged_over_goes_into_the_url(looking: Looking, system: System) -> None:
    traffic(system)
    page = looking.go("/timeline")
    canvas = page.locator("#share .u-over")
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 60, steps=5)
    page.mouse.up()

    page.wait_for_url("**from=**")
    asked = query(page)
    hours = (int(asked["to"][0]) - int(asked["from"][0])) / 3_600_000
    assert 5 < hours < 15
    assert "range" not in asked
    expect(page.locator('select[name="range"]')).to_have_value("")


def test_spend_adds_rounds_and_names_who_failed(looking: Looking, system: System) -> None:
    traffic(system)
    log(system, entry("r1", simulated=True))
    page = looking.go("/spend")

    probes = len(system.services.targets) * len(system.services.prompts)
    expect(page.locator(".sentence")).to_contain_text(f"${0.5 + 0.001 * probes:.3g} from")
    expect(page.locator("#failures")).to_contain_text("gemini/gemini-2.5-flash: 2 of 10 calls (bad_key 2)")
    page.get_by_role("link", name="requests that tried it").click()
    assert query(page)["tried"] == ["gemini/gemini-2.5-flash"]


def test_the_first_page_charts_where_traffic_went(looking: Looking, system: System) -> None:
    traffic(system)
    page = looking.go("/")

    expect(page.locator("#share canvas")).to_be_visible()
    for name in ("p50", "p95", "success", "cost", "quality"):
        expect(page.locator(f"#{name} canvas")).to_be_visible()
    assert looking.violations() == []
    assert looking.overflow() <= 0
