"""What a person does on the pages, in a real browser: sign in, measure and watch, change, roll back, make a key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ADMIN, READER
from tests.browser.looking import Looking
from tests.support.rounds import run_round, takes, work_off
from tests.support.served import served
from tests.support.system import System, answer

#: turns text around, hides in it, ends a tag, closes an attribute
HOSTILE = "\u202egpj.\u2066x\u0007</pre><img src=x onerror=alert(1)>\"'<script>alert(2)</script>"


def latency_counts(page: Page, weight: str) -> None:
    """Weights filled in on the page of the config."""
    rest = str(round((1 - float(weight)) / 2, 3))
    page.get_by_label("latency", exact=True).fill(weight)
    page.get_by_label("cost", exact=True).fill(rest)
    page.get_by_label("reliability", exact=True).fill(rest)


@contextmanager
def signed_in(chromium: Browser, system: System, key: str, path: str = "/") -> Iterator[Looking]:
    with served(system) as url, Looking.at(chromium, url) as looking:
        looking.sign_in(key, path)
        yield looking


def test_who_signs_in_comes_to_where_they_were_going_and_out_again(chromium: Browser, locked: System) -> None:
    with signed_in(chromium, locked, ADMIN, "/config?range=7d") as looking:
        page = looking.page
        expect(page.get_by_role("heading", name="Config", level=1)).to_be_visible()
        assert "range=7d" in page.url
        assert ADMIN not in page.content()
        assert page.evaluate("() => [document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Key", exact=True)).to_be_visible()
        looking.go("/config")
        expect(page.get_by_label("Key", exact=True)).to_be_visible()


def test_a_wrong_key_is_told_and_opens_nothing(chromium: Browser, locked: System) -> None:
    with served(locked) as url, Looking.at(chromium, url) as looking:
        page = looking.go("/")
        page.get_by_label("Key", exact=True).fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("No such key")
        looking.trouble.clear()  # the browser notes the 401


def test_a_key_that_reads_sees_and_cannot_act(chromium: Browser, locked: System) -> None:
    with signed_in(chromium, locked, READER) as looking:
        page = looking.page
        expect(page.get_by_role("link", name="Config")).to_be_visible()
        expect(page.get_by_role("link", name="Keys")).to_have_count(0)
        looking.go("/config")
        expect(page.get_by_label("latency", exact=True)).to_be_disabled()
        expect(page.get_by_role("button", name=re.compile("Roll back"))).to_have_count(0)
        looking.go("/rounds")
        expect(page.get_by_role("button", name="What would it cost?")).to_have_count(0)
        looking.go("/keys")
        expect(page.get_by_text("with the scope `admin` alone")).to_be_visible()
        looking.trouble.clear()  # the browser notes the 403


def test_a_round_is_priced_started_and_watched_to_its_end(looking: Looking, system: System) -> None:
    page = looking.go("/rounds")
    page.get_by_role("button", name="What would it cost?").click()
    expect(page.locator("#price")).to_contain_text("40 probes")
    page.get_by_role("button", name="Measure now").click()
    page.wait_for_url(re.compile("/rounds/benchmark-"))
    expect(page.locator("#state")).to_contain_text("0 of 40")
    again = requests.post(f"{looking.url}/api/v1/system/benchmarks", json={}, timeout=20)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    work_off(system)
    expect(page.locator("#state")).to_contain_text("done")
    expect(page.locator("#said")).to_contain_text("The round is over")
    expect(page.locator("#map td.grade0")).to_have_count(40)
    page.get_by_role("link", name="simple-qa").click()
    expect(page.get_by_role("heading", name="Answers to simple-qa")).to_be_visible()
    expect(page.locator("#answers article")).to_have_count(4)


def test_a_second_round_beside_one_that_runs_is_asked_about(looking: Looking, system: System) -> None:
    assert requests.post(f"{looking.url}/api/v1/system/benchmarks", json={}, timeout=20).status_code == 202
    page = looking.go("/rounds")
    page.get_by_role("button", name="What would it cost?").click()
    expect(page.locator("#price")).to_contain_text("is under way")
    expect(page.get_by_role("button", name="Measure beside it all the same")).to_be_visible()


def test_a_changed_weight_is_previewed_written_with_its_reason_and_rolled_back(
    looking: Looking, system: System
) -> None:
    system.client.behaviours["deepseek"] = takes(50.0)
    run_round(system)
    page = looking.go("/config")
    latency_counts(page, "0.8")
    page.get_by_label("deepseek in use").uncheck()
    page.get_by_role("button", name="What would it move?").click()
    expect(page.locator("#moves")).to_contain_text("providers.deepseek.enabled: true → false")
    expect(page.locator("#moves")).to_contain_text(re.compile("now:.*then:", re.DOTALL))
    page.get_by_label("Why", exact=True).first.fill("speed is what people wait for")
    page.get_by_role("button", name="Make it revision").click()
    expect(page.locator("#history")).to_contain_text("speed is what people wait for")
    expect(page.get_by_label("latency", exact=True)).to_have_value("0.8")

    page.get_by_role("button", name="Roll back to 1", exact=True).click()
    page.get_by_role("dialog").get_by_label("Why").fill("it was dearer")
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.locator("#history")).to_contain_text("it was dearer")
    expect(page.get_by_label("latency", exact=True)).to_have_value("0.4")
    expect(page.get_by_label("deepseek in use")).to_be_checked()


def test_two_revisions_are_compared_by_keyboard_and_one_is_gone_back_to(looking: Looking) -> None:
    for rate, reason in ((0.2, "look around"), (0.3, "look around more")):
        change = {"explorationRate": rate, "reason": reason, "segments": {"<b>s</b>": {}}}
        assert requests.post(f"{looking.url}/api/v1/system/runtime-config", json=change, timeout=20).ok
    page = looking.go("/config")
    page.get_by_label("Revision", exact=True).focus()
    page.keyboard.type("1")
    page.keyboard.press("Tab")
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    differs = page.locator("#differences")
    expect(differs.get_by_role("row", name=re.compile("explorationRate"))).to_contain_text(
        re.compile("0.1.*0.2", re.DOTALL)
    )
    expect(differs).to_contain_text("<b>s</b>")
    expect(differs).to_contain_text("not there")
    assert looking.violations() == []

    page.locator("#compare").get_by_role("button", name="Roll back to 2").press("Enter")
    page.get_by_role("dialog").get_by_label("Why").fill("enough looked around")
    page.keyboard.press("Enter")
    expect(page.locator("#history")).to_contain_text("enough looked around")
    looking.go("/config?old=2&new=4")
    expect(page.locator("#differences")).to_contain_text("metadata.iterationCount")
    expect(page.locator("#differences")).not_to_contain_text("explorationRate")
    page.get_by_role("link", name="Compare with 4").last.click()
    expect(page.get_by_label("Revision", exact=True)).to_have_value("1")


@pytest.mark.parametrize(("asked", "told"), [("old=99", "no version 99"), ("old=x", "old must be a version")])
def test_a_revision_that_is_none_is_named(looking: Looking, asked: str, told: str) -> None:
    expect(looking.go(f"/config?{asked}").locator("main")).to_contain_text(told)
    looking.trouble.clear()  # the status


def test_the_order_follows_a_changed_weight_while_somebody_looks(looking: Looking, system: System) -> None:
    system.client.behaviours["gemini"] = takes(50.0)
    run_round(system)
    page = looking.go("/")
    expect(page.locator("#place-1")).to_contain_text("gemini/gemini-2.5-flash")
    requests.post(
        f"{looking.url}/api/v1/system/runtime-config",
        json={"providers": {"gemini": {"enabled": False}}, "reason": "a test"}, timeout=20,
    )  # fmt: skip
    expect(page.locator("#place-1")).not_to_contain_text("gemini")
    expect(page.locator("#changes")).to_contain_text("a test")


def test_what_the_api_refuses_is_told_where_it_was_asked(looking: Looking) -> None:
    page = looking.go("/config")
    latency_counts(page, "7")
    page.get_by_role("button", name="What would it move?").click()
    expect(page.get_by_role("alert")).to_contain_text("weights")
    looking.trouble.clear()  # the browser notes the 400


def test_a_key_is_shown_once_and_revoked(chromium: Browser, locked: System) -> None:
    with signed_in(chromium, locked, ADMIN, "/keys") as looking:
        page = looking.page
        page.get_by_label("Name").fill("ann")
        page.get_by_role("button", name="Make a key").click()
        expect(page.locator("#made-key")).to_have_text(re.compile("^tooloo_"))
        secret = page.locator("#made-key").inner_text()
        looking.go("/keys")
        expect(page.get_by_text(secret)).to_have_count(0)
        page.get_by_role("button", name="Revoke", exact=True).click()
        page.get_by_role("button", name="Revoke it").click()
        expect(page.locator("tbody")).to_contain_text("revoked")


@pytest.mark.parametrize("path", ["/", "/rounds", "/config"])
def test_hostile_text_is_text(looking: Looking, system: System, path: str) -> None:
    for name in system.services.endpoints:
        system.client.behaviours[name] = lambda _m, _r: answer(HOSTILE)
    round_id = run_round(system)
    requests.post(
        f"{looking.url}/api/v1/system/runtime-config",
        json={"explorationRate": 0.2, "reason": HOSTILE, "segments": {"<b>s</b>": {}}}, timeout=20,
    )  # fmt: skip
    page = looking.go(f"/rounds/{round_id}" if path == "/rounds" else path)
    expect(page.locator("main")).to_contain_text("onerror=alert(1)")
    expect(page.locator("main")).to_contain_text("\\u202e")
    assert page.locator("main img, main script:not([type='application/json'])").count() == 0
    assert "\u202e" not in page.locator("main").inner_text()
