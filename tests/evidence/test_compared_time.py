"""Sums per hour, day and week tell a comparison what the single calls would."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.policy import Objective
from app.domain.replay.baseline_types import DEAR, LATE, LiveCell, RoundCell
from app.evidence import compared_time
from app.evidence.compared_time import Recorded, recorded
from app.store import database, outcomes, rollups
from app.store.database import Sessions
from tests.store.test_outcomes import row
from tests.support.system import System

OBJECTIVE = Objective(latency_ref_ms=450.0, cost_ref_usd=0.0013)
KEPT = rollups.Kept(timedelta(days=90), timedelta(days=400), timedelta(days=400))
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAYS = 12
START = TODAY - timedelta(days=DAYS)
PLACES = {"deepseek": 0.7, "gemini": 0.2, "openai": 0.1}


def calls(seed: int = 1) -> list[dict[str, Any]]:
    """Of every sort: failed, free, of no known price, not counted, not drawn, a second attempt."""
    rng, rows = random.Random(seed), []
    for number in range(1200):
        provider = rng.choices(list(PLACES), list(PLACES.values()))[0]
        ok = rng.random() < 0.9
        rows.append(
            row(
                f"r{number}", provider=provider, model="m", at=START + timedelta(days=DAYS * rng.random()), success=ok,
                latency_ms=rng.lognormvariate(6, 0.5), cost_usd=rng.choice([None, 0.0, 0.001, 0.0021]) if ok else None,
                propensity=rng.choice([PLACES[provider], PLACES[provider] / 2, None]), counts=rng.random() < 0.95,
                attempt=rng.choice([1, 1, 1, 2]), error_class=None if ok else "timeout",
            )
        )  # fmt: skip
    return rows


def probe(sessions: Sessions) -> None:
    """A round every six hours, of which the last is not over; a probe of each target and prompt in each."""
    with sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO rounds (id, trigger, status, planned_at, deadline_at, finished_at, expected_n, simulated)"
                " SELECT 'b' || n, 'manual', CASE WHEN n = :last THEN 'optimizing' ELSE 'done' END, at, at,"
                " at + interval '2 minutes', 9, true FROM (SELECT n, :start + n * interval '6 hours' AS at"
                " FROM generate_series(0, :last) AS n) AS rounds"
            ),
            {"start": START, "last": DAYS * 4 - 1},
        )
        session.execute(
            text(
                "INSERT INTO probes (round_id, provider, model, prompt_id, status, task_type, simulated, finished_at,"
                " latency_ms, quality, cost_usd, counts) SELECT r.id, p, 'm', 'p' || k,"
                " CASE WHEN n % 7 = 0 THEN 'error' ELSE 'ok' END, 'default', true, r.finished_at, 100 + 37 * (n % 23),"
                " .5 + .01 * (n % 11), CASE WHEN n % 5 > 0 THEN .001 * (n % 5) END, n % 13 > 0"
                " FROM (SELECT r.*, p, k, row_number() OVER (ORDER BY r.planned_at, p, k) AS n FROM rounds r,"
                " unnest(ARRAY['deepseek', 'gemini', 'openai']) AS p, generate_series(1, 3) AS k) AS r"
            )
        )


@pytest.fixture
def filled(system: System) -> Sessions:
    sessions = system.services.sessions
    probe(sessions)
    with database.transaction(sessions) as session:
        outcomes.record(session, calls())
        rollups.mark(session, [START + timedelta(hours=n) for n in range(24 * DAYS)])
        rollups.roll_up(session, 24 * DAYS, KEPT)
    return sessions


def read(sessions: Sessions, days: float = DAYS, by: str | None = None, *, end: datetime = TODAY) -> Recorded:
    with database.transaction(sessions) as session:
        return recorded(session, end - timedelta(days=days), end, by, OBJECTIVE, simulated=True)


def live_sums(cells: list[LiveCell]) -> dict[str, Any]:
    found: dict[str, list[float]] = {}
    for each in cells:
        held = found.setdefault(each.target, [0.0] * 14)
        sums = (each.calls, each.weight, each.weight2, each.unpriced, *each.plain, *each.weighted)
        found[each.target] = [a + b for a, b in zip(held, sums, strict=True)]
    return found


def histogram(cells: list[LiveCell]) -> dict[int, tuple[int, float]]:
    found: dict[int, tuple[int, float]] = {}
    for each in cells:
        for bucket, (count, weight) in each.latencies.items():
            held = found.get(bucket, (0, 0.0))
            found[bucket] = (held[0] + count, held[1] + weight)
    return {bucket: (count, round(weight, 3)) for bucket, (count, weight) in found.items()}


def round_sums(cells: list[RoundCell]) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    for each in cells:
        held = found.setdefault((each.target, each.prompt), [0.0] * 9)
        sums = (each.calls, each.graded, each.quality, each.unpriced, *each.sums)
        found[each.target, each.prompt] = [a + b for a, b in zip(held, sums, strict=True)]
    return found


def near(found: Any, wanted: Any, places: tuple[int, ...]) -> None:
    """`places`: what was too slow or too dear, told from buckets."""
    assert set(found) == set(wanted)
    assert found
    for key, sums in found.items():
        for place, value in enumerate(sums):
            assert value == pytest.approx(wanted[key][place], rel=0.01 if place in places else 1e-9), (key, place)


@pytest.mark.parametrize("days", [2, 9, 12])
def test_sums_are_those_of_the_single_calls(filled: Sessions, days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    summed = read(filled, days)
    monkeypatch.setattr(compared_time, "CALLS", timedelta(days=99))
    single = read(filled, days)

    assert (summed.summed, single.summed) == (True, False)
    late = tuple(first + each for first in (4, 9) for each in (LATE, DEAR))
    near(live_sums(list(summed.whole.live)), live_sums(list(single.whole.live)), late)
    assert histogram(list(summed.whole.live)) == histogram(list(single.whole.live))
    near(round_sums(list(summed.whole.rounds)), round_sums(list(single.whole.rounds)), (4 + LATE, 4 + DEAR))


@pytest.mark.parametrize("by", ["day", "week", "month"])
def test_periods_share_what_there_is(filled: Sessions, by: str) -> None:
    found = read(filled, by=by)

    ends = [START, *(period.end for period in found.periods)]
    assert [period.start for period in found.periods] == ends[:-1]
    assert ends[-1] == TODAY
    assert all(_begins(by, end) for end in ends[1:-1])
    assert len(found.periods) in {"day": (12,), "week": (2, 3), "month": (1, 2)}[by]
    parts = [cell for period in found.periods for cell in period.live]
    near(live_sums(parts), live_sums(list(found.whole.live)), ())
    for period in found.periods:
        blocks = {cell.block for cell in period.live}
        assert {cell.block for cell in period.rounds} <= set(range(min(blocks), max(blocks) + 1))


def _begins(by: str, at: datetime) -> bool:
    return {"day": at.hour == 0, "week": at.weekday() == 0, "month": at.day == 1}[by]


def test_a_whole_time_has_thirty_blocks_at_most(filled: Sessions) -> None:
    for days in (1, 2, 12, 300):
        found = read(filled, days)
        assert max(cell.block for cell in found.whole.live) < 30
        assert {cell.block for cell in found.whole.rounds} <= set(range(30))


def test_hours_that_are_not_summed_up_yet_are_told(filled: Sessions) -> None:
    with database.transaction(filled) as session:
        rollups.mark(session, [START + timedelta(hours=1), START + timedelta(hours=1), START + timedelta(hours=5)])

    assert read(filled).waiting == 2
    assert read(filled, 2).waiting == 0


def test_a_round_that_is_not_over_tells_nothing(filled: Sessions) -> None:
    """The last of the twelve days has four rounds, of which one is still being looked at."""
    with database.transaction(filled) as session:
        calls = session.scalars(
            text("SELECT sum(calls) FROM probed_sums WHERE grain = 'day' AND at >= :day"),
            {"day": TODAY - timedelta(days=1)},
        ).one()
        counted = session.scalars(
            text(
                "SELECT count(*) FROM probes p JOIN rounds r ON r.id = p.round_id"
                " WHERE r.status = 'done' AND p.counts AND p.finished_at >= :day"
            ),
            {"day": TODAY - timedelta(days=1)},
        ).one()
    assert calls == counted < 36
