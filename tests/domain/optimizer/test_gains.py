"""What one choice gained over another, and how sure that is."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from app.domain.optimizer.gains import gained
from tests.domain.small_world import POLICY

LIMITS = POLICY.weights


def prompts(values: list[float]) -> dict[str, float]:
    return {f"p{place}": value for place, value in enumerate(values)}


def test_of_one_round_it_is_the_paired_difference_with_students_interval() -> None:
    values = [0.1, 0.3, 0.2, 0.4, 0.0]

    found = gained([(1.0, prompts(values))], LIMITS)

    error = math.sqrt(sum((value - 0.2) ** 2 for value in values) / 4 / 5)
    assert found is not None
    assert found.value == pytest.approx(0.2)
    assert found.high - found.value == pytest.approx(2.869 * error, rel=1e-3)  # 95.45 % at four degrees of freedom
    assert found.value - found.low == pytest.approx(found.high - found.value)
    assert (found.rounds, found.prompts) == (1, 5)


def test_the_same_prompts_again_tell_nothing_new() -> None:
    once = gained([(1.0, prompts([0.1, 0.3, 0.2, 0.4]))], LIMITS)
    often = gained([(0.7**age, prompts([0.1, 0.3, 0.2, 0.4])) for age in range(6)], LIMITS)

    assert once is not None
    assert often is not None
    assert (often.low, often.high) == (pytest.approx(once.low), pytest.approx(once.high))


def test_repeats_take_the_noise_of_answers_out() -> None:
    rng = random.Random(1)
    rounds = [(1.0, prompts([0.1 + rng.gauss(0, 0.2) for _ in range(10)])) for _ in range(6)]

    one, six = gained(rounds[:1], LIMITS), gained(rounds, LIMITS)

    assert one is not None
    assert six is not None
    assert six.high - six.low < 0.6 * (one.high - one.low)


def test_other_prompts_are_more_to_conclude_from() -> None:
    values = [0.1, 0.3, 0.2, 0.4]
    other = {f"q{place}": value for place, value in enumerate(values)}

    same = gained([(1.0, prompts(values)), (1.0, prompts(values))], LIMITS)
    both = gained([(1.0, prompts(values)), (1.0, other)], LIMITS)

    assert same is not None
    assert both is not None
    assert both.high - both.low < same.high - same.low


def test_a_later_round_counts_more() -> None:
    found = gained([(1.0, prompts([0.3] * 5)), (0.5, prompts([0.0] * 5))], LIMITS)

    assert found is not None
    assert found.value == pytest.approx(0.2)


def test_calls_that_agree_to_the_digit_agree_by_chance() -> None:
    found = gained([(1.0, prompts([0.01] * 10))], LIMITS)
    exact = gained([(1.0, prompts([0.01] * 10))], replace(LIMITS, least_sd=0.0))

    assert found is not None
    assert exact is not None
    assert found.low < 0 < exact.low


def test_what_both_choices_agree_on_is_no_doubt() -> None:
    found = gained([(1.0, prompts([0.0] * 10))] * 3, LIMITS)

    assert found is not None
    assert found.low == found.value == found.high == 0


def test_the_best_of_many_must_be_surer() -> None:
    alone, of_many = (gained([(1.0, prompts([0.1, 0.3, 0.2, 0.4]))], LIMITS, among) for among in (1, 19))

    assert alone is not None
    assert of_many is not None
    assert alone.low > 0 > of_many.low


@pytest.mark.parametrize("rounds", [[], [(1.0, {})], [(1.0, {"p": 0.5})] * 4])
def test_one_prompt_tells_nothing(rounds: list) -> None:
    assert gained(rounds, LIMITS) is None


def test_two_standard_errors_are_missed_by_chance_as_often_as_they_say() -> None:
    rng, missed, runs = random.Random(7), 0, 400
    for _ in range(runs):
        own = [rng.gauss(0, 0.1) for _ in range(10)]  # of each prompt, the same in each round
        rounds = [(0.7**age, prompts([each + rng.gauss(0, 0.2) for each in own])) for age in range(6)]
        found = gained(rounds, LIMITS)
        assert found is not None
        missed += not found.low <= 0 <= found.high

    assert 0.02 < missed / runs < 0.08
