"""GET /api/v1/system/timeline and /spend, and rounds without their answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from app.domain.policy import Policy
from app.operations import rolling
from app.store import database, outcomes, requests
from tests.api.test_request_list import entry
from tests.gateway.test_gateway import change
from tests.store.test_outcomes import row
from tests.support.rounds import run_round
from tests.support.system import System

SYSTEM = "/api/v1/system"
NOW = datetime.now(UTC)
HOUR = NOW.replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def get(client: FlaskClient, path: str, **asked: Any) -> Any:
    answer = client.get(f"{SYSTEM}/{path}?{urlencode(asked)}").get_json()
    return answer["data"] if answer["success"] else answer["error"]


def record(system: System, hours: float, count: int, **other: Any) -> None:
    at = HOUR - timedelta(hours=hours)
    name = f"{hours}-{other.get('provider')}-{other.get('error_class')}-{other.get('segment')}"
    with database.transaction(system.services.sessions) as session:
        some = {"model": "m", "simulated": False, "at": at, **other}
        outcomes.record(session, [row(f"{name}-{n}", **some) for n in range(count)])


def test_an_hour_has_a_row_for_each_target_with_its_share(system: System, client: FlaskClient) -> None:
    record(system, 2, 6, provider="openai", latency_ms=300.0, cost_usd=0.01)
    record(system, 2, 2, provider="openai", success=False, error_class="timeout")
    record(system, 2, 2, provider="gemini", latency_ms=100.0)
    record(system, 1, 5, provider="gemini", latency_ms=100.0)
    rolling.roll_up(system.services)

    found = get(client, "timeline")

    assert (found["step"], found["latencyError"]) == ("hour", 0.049)
    rows = {(each["at"], each["provider"]): each for each in found["rows"]}
    assert len(rows) == 3
    openai = rows[int((HOUR - timedelta(hours=2)).timestamp() * 1000), "openai"]
    assert (openai["calls"], openai["ok"], openai["share"], openai["success"]) == (8, 6, 0.8, 0.75)
    assert openai["successInterval"][0] < 0.75 < openai["successInterval"][1]
    assert openai["latencyP50"] == pytest.approx(300, rel=0.05)
    assert (openai["cost"], openai["unpriced"], openai["errors"]) == (0.06, 0, {"timeout": 2})
    totals = {each["provider"]: each for each in found["totals"]}
    assert (totals["gemini"]["calls"], totals["gemini"]["unpriced"]) == (7, 7)


def test_days_where_hours_would_be_too_many(system: System, client: FlaskClient) -> None:
    record(system, 24 * 30, 3, provider="openai")
    record(system, 24 * 30 - 1, 4, provider="openai")
    rolling.roll_up(system.services)

    found = get(client, "timeline", **{"from": "now-40d"})
    assert found["step"] == "day"
    assert sum(each["calls"] for each in found["rows"]) == 7
    assert len(found["rows"]) <= 2
    assert len(get(client, "timeline", **{"from": "now-40d", "step": "hour"})["rows"]) == 2
    assert get(client, "timeline", **{"from": "now-100d", "step": "hour"})["field"] == "from"


def test_a_year_is_told_in_weeks_that_begin_on_monday(system: System, client: FlaskClient) -> None:
    """Each the sum of its days, also where a late call comes into one of them."""
    for hours in (24 * 200, 24 * 207, 24 * 214):
        record(system, hours, 3, provider="openai", latency_ms=300.0)
    rolling.roll_up(replace(system.services, policy=_kept_for_long(system)))
    record(system, 24 * 207, 2, provider="openai", success=False, error_class="timeout")
    rolling.roll_up(replace(system.services, policy=_kept_for_long(system)))

    found = get(client, "timeline", **{"from": "now-365d"})

    assert found["step"] == "week"
    assert all(datetime.fromtimestamp(each["at"] / 1000, UTC).weekday() == 0 for each in found["rows"])
    assert [(each["calls"], each["ok"]) for each in found["rows"]] == [(3, 3), (5, 3), (3, 3)]
    assert found["rows"][1]["latencyP95"] == pytest.approx(300, rel=0.05)
    assert datetime.fromtimestamp(found["from"] / 1000, UTC).weekday() == 0


def _kept_for_long(system: System) -> Policy:
    policy = system.services.policy
    return replace(policy, retention=replace(policy.retention, outcomes_days=400))


def test_the_timeline_is_filtered(system: System, client: FlaskClient) -> None:
    record(system, 1, 3, provider="openai", segment="vip")
    record(system, 1, 4, provider="gemini", task_type="code")
    rolling.roll_up(system.services)

    for asked, calls in (({"segment": "vip"}, 3), ({"taskType": "code"}, 4), ({"provider": "openai"}, 3), ({}, 7)):
        assert sum(each["calls"] for each in get(client, "timeline", **asked)["rows"]) == calls, asked


def test_what_happened_is_marked(system: System, client: FlaskClient) -> None:
    round_id = run_round(system)
    change(system, explorationRate=0.07)
    for hours in (5, 4, 1):
        record(system, hours, 2, provider="acme", success=False, error_class="bad_key", counts=True)
    record(system, 3, 1, provider="acme")
    record(system, 2, 1, provider="acme")
    rolling.roll_up(system.services)

    marked = get(client, "timeline")["markers"]

    assert marked == sorted(marked, key=lambda marker: marker["at"])
    (of_round,) = [each for each in marked if each["kind"] == "round"]
    assert (of_round["roundId"], of_round["trigger"]) == (round_id, "manual")
    revisions = [each for each in marked if each["kind"] == "revision"]
    assert all(each["author"] and each["text"] and each["version"] for each in revisions)
    assert len(revisions) >= 2
    refused = [each for each in marked if each["kind"] == "refused"]
    assert [each["at"] for each in refused] == [
        int((HOUR - timedelta(hours=hours)).timestamp() * 1000) for hours in (5, 1)
    ]
    assert refused[0]["text"] == "acme/m refuses: bad_key (2 calls)"


def test_rounds_and_live_traffic_are_in_one_sum(system: System, client: FlaskClient) -> None:
    run_round(system)  # each probe costs .001
    probes = len(system.services.targets) * len(system.services.prompts)
    with database.transaction(system.services.sessions) as session:
        mine = {"provider": "gemini", "model": "gemini-2.5-flash", "simulated": True, "key": "ci"}
        failed = {"provider": None, "model": None, "status": "timeout", "cost_usd": None, "failed_provider": "gemini"}
        requests.store(session, [entry("a", **mine), entry("b", **{**mine, **failed, "failed_model": "x"})])
    record(system, 0, 3, provider="gemini", success=False, error_class="timeout")
    rolling.roll_up(system.services)

    found = get(client, "spend", by="provider")

    rows = {each["provider"]: each for each in found["spend"]}
    assert rows["gemini"]["liveUsd"] == 0.5
    assert rows["gemini"]["benchmarkUsd"] == pytest.approx(0.001 * probes / len(system.services.targets))
    assert rows["gemini"]["totalUsd"] == pytest.approx(rows["gemini"]["liveUsd"] + rows["gemini"]["benchmarkUsd"])
    assert (rows["gemini"]["requests"], rows["gemini"]["failed"]) == (2, 1)
    (total,) = found["totals"]
    assert total["totalUsd"] == pytest.approx(0.5 + 0.001 * probes)
    assert found["budget"]["leftUsd"] == pytest.approx(10 - 0.001 * probes)
    assert found["failures"] == [
        {"provider": "gemini", "model": "m", "calls": 3, "failed": 3, "errors": {"timeout": 3}}
    ]
    by_key = {each["key"]: each for each in get(client, "spend", by="day,key")["spend"]}
    assert by_key["ci"]["totalUsd"] == 0.5
    assert by_key["ci"]["day"] == (NOW - timedelta(minutes=1)).date().isoformat()
    assert get(client, "spend", **{"from": "now-9d", "to": "now-7d"})["totals"] == []


@pytest.mark.parametrize(
    ("path", "asked", "field"),
    [
        ("timeline", {"step": "minute"}, "step"),
        ("timeline", {"from": "x"}, "from"),
        ("timeline", {"taskType": "poetry"}, "taskType"),
        ("timeline", {"target": "x"}, "target"),
        ("timeline", {"from": "2001-01-01T00:00:00Z"}, "from"),
        ("spend", {"by": "colour"}, "by"),
        ("spend", {"days": "7"}, "days"),
        ("benchmark-results", {"fields": "few"}, "fields"),
        ("insights", {"fields": "few"}, "fields"),
    ],
)
def test_what_is_wrong_is_named(client: FlaskClient, path: str, asked: dict[str, str], field: str) -> None:
    error = get(client, path, **asked)

    assert (error["code"], error["field"]) == ("invalid_request", field)


def test_rounds_are_told_without_their_answers(system: System, client: FlaskClient) -> None:
    run_round(system)

    whole, short = get(client, "benchmark-results"), get(client, "benchmark-results", fields="summary")

    assert whole["history"][0].pop("results")
    assert whole["history"] == short["history"]
    told, few = get(client, "insights")["insights"], get(client, "insights", fields="summary")["insights"]
    assert [each["text"] for each in told] == [each["text"] for each in few]
    assert any("data" in each for each in told)
    assert not any("data" in each for each in few)
