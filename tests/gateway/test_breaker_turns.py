"""What breakers turned is kept: once over all processes, whatever they see of it, and shown on the time axis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from app import bootstrap
from app.api import create_app
from app.bootstrap import Running
from app.domain.catalog import Target
from app.domain.policy import BreakerPolicy
from app.errors import BadKey, Overloaded, ProviderError
from app.evidence import ingest
from app.evidence.recorder import STREAM, TURN, Entry
from app.gateway.breakers import Breakers
from app.operations import retention
from app.store import database
from app.store.models import BreakerTurn
from tests.support.system import System
from tests.support.waiting import wait_until

TARGET = Target("one", "m")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def connection(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


class Seen(list[Entry]):
    """What several processes hand over, in order."""

    def turns(self) -> list[tuple[str, str, int, float | None]]:
        rows = [entry[TURN] for entry in self]
        return [(row["state"], row["reason"], row["failures"], row["lasted_s"]) for row in rows]  # type: ignore[index]  # what is callable is never a turn


def see(breakers: Breakers, error: ProviderError | None, after_s: float = 0) -> None:
    breakers.observe(TARGET, error, NOW + timedelta(seconds=after_s))
    breakers.stop()


def test_an_outage_that_three_processes_see_opens_once_and_closes_once(connection: redis.Redis) -> None:
    seen = Seen()
    processes = [Breakers(connection, BreakerPolicy(), seen.append) for _ in range(3)]
    for process in processes:
        see(process, Overloaded())
    see(processes[0], Overloaded(), 1)  # under way when it opened
    see(processes[1], Overloaded(), 60)  # a trial: the outage goes on
    for process in processes:
        process.refresh(connection)
    see(processes[2], None, 90)
    see(processes[0], None, 91)

    assert seen.turns() == [("open", "overloaded", 3, None), ("closed", "overloaded", 5, 90.0)]


@pytest.mark.parametrize(
    ("error", "code"),
    [(Overloaded("come back later", retry_after_s=20), "overloaded"), (BadKey("no such key"), "bad_key")],
)
def test_what_opens_at_its_first_failure_is_kept_too(connection: redis.Redis, error: ProviderError, code: str) -> None:
    seen = Seen()
    (breakers,) = [Breakers(connection, BreakerPolicy(), seen.append)]
    see(breakers, error)
    see(breakers, None, 30)

    assert seen.turns() == [("open", code, 1, None), ("closed", code, 1, 30.0)]


def test_failures_that_open_nothing_are_no_turns(connection: redis.Redis) -> None:
    seen = Seen()
    (breakers,) = [Breakers(connection, BreakerPolicy(), seen.append)]
    for error in (Overloaded(), Overloaded(), None, Overloaded(), None):
        see(breakers, error)

    assert seen == []


@pytest.fixture
def running(system: System) -> Iterator[Running]:
    made = bootstrap.start(system.services, seed=1)
    yield made
    made.stop()


@pytest.fixture
def client(running: Running) -> FlaskClient:
    return create_app(running).test_client()


def turned(system: System, running: Running, *errors: ProviderError | None, total: int = 1) -> None:
    """The first target's calls ended so, just now; with what that turned there are `total` in PostgreSQL."""
    target, now = system.services.targets[0], datetime.now(UTC)
    for number, error in enumerate(errors):
        running.gateway.breakers.observe(target, error, now - timedelta(seconds=len(errors) - number))
    running.gateway.breakers.stop()

    def stored() -> bool:
        ingest.ingest(system.services)
        with database.transaction(system.services.sessions) as session:
            return session.scalar(select(func.count()).select_from(BreakerTurn)) == total

    wait_until(stored, what=f"{total} turns")


def markers(client: FlaskClient, **asked: str) -> list[dict[str, Any]]:
    found = client.get("/api/v1/system/timeline", query_string=asked).get_json()["data"]["markers"]
    return [each for each in found if each["kind"].startswith("breaker")]


def test_the_time_axis_says_who_was_left_alone_why_and_for_how_long(
    system: System, running: Running, client: FlaskClient
) -> None:
    turned(system, running, Overloaded(), Overloaded(), Overloaded())
    turned(system, running, None, total=2)

    target = system.services.targets[0]
    opened, closed = markers(client)
    assert (opened["kind"], opened["code"], opened["provider"], opened["model"]) == (
        "breaker_open", "overloaded", target.provider, target.model,
    )  # fmt: skip
    assert opened["text"] == f"{target} is left alone: overloaded, 3 failures in a row"
    assert closed["kind"] == "breaker_closed"
    assert closed["text"].startswith(f"{target} serves again after ")
    assert 0 <= closed["lasted"] < 60_000
    assert opened["at"] < closed["at"]
    assert markers(client, provider=target.provider) == [opened, closed]
    assert markers(client, provider="nobody") == []
    assert "is left alone" in client.get("/timeline").get_data(as_text=True)


def test_what_is_delivered_again_is_kept_once(system: System, running: Running, client: FlaskClient) -> None:
    turned(system, running, BadKey("no such key"))
    with database.transaction(system.services.sessions) as session:
        before = session.scalar(select(func.count()).select_from(BreakerTurn))
    ingest.ingest(system.services)
    ingest.ingest(system.services)
    with database.transaction(system.services.sessions) as session:
        assert session.scalar(select(func.count()).select_from(BreakerTurn)) == before == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "ajar"},
        {"failures": -1},
        {"failures": "3"},
        {"lasted_s": -1.0},
        {"provider": "x" * 65},
        {"reason": "a\u0000"},
        {"at": "1970-01-01T00:00:00+00:00"},
        {"model": None},
    ],
)
def test_a_turn_that_is_none_is_dropped_and_counted_and_holds_up_nothing(system: System, wrong: dict[str, Any]) -> None:
    right = {
        "at": datetime.now(UTC).isoformat(), "provider": "one", "model": "m", "state": "open", "reason": "timeout",
        "failures": 3, "lasted_s": None,
    }  # fmt: skip
    for entry in ({**right, **wrong}, right):
        system.services.redis.xadd(STREAM, {TURN: json.dumps(entry)})
    ingest.ingest(system.services)

    with database.transaction(system.services.sessions) as session:
        assert [row.state for row in session.scalars(select(BreakerTurn))] == ["open"]
    assert ingest.pulse(system.services.redis, "0-0").dropped == 1


def test_old_turns_are_forgotten_and_young_ones_stay(system: System, running: Running) -> None:
    turned(system, running, BadKey("no such key"))
    turned(system, running, None, total=2)
    days = timedelta(days=system.services.policy.retention.hourly_days + 1)
    with database.transaction(system.services.sessions) as session:
        session.execute(update(BreakerTurn).where(BreakerTurn.state == "open").values(at=BreakerTurn.at - days))
    retention.retain(system.services)

    with database.transaction(system.services.sessions) as session:
        assert list(session.scalars(select(BreakerTurn.state))) == ["closed"]
