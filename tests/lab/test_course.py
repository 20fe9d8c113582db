from __future__ import annotations

import random
import statistics

import pytest

from app.lab import course, profiles
from app.lab.faults import Fault
from app.lab.trace import Sample

OPENAI = profiles.named("standard", ("openai",))["openai"]


def test_latencies_are_log_normal_around_the_median() -> None:
    steady = profiles.changed(OPENAI, {"error_rate": 0, "sigma": 0.3})
    rng = random.Random(1)
    drawn = sorted(course.drawn(steady, None, rng).begin_ms for _ in range(4001))
    assert statistics.median(drawn) == pytest.approx(520, rel=0.02)
    # one standard deviation of the logarithm on either side holds 68 %
    assert drawn[int(0.1587 * 4001)] == pytest.approx(520 * 0.7408, rel=0.04)
    assert drawn[int(0.8413 * 4001)] == pytest.approx(520 * 1.3499, rel=0.04)


def test_failures_come_at_the_error_rate_and_take_the_fail_latency() -> None:
    failing = profiles.changed(OPENAI, {"error_rate": 0.25, "error_kind": "overloaded"})
    rng = random.Random(2)
    drawn = [course.drawn(failing, None, rng) for _ in range(4000)]
    failed = [one for one in drawn if one.fault]
    assert len(failed) / 4000 == pytest.approx(0.25, abs=0.03)
    assert {(one.fault, one.begin_ms) for one in failed} == {(Fault.OVERLOADED, 120)}


@pytest.mark.parametrize("kind", ["cut", "empty"])
def test_a_fault_within_an_answer_takes_as_long_as_an_answer(kind: str) -> None:
    failing = profiles.changed(OPENAI, {"error_rate": 1, "error_kind": kind, "sigma": 0})
    assert course.drawn(failing, None, random.Random(3)).begin_ms == pytest.approx(520)


def test_the_same_seed_draws_the_same_course() -> None:
    first, second = random.Random("7/openai"), random.Random("7/openai")
    assert [course.drawn(OPENAI, None, first) for _ in range(50)] == [
        course.drawn(OPENAI, None, second) for _ in range(50)
    ]


def test_a_recorded_call_takes_its_time_divided_by_the_speed() -> None:
    taken = course.recorded(Sample(4000.0, ok=True, cost_usd=0.002, quality=0.5, tokens=70), 50)
    assert (taken.begin_ms, taken.quality, taken.fault) == (80.0, 0.5, None)
    assert taken.cost_usd(10, 10) == 0.002
