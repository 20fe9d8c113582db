"""Whatever stands in the stream, ingest goes on: what is no row is dropped alone, counted and said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import event, text
from structlog.testing import capture_logs

from app import bootstrap
from app.api import create_app
from app.errors import DependencyUnavailable
from app.evidence import entries, ingest
from app.evidence.recorder import STREAM
from app.store import database, outcomes, requests
from tests.support.system import System
from tests.support.waiting import wait_until

NOW = datetime.now(UTC)
DEEP = "[" * 100_000


def outcome(**other: Any) -> dict[str, Any]:
    return {
        "request_id": "r",
        "attempt": 1,
        "at": NOW.isoformat(),
        "provider": "deepseek",
        "model": "deepseek-chat",
        "task_type": "default",
        "segment": None,
        "success": True,
        "latency_ms": 100.0,
        "ttft_ms": 50.0,
        "connect_ms": 1.0,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "reasoning_tokens": None,
        "cached_tokens": None,
        "tokens_estimated": False,
        "cost_usd": 0.001,
        "error_class": None,
        "counts": True,
        "simulated": True,
        "explored": False,
        "propensity": 0.5,
        "revision": 1,
        **other,
    }


def request(**other: Any) -> dict[str, Any]:
    return {
        "request_id": "r",
        "at": NOW.isoformat(),
        "key": None,
        "segment": None,
        "task_type": "default",
        "asked": "auto",
        "stream": False,
        "status": "ok",
        "provider": "deepseek",
        "model": "deepseek-chat",
        "failed_provider": None,
        "failed_model": None,
        "latency_ms": 100.0,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "cost_usd": 0.001,
        "cached_tokens": 4,
        "cache_saved_usd": -0.0001,
        "simulated": True,
        "revision": 1,
        "attempts": [{"provider": "deepseek", "model": "deepseek-chat", "success": True, "latency": 100.0}],
        "explanation": {"reason": "best score", "order": ["deepseek/deepseek-chat"]},
        **other,
    }


#: of any entry
ODD: list[dict[str, Any]] = [
    {"provider": {"name": "x"}},
    {"provider": ["x"]},
    {"provider": 5},
    {"provider": "x" * 65},
    {"model": "x" * 201},
    {"segment": ["x"]},
    {"segment": {"a": 1}},
    {"segment": "x" * 101},
    {"segment": "a\x00b"},
    {"segment": "\ud800"},
    {"request_id": ""},
    {"request_id": "x" * 3000},
    {"request_id": None},
    {"task_type": "poetry"},
    {"task_type": {}},
    {"latency_ms": "12"},
    {"latency_ms": None},
    {"latency_ms": -1},
    {"latency_ms": 1e300},
    {"latency_ms": float("inf")},
    {"latency_ms": float("nan")},
    {"latency_ms": True},
    {"prompt_tokens": float("inf")},
    {"prompt_tokens": 1.5},
    {"prompt_tokens": -1},
    {"completion_tokens": 2**31},
    {"completion_tokens": 10**400},
    {"cost_usd": "0"},
    {"cost_usd": -0.1},
    {"cost_usd": 1e308},
    {"at": "2026-01-01T00:00:00"},
    {"at": "0001-01-01T00:00:00+14:00"},
    {"at": "9999-12-31T23:59:59-14:00"},
    {"at": (NOW + timedelta(days=400)).isoformat()},
    {"at": "yesterday"},
    {"at": 5},
    {"at": None},
    {"simulated": "no"},
    {"revision": 2**63},
    {"revision": "1"},
]
ODD_OUTCOMES: list[dict[str, Any]] = [
    *({"attempt": value} for value in (0, 2**15, "1", None)),
    *({"success": value} for value in (None, 1, "true")),
    {"counts": "x"},
    {"error_class": 7},
    {"error_class": "x" * 5000},
    {"ttft_ms": {}},
    {"connect_ms": -5},
    {"propensity": 2},
    {"propensity": float("nan")},
]
ODD_REQUESTS: list[dict[str, Any]] = [
    {"key": 5},
    {"key": "x" * 3000},
    {"asked": ["x"]},
    {"status": "x" * 3000},
    {"stream": 2},
    {"attempts": None},
    {"attempts": {}},
    {"attempts": [5]},
    {"attempts": [{"model": "x"}]},
    {"attempts": [{"provider": "a", "model": "b", "error": "x"}]},
    {"explanation": []},
    {"explanation": {"order": []}},
    {"explanation": {"reason": "x", "order": "ab"}},
]
FORGED = [
    *({"outcome": json.dumps(outcome(**odd))} for odd in ODD + ODD_OUTCOMES),
    *({"request": json.dumps(request(**odd))} for odd in ODD + ODD_REQUESTS),
    *({name: said} for name in ("outcome", "request") for said in ("", "null", "5", "[]", "{}", "{", DEEP, b"\xff")),
    {"request": json.dumps(request(explanation={"reason": "x", "order": [], "n": "x" * 2_000_000}))},
    {"request": json.dumps(request())[:-1] + ',"explanation":{"reason":"x","order":[],"n":' + "[" * 500},
    {"other": "x"},
    {b"\xff": b"\xff"},
]
#: read, and refused by PostgreSQL itself
UNSTORABLE = [
    {"request": json.dumps(request(explanation={"reason": "x", "order": [], "n": float("nan")}))},
    {"request": json.dumps(request(explanation={"reason": "x", "order": [], "n": "\x00"}))},
]


def told(redis: Redis, entry: dict[Any, Any]) -> None:
    redis.xadd(STREAM, entry)


def good(redis: Redis, name: str) -> None:
    told(redis, {"outcome": json.dumps(outcome(request_id=name)), "request": json.dumps(request(request_id=name))})


def stored(system: System) -> tuple[list[str], int]:
    with database.transaction(system.services.sessions) as session:
        usage = requests.usage(session, (NOW - timedelta(days=1)).date(), ["day"])
        found = [name for name in ("before", "after") if requests.get(session, name) is not None]
        return found, sum(row["requests"] for row in usage)


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_entry_is_no_row_and_says_which_field(forged: dict[Any, Any]) -> None:
    reads = {"outcome": entries.outcome, "request": entries.request}
    for name, said in forged.items():
        with capture_logs() as logs:
            assert name not in reads or reads[name](said, NOW) is None
        assert name not in reads or [each["entry"] for each in logs] == [name]


@pytest.mark.parametrize("forged", UNSTORABLE)
def test_a_row_that_postgres_refuses_is_dropped_alone(system: System, forged: dict[str, str]) -> None:
    redis = system.services.redis
    good(redis, "before")
    told(redis, forged)
    good(redis, "after")

    assert ingest.ingest(system.services) == 3

    assert stored(system) == (["before", "after"], 2)
    assert ingest.pulse(redis, "0-0").dropped_by == {"not_readable": 0, "not_storable": 1}


def test_all_forged_entries_at_once_leave_the_good_ones(system: System) -> None:
    redis = system.services.redis
    good(redis, "before")
    for forged in FORGED:
        told(redis, forged)
    good(redis, "after")

    ingest.ingest(system.services)

    assert stored(system) == (["before", "after"], 2)
    assert ingest.pulse(redis, "0-0").dropped_by == {"not_readable": len(FORGED), "not_storable": 0}
    assert ingest.ingest(system.services) == 0


def test_an_entry_is_read_as_it_was_written() -> None:
    newer = {**request(), "added_by_a_newer_release": 1}
    row = entries.request(json.dumps(newer), NOW)

    assert row == {**request(), "at": NOW}
    assert entries.outcome(json.dumps(outcome()), NOW) == {**outcome(), "at": NOW}


def test_an_entry_without_explanation_counts_in_the_usage_alone() -> None:
    short = {name: value for name, value in request().items() if name not in ("attempts", "explanation")}

    assert entries.request(json.dumps(short), NOW) == {**short, "at": NOW}


def test_a_lost_connection_keeps_the_batch(system: System) -> None:
    redis = system.services.redis
    good(redis, "before")
    told(redis, FORGED[0])
    good(redis, "after")
    with pytest.raises(DependencyUnavailable):
        _ingest_with_the_connection_lost(system)

    assert stored(system) == ([], 0)
    assert ingest.ingest(system.services) == 3
    assert stored(system) == (["before", "after"], 2)
    with database.transaction(system.services.sessions) as session:
        assert outcomes.learned(session).stream_id != outcomes.START


def _ingest_with_the_connection_lost(system: System) -> None:
    """The server ends the session between the outcomes and the usage."""
    engine = system.services.engine

    def cut(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO usage" in statement:
            event.remove(engine, "before_cursor_execute", cut)
            with engine.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": cursor.connection.info.backend_pid})

    event.listen(engine, "before_cursor_execute", cut)
    ingest.ingest(system.services)


def test_metrics_tell_why_rows_were_dropped(system: System) -> None:
    told(system.services.redis, FORGED[0])
    ingest.ingest(system.services)
    running = bootstrap.start(system.services, seed=1)
    client = create_app(running).test_client()

    def shown() -> str | None:
        page: str = client.get("/metrics").get_data(as_text=True)
        return page if 'tooloo_ingest_dropped{reason="not_readable"} 1.0' in page else None

    assert wait_until(shown)
    running.stop()
