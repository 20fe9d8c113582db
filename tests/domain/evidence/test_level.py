"""Means that are long where nothing changes and short where something does."""

from __future__ import annotations

import random
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.evidence.level import Level, Rate

RECENT, POOLED = 20.0, 200.0


def tail(rng: random.Random) -> float:
    """One of twenty calls is as slow as it can count."""
    return 1.0 if rng.random() < 0.05 else 0.3 * rng.lognormvariate(0, 0.25)


def after(values: list[float], level: Level | None = None) -> Level:
    level = level or Level()
    for value in values:
        level = level.with_value(value, RECENT, POOLED)
    return level


def test_where_nothing_changes_rare_slow_answers_are_pooled() -> None:
    """Of the last twenty alone a mean is off by three times as much."""
    means = [after([tail(random.Random(seed * 1000 + n)) for n in range(400)]).mean for seed in range(40)]
    short = [fmean(tail(random.Random(seed * 1000 + n)) for n in range(20)) for seed in range(40)]

    assert fmean(means) == pytest.approx(0.3 * 0.95 * 1.03 + 0.05, abs=0.01)
    assert pstdev(means) < 0.6 * pstdev(short)


@pytest.mark.parametrize("seed", range(5))
def test_a_change_is_followed_within_as_many_calls_as_are_recent(seed: int) -> None:
    rng = random.Random(seed)
    level = after([0.24 * rng.lognormvariate(0, 0.25) for _ in range(300)])
    changed = after([0.45 * rng.lognormvariate(0, 0.25) for _ in range(40)], level)

    assert level.mean == pytest.approx(0.247, abs=0.02)
    assert changed.mean == pytest.approx(0.464, abs=0.06)


def test_behind_a_change_a_mean_becomes_long_again() -> None:
    """The recent one alone would be as uncertain for ever, as the pooled one still holds what was before."""
    rng = random.Random(3)
    changed = after([0.24 * rng.lognormvariate(0, 0.25) for _ in range(300)])
    changed = after([0.45 * rng.lognormvariate(0, 0.25) for _ in range(150)], changed)

    assert changed.pooled == pytest.approx(0.464, rel=0.05)
    assert changed.effective_mass > 3 * RECENT


def test_a_price_that_changes_is_the_new_one_after_a_round() -> None:
    level = Level().with_round([0.05] * 10, 0.1, 0.8).with_round([0.6] * 10, 0.1, 0.8)

    assert level.mean == pytest.approx(0.6, rel=0.1)


@given(values=st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_the_order_within_a_round_says_nothing(values: list[float], seed: int) -> None:
    before = Rate().with_counts([1.0] * 9 + [0.0], 0.1, 0.95, 2.5)
    shuffled = random.Random(seed).sample(values, len(values))

    one, other = (before.with_counts(each, 0.1, 0.95, 2.5) for each in (values, shuffled))

    assert one.mean == pytest.approx(other.mean)
    assert one.effective_mass == pytest.approx(other.effective_mass)


@given(
    st.lists(st.one_of(st.floats(0, 1), st.lists(st.floats(0, 1), min_size=1, max_size=12)), max_size=60),
    st.sampled_from([Level, Rate]),
)
def test_whatever_comes_a_mean_lies_among_the_values(steps: list[float | list[float]], kind: type[Level]) -> None:
    level, seen = kind(), []
    for step in steps:
        seen += step if isinstance(step, list) else [step]
        level = level.with_round(step, 0.1, 0.8) if isinstance(step, list) else level.with_value(step, RECENT, POOLED)
        assert min(seen) - 1e-9 <= level.mean <= max(seen) + 1e-9
        assert level.variance >= 0
        assert level.effective_mass > 0


def test_three_failures_of_ten_are_chance_at_a_rate_of_nine_in_ten_and_ten_are_not() -> None:
    good = Rate().with_counts([1.0] * 90 + [0.0] * 10, 0.1, 0.95, 2.5)

    assert good.with_counts([0.0] * 3 + [1.0] * 7, 0.1, 0.95, 2.5).mean > 0.8
    assert good.with_counts([0.0] * 10, 0.1, 0.95, 2.5).mean == 0.0
