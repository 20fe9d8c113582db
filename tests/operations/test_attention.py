"""What needs a person is named, with its cure, while it does, and not after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app import bootstrap
from app.api import create_app
from app.benchmark import benchmark
from app.benchmark.reaper import restore
from app.domain.catalog import Target
from app.domain.routing.breaker import Breaker
from app.errors import BadKey, LocalFailure, ModelUnknown, OutOfCredit, ProviderError
from app.operations.attention import Item, Known, Severity, items
from app.operations.health import State, checks
from app.operations.processes import Missing
from app.operations.vitals import Vitals
from app.providers.base import Answer, ChatRequest, Timing
from app.store import database
from tests.support.rounds import run_round, with_policy
from tests.support.system import Behaviour, System
from tests.support.waiting import wait_until

NOW = datetime(2026, 12, 1, tzinfo=UTC)
DEEPSEEK = Target("deepseek", "deepseek-chat")


def found(system: System, *, breakers: dict[Target, Breaker] | None = None, now: datetime | None = None) -> list[Item]:
    """By looks at everything, once."""
    vitals = Vitals()
    restore(system.services)
    bootstrap.follow(system.services).stop()
    said = {name: look() for name, look in checks(system.services, vitals).items()}
    troubles = {name: State(text_, NOW) for name, text_ in said.items() if text_ != "ok"}
    return items(system.services, Known(troubles, vitals, breakers or {}), now or datetime.now(UTC))


def fails_with(error: type[ProviderError]) -> Behaviour:
    """As a provider that answers and refuses: after a while."""

    def behave(model: str, request: ChatRequest) -> Answer:
        failure = error()
        failure.timing = Timing(connect_ms=0.0, first_token_ms=None, total_ms=20.0)
        raise failure

    return behave


def only(found: list[Item], kind: str) -> Item:
    (item,) = [each for each in found if each.kind == kind]
    return item


def change(system: System, statement: str) -> None:
    with database.transaction(system.services.sessions) as session:
        session.execute(text(statement))


def real(system: System) -> System:
    """With providers that are not simulated."""
    providers = tuple(replace(provider, simulated=False) for provider in system.services.providers)
    return replace(system, services=replace(system.services, providers=providers))


def test_nothing_needs_a_person_after_a_good_round(system: System) -> None:
    run_round(system)

    assert found(system) == []


@pytest.mark.parametrize(
    ("error", "kind", "told", "cure"),
    [
        (BadKey, "key_refused", "DEEPSEEK_API_KEY", "put a valid key into DEEPSEEK_API_KEY"),
        (OutOfCredit, "out_of_credit", "no credit", "tooloo benchmark --provider deepseek"),
        (ModelUnknown, "model_unknown", "deepseek-chat", "[deepseek] models of config/providers.toml"),
    ],
)
def test_what_a_provider_holds_against_an_account_is_named_until_it_serves(
    system: System, error: type[ProviderError], kind: str, told: str, cure: str
) -> None:
    system = real(system)
    run_round(system)
    before = datetime.now(UTC)
    system.client.behaviours["deepseek"] = fails_with(error)
    run_round(system)
    after = datetime.now(UTC)
    run_round(system)

    item = only(found(system), kind)

    assert (item.subject, item.severity) == ("deepseek", Severity.CRITICAL)
    assert told in item.text
    assert cure in item.cure
    assert item.since is not None
    assert before <= item.since <= after
    del system.client.behaviours["deepseek"]
    run_round(system)
    assert found(system) == []


def test_a_simulated_refusal_is_cured_in_the_lab(system: System) -> None:
    system.client.behaviours["deepseek"] = fails_with(BadKey)
    run_round(system)

    assert only(found(system), "key_refused").cure == "it is simulated: `tooloo lab reset deepseek` ends it"


def test_a_breaker_is_told_once_the_outage_lasts(system: System) -> None:
    since = NOW - timedelta(seconds=system.services.policy.breaker.open_max_s)
    out = Breaker(9, NOW + timedelta(seconds=60), "server_error", NOW, since)

    assert found(system, breakers={DEEPSEEK: out}, now=NOW - timedelta(seconds=1)) == []
    item = only(found(system, breakers={DEEPSEEK: out}, now=NOW), "breaker_open")
    assert (item.subject, item.since) == ("deepseek/deepseek-chat", since)
    assert "9 times in a row (server_error)" in item.text
    refused = replace(out, reason="bad_key")
    assert found(system, breakers={DEEPSEEK: refused}, now=NOW) == []


def test_a_round_that_no_worker_takes_is_told_after_the_reaper_had_its_turn(system: System) -> None:
    benchmark.start_round(system.services)
    assert found(system) == []
    change(system, "UPDATE rounds SET planned_at = planned_at - interval '130 seconds'")

    assert only(found(system), "no_worker").severity is Severity.CRITICAL

    (key, *_) = system.celery.take_probes()
    benchmark.run_probe(system.services, key)
    assert found(system) == []


def test_no_round_for_two_intervals_is_told_since_the_last_one(system: System) -> None:
    run_round(system)
    back = "planned_at = planned_at - interval '2 hours', finished_at = finished_at - interval '2 hours'"
    change(system, f"UPDATE rounds SET {back}, slot_start = NULL")  # noqa: S608  # a text of ours

    item = only(found(system), "benchmark_silent")

    assert "2.0 intervals of 3600 s" in item.text
    assert item.since is not None
    assert timedelta(hours=2) <= datetime.now(UTC) - item.since < timedelta(hours=2, minutes=2)


def test_a_budget_that_is_spent_is_told_with_the_figures(system: System) -> None:
    run_round(system)
    poor = with_policy(system, budget={"day_usd": 0.01})
    assert "$0.0400 of the $0.0100 per day" in only(found(poor), "budget_spent").text

    change(poor, "UPDATE rounds SET slot_start = slot_start - interval '1 hour'")
    benchmark.start_slot(poor.services)

    assert "the latest was skipped" in only(found(poor), "budget_spent").text


@pytest.mark.parametrize(
    ("change_", "kind"),
    [("status = 'partial'", "round_partial"), ("status = 'failed'", "round_failed"), ("degraded", "round_degraded")],
)
def test_a_latest_round_that_moves_nothing_is_told(system: System, change_: str, kind: str) -> None:
    run_round(system)
    change(system, f"UPDATE rounds SET {change_ if '=' in change_ else 'degraded = true'}")  # noqa: S608  # above

    assert [each.kind for each in found(system)] == [kind]


def test_failures_of_our_own_are_told_as_ours(system: System) -> None:
    for name in ("deepseek", "gemini"):
        system.client.behaviours[name] = fails_with(LocalFailure)
    run_round(system)

    item = only(found(system), "own_network")

    assert item.text.startswith("20 calls of the last 5 minutes")
    change(system, "UPDATE probes SET finished_at = finished_at - interval '6 minutes'")
    assert [each.kind for each in found(system)] == []


def test_a_disk_that_fills_up_is_told(system: System) -> None:
    full = with_policy(system, health={"disk_free_mb": 1e12})

    item = only(found(full), "disk")
    assert str(full.services.settings.snapshot_file.parent) == item.subject


def test_a_process_that_is_missing_is_told_since_its_first_end(system: System, tmp_path: Any) -> None:
    file = tmp_path / "processes.json"
    Missing(file, ["beat"]).ended("beat", "signal 9", 1_000.0)
    services = replace(system.services, settings=replace(system.services.settings, processes_file=file))

    item = only(found(replace(system, services=services)), "process_missing")

    assert (item.subject, item.since) == ("beat", datetime.fromtimestamp(1000, UTC))
    assert "it ended once, last by signal 9" in item.text


@pytest.mark.parametrize(
    ("name", "said", "kind", "cure"),
    [
        ("postgres", "PostgreSQL is not reachable: no", "dependency_away", "start PostgreSQL"),
        ("postgres", "PostgreSQL cannot do it now: no space left", "dependency_away", "make room on its disk"),
        ("redis", "Redis is not reachable: no", "dependency_away", "start Redis"),
        ("redis", "Redis cannot be written: OOM", "dependency_away", "raise its maxmemory"),
        ("redis", "no answer for 9 s", "dependency_away", "start Redis"),
        ("ingest", "stands still: outcomes have waited for 99 s", "ingest_lag", "`tooloo worker`"),
        ("config", "none found", "config_degraded", "bring PostgreSQL or Redis back"),
        ("clock", "20 s behind PostgreSQL's", "clock_off", "timedatectl"),
        ("files", "not taken over, the one before stays: x", "config_not_taken", "correct the file"),
    ],
)
def test_what_a_look_found_is_told_since_it_was_seen(
    system: System, name: str, said: str, kind: str, cure: str
) -> None:
    (item,) = items(system.services, Known({name: State(said, NOW)}, Vitals(), {}), NOW)

    assert (item.kind, item.since) == (kind, NOW)
    assert cure in item.cure


def test_ingest_that_only_cannot_be_seen_is_no_trouble_of_its_own(system: System) -> None:
    states = {"ingest": State("unknown: Redis is not reachable", NOW)}

    assert items(system.services, Known(states, Vitals(), {}), NOW) == []


def test_the_critical_ones_come_first(system: System) -> None:
    states = {"config": State("none found", NOW - timedelta(hours=1)), "redis": State("Redis is not reachable", NOW)}

    assert [each.kind for each in items(system.services, Known(states, Vitals(), {}), NOW)] == [
        "dependency_away",
        "config_degraded",
    ]


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def test_the_api_tells_what_the_process_knows(client: FlaskClient, system: System) -> None:
    def told() -> list[dict[str, Any]]:
        with client.get("/api/v1/system/attention") as answer:
            assert answer.status_code == 200
            return list(json.loads(answer.get_data())["data"])

    assert told() == []
    system.client.behaviours["deepseek"] = fails_with(BadKey)
    run_round(system)

    wait_until(lambda: bool(told()), what="the scorecard comes")
    (item,) = told()
    assert item.keys() == {"kind", "severity", "subject", "since", "text", "cure"}
    assert (item["kind"], item["severity"]) == ("key_refused", "critical")
    assert isinstance(item["since"], int)
    with client.get("/readyz") as ready:
        assert ready.status_code == 200
        (said,) = ready.get_json()["data"]["needsPerson"]
        assert ready.get_json()["data"]["status"] == "degraded"
    assert said == f"{item['text']}: {item['cure']}"
