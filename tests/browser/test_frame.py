"""The frame: every page loads without an error, at every width and in both schemes, and axe finds nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.looking import Looking
from tests.support.rounds import run_round
from tests.support.system import System

PAGES = ("/", "/rounds", "/rounds/{round}", "/config", "/keys", "/health", "/docs")


@pytest.mark.parametrize("width", ["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(chromium: Browser, system: System, url: str, width: str, scheme: str) -> None:
    round_id = run_round(system)
    with Looking.at(chromium, url, width=width, scheme=scheme) as looking:
        for path in PAGES:
            page = looking.go(path.format(round=round_id))
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            page.wait_for_load_state("load")
            assert looking.violations() == [], path
            assert looking.overflow() <= 0, path


def test_the_figures_are_as_old_as_the_page_says(looking: Looking) -> None:
    page = looking.go("/")
    expect(page.locator("#age-text")).to_contain_text("as of")
    expect(page.locator("#age")).not_to_have_class("red")
