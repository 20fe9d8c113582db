"""GET /api/v1/requests: filters, pages, and how many there were over time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app import bootstrap
from app.api import create_app
from app.store import database, requests
from tests.support.system import System

NOW = datetime.now(UTC).replace(second=30, microsecond=0)


def entry(name: str, minutes: float = 1, **other: Any) -> dict[str, Any]:
    """A request of the log, so many minutes ago."""
    attempts = other.pop("attempts", [attempt("deepseek")])
    return {
        "request_id": name, "at": NOW - timedelta(minutes=minutes), "key": None, "segment": None,
        "task_type": "default",
        "asked": "auto", "stream": False, "status": "ok", "provider": "deepseek", "model": "m", "latency_ms": 100.0,
        "prompt_tokens": 1, "completion_tokens": 2, "cost_usd": 0.5, "cached_tokens": 0, "cache_saved_usd": 0.0,
        "simulated": False, "revision": 3, "attempts": attempts,
        "explanation": {"reason": "best score", "order": ["deepseek/m", "gemini/g"], "explored": False}, **other,
    }  # fmt: skip


def attempt(provider: str, code: str | None = None) -> dict[str, Any]:
    error = {"error": {"code": code, "message": "…"}} if code else {}
    return {"provider": provider, "model": "m", "success": code is None, "latency": 1.0, **error}


def log(system: System, *rows: dict[str, Any]) -> None:
    with database.transaction(system.services.sessions) as session:
        assert len(requests.store(session, rows)) == len(rows)


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def get(client: FlaskClient, **asked: Any) -> Any:
    answer = client.get(f"/api/v1/requests?{urlencode(asked)}").get_json()
    return answer["data"] if answer["success"] else answer["error"]


def ids(found: Any) -> list[str]:
    return [each["requestId"] for each in found["requests"]]


OTHERS = {
    "key": {"key": "ci"},
    "segment": {"segment": "vip"},
    "task": {"task_type": "code"},
    "slow": {"latency_ms": 5000.0},
    "stream": {"stream": True},
    "simulated": {"simulated": True},
    "asked": {"asked": "gpt-4.1"},
    "version": {"revision": 4},
    "gemini": {"provider": "gemini", "model": "g"},
    "explored": {"explanation": {"reason": "explores", "order": ["deepseek/m"], "explored": True}},
    "fell": {"attempts": [attempt("openai", "bad_key"), attempt("deepseek")]},
    "dead": {
        "provider": None, "model": None, "status": "all_attempts_failed", "attempts": [attempt("openai", "timeout")],
    },
    "gone": {"status": "client_gone"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"key": "ci"}, {"key"}),
        ({"segment": "vip"}, {"segment"}),
        ({"taskType": "code"}, {"task"}),
        ({"minMs": "5000"}, {"slow"}),
        ({"stream": "true"}, {"stream"}),
        ({"simulated": "true"}, {"simulated"}),
        ({"asked": "gpt-4.1"}, {"asked"}),
        ({"configVersion": "4"}, {"version"}),
        ({"provider": "gemini"}, {"gemini"}),
        ({"provider": "gemini", "model": "m"}, set()),
        ({"explored": "true"}, {"explored"}),
        ({"fellOver": "true"}, {"fell"}),
        ({"status": "failed"}, {"dead"}),
        ({"status": "all_attempts_failed"}, {"dead"}),
        ({"status": "client_gone"}, {"gone"}),
        ({"tried": "openai"}, {"fell", "dead"}),
        ({"tried": "openai/m", "error": "timeout"}, {"dead"}),
        ({"error": "bad_key"}, {"fell"}),
        ({"key": "", "status": "client_gone"}, {"gone"}),  # a form sends empty fields
    ],
)
def test_every_column_is_a_filter(system: System, client: FlaskClient, asked: Any, found: set[str]) -> None:
    log(system, *(entry(name, **other) for name, other in OTHERS.items()))

    for fields in ({}, {"fields": "summary"}):
        page = get(client, **asked, **fields)
        assert set(ids(page)) == found
        assert page["total"] == len(found) == sum(bar["requests"] for bar in page["histogram"]["bars"])


def test_rows_of_an_older_release_are_found_by_what_they_say(system: System, client: FlaskClient) -> None:
    log(system, *(entry(name, **other) for name, other in OTHERS.items()))
    with system.services.engine.begin() as connection:
        connection.execute(text("UPDATE requests SET explored = NULL, fell_over = NULL"))

    assert ids(get(client, explored="true")) == ["explored"]
    assert ids(get(client, fellOver="true")) == ["fell"]
    assert len(ids(get(client, explored="false", fellOver="false"))) == len(OTHERS) - 2
    line = get(client, fellOver="true", fields="summary")["requests"][0]
    assert (line["explored"], line["fellOver"]) == (False, True)


def test_pages_hold_every_request_once_while_new_ones_come(system: System, client: FlaskClient) -> None:
    log(system, *(entry(f"r{n:02}", minutes=n // 3 + 1) for n in range(10)))  # three of each moment
    seen: list[str] = []
    page = get(client, limit=4)
    assert page["total"] == 10
    while True:
        seen += ids(page)
        log(system, entry(f"new{len(seen)}", minutes=0.5))
        if page["next"] is None:
            break
        page = get(client, limit=4, before=page["next"])
        assert page["histogram"] is None

    assert len(seen) == 10
    assert sorted(seen) == [f"r{n:02}" for n in range(10)]
    assert seen[:3] == ["r02", "r01", "r00"]


def test_a_line_says_why_without_what_is_long(system: System, client: FlaskClient) -> None:
    failed = [attempt("deepseek", "overloaded"), attempt("gemini")]
    log(system, entry("r", provider="gemini", model="g", attempts=[failed[0], {**failed[1], "model": "g"}]))

    (line,) = get(client, fields="summary")["requests"]
    assert line["why"] == "next in the order after deepseek/m failed (overloaded)"
    assert (line["attemptCount"], line["fellOver"], line["cost"]) == (2, True, 0.5)
    assert not {"attempts", "explanation"} & set(line)
    (whole,) = get(client)["requests"]
    assert whole["explanation"]["order"] == ["deepseek/m", "gemini/g"]
    assert set(line) - set(whole) == {"attemptCount"}


def test_bars_are_as_wide_as_the_span_wants_them(system: System, client: FlaskClient) -> None:
    log(system, entry("a", 2), entry("b", 2, status="bad_request"), entry("c", 26 * 60))

    hour = get(client, **{"from": "now-30m"})
    assert (hour["total"], hour["histogram"]["stepMs"]) == (2, 60_000)
    assert [(bar["requests"], bar["failed"]) for bar in hour["histogram"]["bars"]] == [(2, 1)]
    days = get(client, **{"from": "now-3d", "to": "now"})
    assert (days["total"], days["histogram"]["stepMs"]) == (3, 6 * 3_600_000)
    assert days["to"] - days["from"] == 3 * 86_400_000


def test_a_span_is_given_in_ms_with_a_zone_or_from_now(system: System, client: FlaskClient) -> None:
    log(system, entry("a", 60))
    start, end = NOW - timedelta(minutes=61), NOW - timedelta(minutes=59)

    zoned = {"from": start.isoformat(), "to": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
    for span in (zoned, {"from": int(start.timestamp() * 1000), "to": int(end.timestamp() * 1000)}, {"from": "now-2h"}):
        assert ids(get(client, **span)) == ["a"]
    assert ids(get(client, **{"from": "now-30m"})) == []


@pytest.mark.parametrize(
    ("asked", "field", "says"),
    [
        ({"from": "yesterday"}, "from", "now-24h"),
        ({"from": "2026-01-01T00:00:00"}, "from", "with its zone"),
        ({"from": "1765326651"}, "from", "epoch milliseconds"),  # seconds
        ({"from": "now", "to": "now-1h"}, "from", "before to"),
        ({"to": "9" * 30}, "to", "epoch milliseconds"),
        ({"from": "0001-01-01T00:00:00Z"}, "from", "epoch milliseconds"),
        ({"limit": "0"}, "limit", "1 to 200"),
        ({"limit": "201"}, "limit", "1 to 200"),
        ({"explored": "yes"}, "explored", "true, false"),
        ({"fellOver": "1"}, "fellOver", "true, false"),
        ({"taskType": "poetry"}, "taskType", "creative"),
        ({"minMs": "slow"}, "minMs", "number"),
        ({"minMs": "nan"}, "minMs", "number"),
        ({"minMs": "-1"}, "minMs", "number"),
        ({"configVersion": "x"}, "configVersion", "number"),
        ({"before": "r1"}, "before", "next"),
        ({"before": f"{'9' * 17}.r"}, "before", "next"),
        ({"before": "5.a\x00"}, "before", "printable"),
        ({"fields": "all"}, "fields", "summary"),
        ({"key": "a\x00b"}, "key", "printable"),
        ({"segment": "x" * 301}, "segment", "300"),
        ({"providers": "openai"}, "providers", "there are: from, to, provider"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(
    client: FlaskClient, asked: Any, field: str, says: str
) -> None:
    error = get(client, **asked)

    assert (error["code"], error["field"]) == ("invalid_request", field)
    assert says in error["message"]
