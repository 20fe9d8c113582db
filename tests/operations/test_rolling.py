"""What is measured and answered comes into the sums, round by round and hour by hour."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete

from app.broker import ASKED, ROLL_UP
from app.operations import rolling
from app.store import database, outcomes, rollups
from app.store.models import RollupDue
from tests.store.test_outcomes import row
from tests.support.rounds import run_round
from tests.support.system import System


def rows(system: System) -> list[tuple[str, int]]:
    with database.transaction(system.services.sessions) as session:
        now = database.now(session)
        found = rollups.rows(session, now - timedelta(days=9), now, grain="day")
    return [(each["source"], each["calls"]) for each in found]


def test_a_finished_round_is_in_the_sums(system: System) -> None:
    run_round(system)
    rolling.roll_up(system.services)

    found = rows(system)
    assert {source for source, _ in found} == {"benchmark"}
    assert len(found) == len(system.services.targets)


def test_what_nobody_marked_is_found_within_two_hours(system: System) -> None:
    with database.transaction(system.services.sessions) as session:
        outcomes.record(session, [row("r", at=database.now(session))])
        session.execute(delete(RollupDue))
    assert rolling.roll_up(system.services) == 0

    rolling.again(system.services)
    rolling.roll_up(system.services)
    assert rows(system) == [("live", 1)]


def test_a_worker_that_ends_begins_no_further_batch(system: System) -> None:
    with database.transaction(system.services.sessions) as session:
        now = database.now(session)
        rollups.mark(session, [now - timedelta(hours=n) for n in range(60)])

    assert rolling.roll_up(system.services, lambda: True) == rolling.HOURS
    assert asked_for(system) == []
    assert rolling.roll_up(system.services) == 60 - rolling.HOURS
    assert asked_for(system) == []


def asked_for(system: System) -> list[list[str]]:
    return system.celery.take(ROLL_UP)


def test_what_a_run_leaves_is_asked_for_at_once_and_once(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """A year of hours is not made in one run: behind each of them ingest has its turn."""
    monkeypatch.setattr(rolling, "PATIENCE_S", 0.0)
    with database.transaction(system.services.sessions) as session:
        now = database.now(session)
        rollups.mark(session, [now - timedelta(hours=n) for n in range(3 * rolling.HOURS)])

    assert rolling.roll_up(system.services) == rolling.HOURS
    assert asked_for(system) == [[ASKED]]
    assert rolling.roll_up(system.services) == rolling.HOURS  # of beat, while the other waits
    assert asked_for(system) == []
    assert rolling.roll_up(system.services, asked=True) == rolling.HOURS
    assert asked_for(system) == [[ASKED]]
    assert rolling.roll_up(system.services, asked=True) == 0
    assert asked_for(system) == []
