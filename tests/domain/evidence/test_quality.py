"""Quality is pooled by prompt: what repeats tell, what they do not, and how soon a change shows."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import mean, pstdev

import pytest

from app.domain.evidence.evidence import Evidence
from app.domain.evidence.quality import Grades
from app.domain.evidence.scorecard import Scorecard
from app.domain.outcome import Outcome
from tests.domain.small_world import DEEPSEEK, GEMINI, POLICY, after_rounds, calls, outcome

#: of unequal difficulty, .86 on average
UNEQUAL = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.7, 0.6, 0.4]


def graded(grades: Mapping[str, float] | Sequence[float]) -> list[Outcome]:
    named = grades if isinstance(grades, Mapping) else {str(place): grade for place, grade in enumerate(grades)}
    return [replace(outcome(DEEPSEEK, quality=grade), prompt_id=name) for name, grade in named.items()]


def known(card: Scorecard) -> Evidence:
    return card.evidence[DEEPSEEK]


def quality(card: Scorecard) -> float:
    found = known(card).quality
    assert found is not None
    return found


def noisy(rng: random.Random, grades: Sequence[float], spread: float = 0.05) -> list[float]:
    return [min(1.0, max(0.0, rng.gauss(grade, spread))) for grade in grades]


def all_or_nothing(rng: random.Random, share: float) -> list[float]:
    return [float(rng.random() < share) for _ in range(10)]


def test_the_same_prompts_again_make_nobody_surer() -> None:
    grades = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.6, 0.3, 0.1]
    once, often = after_rounds(graded(grades)), after_rounds(*[graded(grades)] * 40)

    assert 2 * known(once).quality_error == pytest.approx(0.203, abs=0.01)
    assert 2 * known(often).quality_error == pytest.approx(2 * known(once).quality_error)
    assert (known(often).quality_mass, quality(often)) == (10, pytest.approx(0.79))


def test_more_prompts_make_surer() -> None:
    few = after_rounds(graded([1.0, 0.5] * 5))
    many = after_rounds(graded([1.0, 0.5] * 20))

    assert known(many).quality_error < 0.55 * known(few).quality_error


def test_one_prompt_makes_nobody_sure() -> None:
    assert known(after_rounds(graded([0.0]))).quality_interval == (0.0, pytest.approx(0.4))


def test_answers_to_one_prompt_in_a_round_are_one_prompt() -> None:
    card = after_rounds([*graded({"a": 1.0}) * 9, *graded({"b": 0.0})])

    assert (quality(card), known(card).quality_mass) == (0.5, 2)


@pytest.mark.parametrize("seed", range(5))
def test_a_silent_fall_shows_in_the_next_round(seed: int) -> None:
    rng = random.Random(seed)
    card = after_rounds(*(graded(noisy(rng, UNEQUAL)) for _ in range(8)))
    assert quality(card) == pytest.approx(0.85, abs=0.03)

    card = card.close_round(graded(noisy(rng, [grade - 0.26 for grade in UNEQUAL])), POLICY)

    assert quality(card) == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize("rounds", [2, 3, 20])
def test_a_fall_of_a_tenth_is_no_chance_where_each_prompt_is_sure(rounds: int) -> None:
    card = after_rounds(*[graded(UNEQUAL)] * rounds, graded([grade - 0.1 for grade in UNEQUAL]))

    assert quality(card) == pytest.approx(0.76)


def test_a_recovery_shows_in_the_next_round_too() -> None:
    low = [grade * 0.5 for grade in UNEQUAL]
    card = after_rounds(*[graded(UNEQUAL)] * 5, *[graded(low)] * 2)
    assert quality(card) == pytest.approx(0.43)

    assert quality(card.close_round(graded(UNEQUAL), POLICY)) == pytest.approx(0.86)


def test_three_of_ten_prompts_that_turn_to_nothing_show_within_two_rounds() -> None:
    right = [1.0] * 9 + [0.0]
    card = after_rounds(*[graded(right)] * 8, *[graded([0.0] * 3 + right[3:])] * 2)

    assert quality(card) == pytest.approx(0.6)


@pytest.mark.parametrize("seed", range(5))
def test_two_prompts_that_turn_to_nothing_among_noisy_ones_are_believed_the_second_time(seed: int) -> None:
    rng = random.Random(seed)
    fallen = [0.0, 0.0, *UNEQUAL[2:]]
    card = after_rounds(*(graded(noisy(rng, UNEQUAL, 0.1)) for _ in range(8)))
    card = card.close_round(graded(noisy(rng, fallen, 0.1)), POLICY)
    card = card.close_round(graded(noisy(rng, fallen, 0.1)), POLICY)

    assert quality(card) == pytest.approx(0.66, abs=0.07)


def test_one_wrong_answer_is_chance() -> None:
    right = graded([1.0] * 10)
    card = after_rounds(*[right] * 8, graded([0.0] + [1.0] * 9))

    assert quality(card) > 0.975
    assert quality(card.close_round(right, POLICY)) > 0.98


def fall_of_all_or_nothing(seed: int) -> list[float]:
    rng = random.Random(seed)
    card, qualities = Scorecard.empty(), []
    for share in [0.86] * 8 + [0.45] * 2:
        card = card.close_round(graded(all_or_nothing(rng, share)), POLICY)
        qualities.append(quality(card))
    return qualities


def test_grades_of_all_or_nothing_wander_little_and_a_fall_shows_all_the_same() -> None:
    runs = [fall_of_all_or_nothing(seed) for seed in range(40)]

    assert pstdev(run[7] for run in runs) < 0.07  # of one round alone it would be .11
    assert mean(run[7] for run in runs) == pytest.approx(0.86, abs=0.02)
    assert mean(run[9] for run in runs) < 0.57


def test_a_round_of_chosen_prompts_moves_only_those() -> None:
    card = after_rounds(*[graded(UNEQUAL)] * 4, graded({"8": 0.6, "9": 0.4}))

    assert quality(card) == pytest.approx(0.86)
    assert known(card).quality_mass == pytest.approx(10)


def test_a_level_shift_moves_prompts_that_were_not_asked() -> None:
    asked = {str(place): grade - 0.3 for place, grade in enumerate(UNEQUAL[:8])}
    card = after_rounds(*[graded(UNEQUAL)] * 4, graded(asked))

    assert quality(card) == pytest.approx(0.56, abs=0.01)


def test_prompts_that_are_asked_no_more_are_forgotten() -> None:
    old, new = graded({"old": 0.0}), graded({"new": 1.0})

    assert quality(after_rounds(*[old] * 9, *[new] * 4)) == pytest.approx(0.5)
    assert quality(after_rounds(*[old] * 9, *[new] * 20)) == 1.0


def test_of_too_many_prompts_the_longest_unseen_is_forgotten() -> None:
    policy = replace(POLICY, evidence=replace(POLICY.evidence, quality_prompts=3))
    card = Scorecard.empty()
    for names in ("ab", "bc", "cd"):
        card = card.close_round(graded(dict.fromkeys(names, 0.5)), policy)

    assert set(known(card).grades.prompts) == {"b", "c", "d"}


def test_prompts_that_never_come_again_are_pooled_as_fresh_draws() -> None:
    rng = random.Random(1)
    names = iter(range(10_000))
    card = after_rounds(*(graded({f"p{next(names)}": grade for grade in all_or_nothing(rng, 0.8)}) for _ in range(15)))

    assert known(card).quality_mass > 30
    assert quality(card) == pytest.approx(0.8, abs=0.1)


def test_a_scorecard_of_an_earlier_release_is_gone_on_from() -> None:
    document = after_rounds(*[calls(DEEPSEEK, 10, quality=0.9)] * 6).to_json()
    for each in document["targets"].values():
        del each["grades"]
    card = Scorecard.from_json(document)

    assert quality(card) == pytest.approx(0.9)
    again = card.close_round(graded([0.8] * 10), POLICY)
    assert 0.8 < quality(again) < 0.9
    assert quality(again.close_round(graded([0.4] * 10), POLICY)) == pytest.approx(0.4)


def test_grades_by_prompt_survive_json() -> None:
    card = after_rounds(graded(UNEQUAL), graded(UNEQUAL[::-1]), calls(GEMINI, 3, quality=0.5))

    assert Scorecard.from_json(json.loads(json.dumps(card.to_json(), sort_keys=True))) == card


@pytest.mark.parametrize("world", [lambda rng: noisy(rng, UNEQUAL, 0.25), lambda rng: all_or_nothing(rng, 0.5)])
def test_every_number_stays_in_its_range(world: Callable[[random.Random], list[float]]) -> None:
    rng, grades = random.Random(3), Grades()
    for _ in range(60):
        asked = {str(place): grade for place, grade in enumerate(world(rng)) if rng.random() < 0.7}
        grades = grades.after(asked, [rng.random()] if rng.random() < 0.2 else [], POLICY.evidence)
        found = grades.quality
        assert found is None or (0 <= found.mean <= 1 and found.variance >= 0 and found.prompts > 0)
