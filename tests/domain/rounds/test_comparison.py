"""A round against earlier ones: what is clear is said, what is chance is not."""

from __future__ import annotations

import math
import random

import pytest

from app.domain.catalog import Target
from app.domain.rounds.comparison import Difference, Sample, differences, insight, student

A, B = Target("deepseek", "m"), Target("gemini", "m")
#: prompts differ among each other far more than rounds do
PROMPT_MS = [100.0 * 1.5**n for n in range(10)]


def a_round(
    rng: random.Random,
    *,
    target: Target = A,
    factor: float = 1.0,
    sigma: float = 0.12,
    quality: float = 0.9,
    failures: int = 0,
) -> list[Sample]:
    return [
        Sample(
            target=target,
            prompt_id=f"p{n}",
            calls=1,
            successes=int(n >= failures),
            ln_latency=math.log(factor * ms) + rng.gauss(0, sigma) if n >= failures else None,
            ln_cost=math.log(0.001),
            quality=quality + rng.gauss(0, 0.02) if n >= failures else None,
        )
        for n, ms in enumerate(PROMPT_MS)
    ]


def of(found: list[Difference], what: str) -> Difference:
    return next(each for each in found if each.what == what)


@pytest.mark.parametrize(
    ("freedom", "share", "quantile"),
    [
        (1, 0.975, 12.706),
        (3, 0.995, 5.841),
        (9, 0.975, 2.262),
        (9, 0.9995, 4.781),
        (30, 0.99, 2.457),
        (1000, 0.975, 1.962),
    ],
)
def test_student_has_the_quantiles_of_the_tables(freedom: int, share: float, quantile: float) -> None:
    assert student(freedom, share) == pytest.approx(quantile, abs=0.001)


def test_a_latency_that_doubled_is_clear_and_said_with_its_interval() -> None:
    rng = random.Random(1)
    found = differences(a_round(rng, factor=2), a_round(rng))

    latency = of(found, "latency")
    assert latency.clear
    assert not latency.better
    assert latency.low < 2 < latency.high
    said = insight("the round before", found)
    assert said is not None
    assert said.text.startswith("Against the round before, prompt by prompt: deepseek latency worse: ")
    assert "no clear difference in 3 other comparisons" in said.text


def test_between_two_equal_rounds_there_is_no_clear_difference() -> None:
    rng = random.Random(2)
    said = insight("the round before", differences(a_round(rng), a_round(rng)))

    assert said is not None
    assert said.text == "Against the round before, prompt by prompt: no clear difference in 4 comparisons"


def test_chance_alone_looks_clear_in_at_most_one_round_of_twenty() -> None:
    rng = random.Random(3)
    alarms = 0
    for _ in range(400):
        now, then = ([*a_round(rng), *a_round(rng, target=B, sigma=0.3)] for _ in range(2))
        alarms += any(each.clear for each in differences(now, then))

    # 20 expected at most; the chance of more than 34 would be one in a thousand
    assert alarms <= 34


def test_a_provider_that_fails_every_call_is_clearly_worse_and_one_failure_is_not() -> None:
    rng = random.Random(4)

    assert of(differences(a_round(rng, failures=10), a_round(rng)), "success").clear
    assert not of(differences(a_round(rng, failures=1), a_round(rng)), "success").clear


def test_a_change_that_nobody_cares_about_is_not_clear_however_exact() -> None:
    rng = random.Random(5)
    found = differences(a_round(rng, factor=1.01, sigma=0), a_round(rng, sigma=0))

    assert of(found, "latency").change == pytest.approx(1.01)
    assert not of(found, "latency").clear


def test_only_prompts_that_were_asked_both_times_are_compared() -> None:
    rng = random.Random(6)
    slow_ones_only = a_round(rng)[6:]

    assert not of(differences(slow_ones_only, a_round(rng)), "latency").clear
    assert differences(a_round(rng, target=B), a_round(rng)) == []
    assert insight("the round before", []) is None
