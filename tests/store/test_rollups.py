"""The sums per hour and day, in a real Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from app.domain.evidence.histogram import ERROR, merged, quantile
from app.domain.rounds.rounds import ProbeKey
from app.store import database, outcomes, retention, rollups, verdicts
from app.store.database import Sessions
from app.store.models import Rollup, RollupDue
from tests.store.test_outcomes import row

KEPT = rollups.Kept(timedelta(days=90), timedelta(days=400), timedelta(days=400))
NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
HOUR = NOW.replace(minute=0)


def record(sessions: Sessions, *rows: dict[str, Any]) -> None:
    with database.transaction(sessions) as session:
        outcomes.record(session, rows)


def roll_up(sessions: Sessions, limit: int = 100) -> int | None:
    with database.transaction(sessions) as session:
        return rollups.roll_up(session, limit, KEPT)


def sums(sessions: Sessions, **which: Any) -> list[dict[str, Any]]:
    with database.transaction(sessions) as session:
        return rollups.rows(session, NOW - timedelta(days=500), NOW + timedelta(days=1), **which)


def waiting(sessions: Sessions) -> int:
    with database.transaction(sessions) as session:
        return session.scalar(select(func.count()).select_from(RollupDue)) or 0


def calls(count: int, **other: Any) -> list[dict[str, Any]]:
    name = other.pop("name", "r")
    return [row(f"{name}{n}", **{"at": NOW, **other}) for n in range(count)]


def test_calls_of_an_hour_are_one_row_and_its_failures_another_by_their_class(sessions: Sessions) -> None:
    failed = {"success": False, "error_class": "overloaded", "latency_ms": 5.0}
    record(sessions, *calls(3, cost_usd=0.5, prompt_tokens=7), *calls(2, name="f", **failed))
    record(sessions, *calls(1, name="g", **{**failed, "error_class": "client_gone", "counts": False}))

    assert roll_up(sessions) == 1

    found = {each["error_class"]: each for each in sums(sessions)}
    assert {name: (each["calls"], each["uncounted"]) for name, each in found.items()} == {
        "": (3, 0),
        "overloaded": (2, 0),
        "client_gone": (1, 1),
    }
    assert (found[""]["at"], found[""]["source"], found[""]["provider"]) == (HOUR, "live", "deepseek")
    assert (found[""]["cost_usd"], found[""]["prompt_tokens"], found[""]["unpriced"]) == (1.5, 21, 0)
    assert waiting(sessions) == 0


def test_an_hour_made_again_is_the_same_and_late_rows_come_into_their_own(sessions: Sessions) -> None:
    yesterday = NOW - timedelta(days=1)
    record(sessions, *calls(3), *calls(2, name="y", at=yesterday))
    roll_up(sessions)
    before = sums(sessions)
    record(sessions, *calls(3))  # delivered once more
    roll_up(sessions)

    assert sums(sessions) == before
    record(sessions, *calls(1, name="late", at=yesterday))
    assert roll_up(sessions) == 1
    assert [each["calls"] for each in sums(sessions)] == [3, 3]
    assert [each["calls"] for each in sums(sessions, grain="day")] == [3, 3]


def test_days_are_the_sum_of_their_hours_and_so_are_their_latencies(sessions: Sessions) -> None:
    midnight = NOW.replace(hour=0, minute=0)
    for hour in range(3):
        record(sessions, *calls(10, name=f"h{hour}-", at=midnight + timedelta(hours=hour), latency_ms=100.0 * 3**hour))
    roll_up(sessions)

    (day,) = sums(sessions, grain="day")
    assert (day["at"], day["calls"], day["latency_ms"]) == (midnight, 30, 13_000.0)
    assert len(sums(sessions)) == 3
    histogram = merged([day["latency"]])
    assert quantile(histogram, 0.5) == pytest.approx(300, rel=ERROR)
    assert quantile(histogram, 0.95) == pytest.approx(900, rel=ERROR)


def test_segments_and_task_types_can_be_told_apart(sessions: Sessions) -> None:
    record(sessions, *calls(2, name="a"), *calls(3, name="b", segment="vip"), *calls(4, name="c", task_type="code"))
    roll_up(sessions)

    assert [each["calls"] for each in sums(sessions)] == [9]
    assert [each["calls"] for each in sums(sessions, segment="vip")] == [3]
    assert [each["calls"] for each in sums(sessions, segment="")] == [4, 2]
    assert [each["calls"] for each in sums(sessions, task_type="code")] == [4]
    assert [each["calls"] for each in sums(sessions, segment="vip", grain="day")] == [3]


def test_what_is_marked_while_a_run_works_waits_for_the_next_one(sessions: Sessions) -> None:
    record(sessions, *calls(1))
    with sessions.begin() as late:
        outcomes.record(late, calls(1, name="late"))  # written, not committed
        assert roll_up(sessions) == 1
    assert [each["calls"] for each in sums(sessions)] == [1]

    assert roll_up(sessions) == 1
    assert [each["calls"] for each in sums(sessions)] == [2]


def test_one_process_at_a_time_and_a_run_that_breaks_off_loses_nothing(sessions: Sessions) -> None:
    record(sessions, *calls(1))
    with sessions.begin() as broken:
        assert rollups.roll_up(broken, 9, KEPT) == 1
        assert roll_up(sessions) is None
        broken.rollback()

    assert sums(sessions) == []
    assert roll_up(sessions) == 1
    assert len(sums(sessions)) == 1


def test_many_hours_are_made_a_few_at_a_time_newest_first(sessions: Sessions) -> None:
    for hours in range(5):
        record(sessions, *calls(1, name=f"h{hours}-", at=NOW - timedelta(hours=hours)))

    assert roll_up(sessions, limit=2) == 2
    assert {each["at"] for each in sums(sessions)} == {HOUR, HOUR - timedelta(hours=1)}
    assert roll_up(sessions, limit=9) == 3


def test_sums_outlive_their_calls(sessions: Sessions) -> None:
    old = NOW - timedelta(days=89, hours=20)
    record(sessions, *calls(5, at=old), *calls(1, name="later", at=old + timedelta(minutes=20)))
    roll_up(sessions)
    before = sums(sessions)
    half = datetime.now(UTC) - old - timedelta(minutes=5)
    with database.transaction(sessions) as session:
        assert retention.delete_outcomes(session, half, 100) == 5
        rollups.mark(session, [old])
    kept = rollups.Kept(half, KEPT.probes, KEPT.hours)
    with database.transaction(sessions) as session:
        rollups.roll_up(session, 9, kept)

    assert sums(sessions) == before
    with database.transaction(sessions) as session:
        assert rollups.delete_hours(session, timedelta(days=30), 1000) == len(before) * 2
    assert sums(sessions) == []
    assert [each["calls"] for each in sums(sessions, grain="day")] == [6]
    with database.transaction(sessions) as session:
        rollups.mark(session, [old])
        rollups.roll_up(session, 9, rollups.Kept(timedelta(days=999), KEPT.probes, timedelta(days=30)))
    assert [each["calls"] for each in sums(sessions, grain="day")] == [6]


def test_probes_are_told_apart_with_their_grades_and_what_judging_them_cost(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO rounds (id, trigger, status, planned_at, deadline_at, expected_n, simulated)"
                " VALUES ('b', 'manual', 'optimizing', :at, :at, 3, false)"
            ),
            {"at": NOW},
        )
        session.execute(
            text(
                "INSERT INTO probes (round_id, provider, model, prompt_id, status, task_type, simulated, finished_at,"
                " latency_ms, quality, cost_usd, error_class, counts) VALUES"
                " ('b', 'openai', 'm', 'p1', 'ok', 'code', false, :at, 80, .5, .25, NULL, true),"
                " ('b', 'openai', 'm', 'p2', 'ok', 'code', false, :at, 80, 1, .25, NULL, true),"
                " ('b', 'openai', 'm', 'p3', 'timeout', 'code', false, :at, 900, NULL, NULL, 'timeout', true),"
                " ('b', 'openai', 'm', 'p4', 'timeout', 'code', false, :at, NULL, NULL, NULL, 'not_run', false)"
            ),
            {"at": NOW},
        )
        verdicts.add_verdict(
            session, ProbeKey("b", "openai", "m", "p1"), target="anthropic/a/b", score=1, reason="", cost_usd=2
        )
    roll_up(sessions)

    found = {(each["source"], each["provider"], each["model"], each["error_class"]): each for each in sums(sessions)}
    assert set(found) == {
        ("benchmark", "openai", "m", ""),
        ("benchmark", "openai", "m", "timeout"),
        ("judge", "anthropic", "a/b", ""),
    }
    good = found["benchmark", "openai", "m", ""]
    assert (good["calls"], good["graded"], good["quality"], good["cost_usd"]) == (2, 2, 1.5, 0.5)
    assert found["judge", "anthropic", "a/b", ""]["cost_usd"] == 2
    assert found["judge", "anthropic", "a/b", ""]["latency"] == {}


def test_a_round_that_ends_marks_all_its_hours(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO rounds (id, trigger, status, planned_at, deadline_at, expected_n, simulated)"
                " VALUES ('b', 'manual', 'optimizing', now() - interval '2 hours', now(), 0, false)"
            )
        )
        rollups.mark_round(session, "b")
        hours = set(session.scalars(select(RollupDue.hour)))
        now = database.now(session)
    this = now.replace(minute=0, second=0, microsecond=0)
    assert hours == {this - timedelta(hours=n) for n in range(3)}


@pytest.mark.parametrize("latency_ms", [0.0, 1.0, 1.1, 283.0, 4_000.0, 9e8])
def test_postgres_and_the_domain_mean_the_same_buckets(sessions: Sessions, latency_ms: float) -> None:
    record(sessions, *calls(1, latency_ms=latency_ms))
    roll_up(sessions)

    (found,) = sums(sessions)
    told = quantile(merged([found["latency"]]), 0.5)
    assert told == pytest.approx(min(max(latency_ms, 1.0), 1.1**146.5), rel=ERROR + 1e-9)


def test_nothing_to_do_writes_nothing(sessions: Sessions) -> None:
    assert roll_up(sessions) == 0
    with database.transaction(sessions) as session:
        assert session.scalar(select(func.count()).select_from(Rollup)) == 0
