"""What the streams of Requests, Timeline, Spend, Better? and Overview send while somebody looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from app.api.pages import overview, stream
from app.api.pages import requests as requests_page
from app.api.pages.blueprint import LIVE
from app.operations import rolling
from app.store import database, outcomes
from tests.api.pages.test_stream import events
from tests.api.system.test_comparing import record, record_after
from tests.api.test_request_list import entry, log
from tests.store.test_outcomes import row
from tests.support.rounds import run_round
from tests.support.served import served
from tests.support.system import System


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOOK_S": 0.01, "TICK_S": 0.01, "BEAT_S": 0.0}.items():
        monkeypatch.setattr(stream, name, value)
    monkeypatch.setattr(requests_page, "COUNT_S", 0.0)
    monkeypatch.setattr(overview, "SUMS_S", 0.0)
    for page, found in list(LIVE.items()):
        if found.every_s is not None:
            monkeypatch.setitem(LIVE, page, replace(found, every_s=0.0))


Coming = Iterator[tuple[str, dict[str, str]]]


def opened(url: str, page: str, **asked: str) -> Coming:
    """The stream of a page as the page itself opens it: with what it was made with, and when."""
    text = requests.get(f"{url}/{page}?{urlencode(asked)}", timeout=30).text
    found = {name: re.search(rf'data-{name}="([^"]*)"', text) for name in ("now", "marks")}
    since, marks = (match[1] if match else "" for match in found.values())
    return events(url, f"{page}?{urlencode({**asked, 'since': since, 'marks': marks})}")


def looks(coming: Coming, count: int) -> list[dict[str, str]]:
    """What comes in so many looks."""
    rows = []
    for name, data in coming:
        rows += [data] if name == "row" else []
        count -= name == "alive"
        if not count:
            break
    return rows


def next_row(coming: Coming, name: str, text: str = "") -> dict[str, str]:
    """The next that says it: a look may fall between two writes of a test."""
    return next(data for kind, data in coming if kind == "row" and data["id"] == name and text in data["html"])


def traffic(system: System) -> None:
    run_round(system)
    record(system)
    log(system, *(entry(f"r{number:02}", number + 1) for number in range(60)))
    rolling.roll_up(system.services)


@pytest.mark.parametrize("page", ["requests", "timeline", "spend", "better"])
@pytest.mark.parametrize("span", ["1h", "24h", "30d"])
def test_where_nothing_changes_nothing_but_signs_of_life_is_sent(system: System, page: str, span: str) -> None:
    traffic(system)
    with served(system) as url:
        assert looks(opened(url, page, range=span), 5) == []


@pytest.mark.parametrize(
    ("page", "part", "text"),
    [("timeline", "totals", ">20<"), ("spend", "sums", "for 1 requests"), ("better", "found", "280 requests")],
)
def test_what_came_since_is_there_with_the_next_look(system: System, page: str, part: str, text: str) -> None:
    run_round(system)
    with served(system) as url:
        coming = opened(url, page, range="24h", **({"source": "benchmark"} if page == "timeline" else {}))
        assert looks(coming, 2) == []
        record(system)
        record_after(system)
        log(system, entry("r1", 0.1, simulated=system.services.simulated))
        run_round(system)
        rolling.roll_up(system.services)
        assert next_row(coming, part, text)


def test_a_page_that_was_empty_is_told_that_it_has_other_parts_now(system: System) -> None:
    with served(system) as url:
        coming = opened(url, "timeline")
        run_round(system)
        rolling.roll_up(system.services)
        assert next_row(coming, "shape", " hidden data-reload>benchmark full</span>")


def test_no_page_is_sent_figures_that_are_older_than_itself(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the streams share stands for a while; who loads the page anew has newer ones already."""
    monkeypatch.setitem(LIVE, "spend", replace(LIVE["spend"], every_s=1000.0))
    with served(system) as url:
        looks(opened(url, "spend"), 2)
        run_round(system)
        rolling.roll_up(system.services)
        assert looks(opened(url, "spend"), 5) == []


def test_a_new_request_comes_once_where_the_filters_let_it(system: System) -> None:
    log(system, entry("old", 2, key="ci"))
    with served(system) as url:
        coming = opened(url, "requests", key="ci")
        assert looks(coming, 2) == []
        log(system, now("mine", key="ci"), now("other", key="dev"))
        came = [next_row(coming, "request-mine"), *looks(coming, 5)]
        assert [each["id"] for each in came] == ["request-mine", "h-list", "histogram"]
        assert "2 of 2" in came[1]["html"]


def test_a_request_that_waited_to_be_taken_in_comes_as_well(system: System) -> None:
    log(system, entry("old", 30))
    with served(system) as url:
        coming = opened(url, "requests")
        assert looks(coming, 2) == []
        log(system, now("late", minutes=3))
        assert next_row(coming, "request-late")


@pytest.mark.parametrize("asked", [{"before": "1.r"}, {"from": "946684800001", "to": "946684900000"}])
def test_on_a_page_of_the_past_nothing_comes(system: System, asked: dict[str, str]) -> None:
    with served(system) as url:
        coming = opened(url, "requests", **asked)
        log(system, now("new"))
        assert looks(coming, 5) == []


def test_the_time_that_is_looked_at_goes_on_while_a_stream_is_open(system: System) -> None:
    run_round(system)
    with served(system) as url:
        coming = events(url, "overview")
        looks(coming, 3)
        with database.transaction(system.services.sessions) as session:
            outcomes.record(session, [row("a", at=datetime.now(UTC))])
        rolling.roll_up(system.services)
        assert next_row(coming, "sentence", "1 live call")


def now(name: str, minutes: float = 0, **other: Any) -> dict[str, Any]:
    return {**entry(name, **other), "at": datetime.now(UTC) - timedelta(minutes=minutes)}
