"""GET /api/v1/system/baselines and POST /api/v1/system/what-if, and the commands on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from app import bootstrap
from app.api import create_app
from app.cli.main import cli
from app.operations import rolling
from app.store import baselines as store
from app.store import database, outcomes
from app.store.models import Usage
from tests.store.test_outcomes import row
from tests.support.rounds import run_round, takes
from tests.support.served import served
from tests.support.system import System

SYSTEM = "/api/v1/system"
MODELS = {"deepseek": 240.0, "gemini": 350.0}


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def record(system: System, count: int = 240) -> None:
    """An hour of requests of which four fifths went to gemini, the slower one, and the others to deepseek."""
    now, rows = datetime.now(UTC), []
    targets = {target.provider: target for target in system.services.targets}
    for number in range(count):
        name, chance = ("deepseek", 0.2) if number % 5 == 0 else ("gemini", 0.8)
        rows.append(
            row(
                f"req-{number}", provider=name, model=targets[name].model, propensity=chance, attempt=1,
                latency_ms=MODELS[name] + number % 11, cost_usd=0.001, success=True,
                simulated=system.services.simulated, at=now - timedelta(seconds=60 + 14 * number),
            )
        )  # fmt: skip
    with database.transaction(system.services.sessions) as session:
        outcomes.record(session, rows)


def record_after(system: System) -> None:
    """Requests after the rounds, which can be replayed."""
    target = system.services.targets[0]
    rows = [
        row(
            f"late-{number}", provider=target.provider, model=target.model, propensity=0.9, attempt=1, cost_usd=0.001,
            latency_ms=240.0 + number % 7, simulated=system.services.simulated, at=datetime.now(UTC),
        )
        for number in range(40)
    ]  # fmt: skip
    with database.transaction(system.services.sessions) as session:
        outcomes.record(session, rows)


def measured(system: System) -> None:
    for name, latency_ms in (MODELS | {"anthropic": 450.0, "openai": 520.0}).items():
        system.client.behaviours[name] = takes(latency_ms)
    run_round(system)
    record(system)


def baselines(client: FlaskClient, query: str = "from=now-1h") -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{SYSTEM}/baselines?{query}").get_json()
    return found


def test_baselines_say_what_routing_gave_beside_others(client: FlaskClient, system: System) -> None:
    measured(system)

    data = baselines(client)["data"]

    assert (data["requests"], data["readShare"]) == (240, 1.0)
    assert data["routing"]["latencyMs"] == pytest.approx(0.8 * 350 + 0.2 * 240 + 5, abs=2)
    first = next(each for each in data["baselines"] if each["name"] == "first")
    assert first["target"].startswith("deepseek/")
    assert (first["source"], first["effectiveCalls"]) == ("live", 48.0)
    slower = first["differences"]["latencyMs"]
    assert slower["verdict"] == "worse"
    assert slower["low"] < 0.8 * 110 < slower["high"]
    assert first["differences"]["costUsd"]["verdict"] == "cannot tell"
    assert f"beside always {first['target']}: 88 ms slower per call (±" in first["text"]
    assert first["saved"]["hours"]["high"] < 0
    assert next(each for each in data["baselines"] if each["name"] == "random")["source"] == "rounds"


def test_of_a_long_time_a_share_is_read_and_said(
    client: FlaskClient, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(system)
    monkeypatch.setattr(store, "share_read", lambda *_: 0.5)

    data = baselines(client)["data"]

    assert data["readShare"] == 0.5  # of pages: these rows fill few
    assert data["requests"] in range(1000)


def test_how_much_is_read_follows_from_how_much_there_is(system: System) -> None:
    """A million requests on each of two days: of both days 300,000 of two million, of six hours all of the 250,000."""
    end = datetime(2026, 3, 3, tzinfo=UTC)
    with database.transaction(system.services.sessions) as session:
        sums = dict.fromkeys(("failed", "unpriced", "prompt_tokens", "completion_tokens", "cost_usd"), 0)
        for day in (1, 2):
            of = {"key": "", "segment": "", "provider": "p", "model": "m", "simulated": True}
            session.add(Usage(day=date(2026, 3, day), requests=1_000_000, **of, **sums))
        session.flush()
        both = store.share_read(session, end - timedelta(days=2), end - timedelta(seconds=1))
        some = store.share_read(session, end - timedelta(hours=6), end - timedelta(seconds=1))

    assert both == pytest.approx(0.15, rel=0.01)
    assert some == 1.0


def over_days(system: System, days: int = 3) -> None:
    """As the first hour, every hour of some days, summed up."""
    rows = []
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    targets = {target.provider: target for target in system.services.targets}
    for number in range(days * 240):
        name, chance = ("deepseek", 0.2) if number % 5 == 0 else ("gemini", 0.8)
        rows.append(
            row(
                f"day-{number}", provider=name, model=targets[name].model, propensity=chance, attempt=1,
                latency_ms=MODELS[name] + number % 11, cost_usd=0.001, success=True,
                simulated=system.services.simulated, at=now - timedelta(minutes=5 + 6 * number),
            )
        )  # fmt: skip
    with database.transaction(system.services.sessions) as session:
        outcomes.record(session, rows)
    rolling.roll_up(system.services)


def test_a_series_says_it_day_by_day(client: FlaskClient, system: System) -> None:
    measured(system)
    over_days(system)

    data = baselines(client, "from=now-3d&by=day")["data"]

    assert (data["summed"], data["hoursWaiting"]) == (True, 0)
    assert len(data["series"]) in (3, 4)
    assert sum(period["requests"] for period in data["series"]) == data["requests"] > 700
    whole = [period for period in data["series"] if period["to"] - period["from"] == 86_400_000]
    assert len(whole) >= 2
    for period in whole:
        first = next(each for each in period["baselines"] if each["name"] == "first")
        assert (first["source"], first["differences"]["latencyMs"]["verdict"]) == ("live", "worse")
        assert first["differences"]["latencyMs"]["low"] < 88 < first["differences"]["latencyMs"]["high"]
        assert first["differences"]["costUsd"]["verdict"] == "cannot tell"
    assert baselines(client, "from=now-3d")["data"]["series"] == []


def test_a_series_of_too_many_steps_is_refused_by_name(client: FlaskClient) -> None:
    assert "31 days" in baselines(client, "from=now-32d&by=day")["error"]["message"]
    assert baselines(client, "by=hour")["error"]["field"] == "by"
    assert baselines(client, "from=now-365d&by=week")["data"]["series"][0]["baselines"] == []


def test_with_nothing_recorded_nobody_can_tell(client: FlaskClient) -> None:
    data = baselines(client)["data"]

    assert (data["requests"], data["baselines"]) == (0, [])
    assert data["text"].startswith("cannot tell: no request")
    assert set(data["routing"].values()) == {None}


def test_what_is_asked_for_wrongly_is_named(client: FlaskClient, system: System) -> None:
    measured(system)

    def error(body: object, query: str = "from=now-1h") -> dict[str, Any]:
        found: dict[str, Any] = client.post(f"{SYSTEM}/what-if?{query}", json=body).get_json()["error"]
        return found

    assert baselines(client, "days=3")["error"]["field"] == "days"
    assert error({"weights": {"latency": 0.9, "cost": 0.9}})["field"] == "weights"
    assert "weights.latency" in error({"weights": {"latency": 2}})["field"]
    assert error({"objectives": {}})["field"] == "objectives"
    assert error({}, "from=now-2h&to=now-1h")["field"] == "from"


def test_what_if_replays_what_was_recorded_and_changes_nothing(client: FlaskClient, system: System) -> None:
    run_round(system)
    measured(system)
    record_after(system)
    before = client.get(f"{SYSTEM}/runtime-config").get_json()["data"]

    asked = {"weights": {"latency": 0.9}, "objective": {"latencyRefMs": 300}}
    data = client.post(f"{SYSTEM}/what-if?from=now-1h", json=asked).get_json()["data"]

    assert data["whatIf"]["weights"]["latency"] == 0.9
    assert sum(data["whatIf"]["weights"].values()) == pytest.approx(1)
    assert data["whatIf"]["objective"]["latencyRefMs"] == 300
    assert (data["rounds"], data["requests"]) == (2, 40)
    assert sum(data["now"]["shares"].values()) == pytest.approx(1)
    assert client.get(f"{SYSTEM}/runtime-config").get_json()["data"] == before


def test_the_commands_show_both(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    measured(system)
    with served(system) as url:

        def run(*arguments: str) -> str:
            variables = {"TOOLOO_URL": url, "TOOLOO_ADMIN_KEY": "", "TOOLOO_API_KEY": "", "COLUMNS": "80"}
            result = CliRunner().invoke(cli, arguments, env=variables)
            assert result.exit_code == 0, result.output
            return result.output

        better = run("better", "--since", "1h")
        assert "240 requests whose target was drawn" in better
        assert "beside always deepseek/" in better
        assert max(map(len, better.splitlines()[:6])) <= 80
        assert json.loads(run("better", "--since", "1h", "--json"))["requests"] == 240
        over_days(system)
        days = run("better", "--since", "3d", "--by", "day", "--measure", "latencyMs")
        assert max(map(len, days.splitlines())) <= 80
        assert "+88 ±" in days
        record_after(system)
        assert "would have gone elsewhere" in run("whatif", "--latency", ".6", "--since", "1h")
