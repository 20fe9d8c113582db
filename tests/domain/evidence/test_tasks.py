"""Evidence per task type, and what people said: what it moves, and what it must not."""

from __future__ import annotations

import random
from dataclasses import replace
from statistics import mean

import pytest

from app.domain.catalog import Target, TaskType
from app.domain.evidence.scorecard import Scorecard
from app.domain.evidence.task_effects import Deviation, moves, settled, spread
from app.domain.outcome import Outcome, Source
from app.domain.routing import router, scoring
from tests.domain.small_world import ANTHROPIC, DEEPSEEK, GEMINI, OPENAI, POLICY, START, TARGETS, config, outcome

#: as the standard prompts are distributed
PROMPTS = [TaskType.DEFAULT] * 3 + [TaskType.CODE] * 2 + [TaskType.CREATIVE] + [TaskType.ANALYSIS] * 4
LATENCY = {DEEPSEEK: 240.0, GEMINI: 350.0, ANTHROPIC: 450.0, OPENAI: 520.0}


def prompts(rng: random.Random, good: dict[TaskType, dict[Target, float]]) -> list[Outcome]:
    """A round of ten prompts, graded all or nothing, as a strict grader does."""
    return [
        replace(
            outcome(
                target,
                LATENCY[target] * rng.lognormvariate(0, 0.4),
                quality=float(rng.random() < good.get(task, {}).get(target, 0.85)),
            ),
            task_type=task,
        )
        for target in TARGETS
        for task in PROMPTS
    ]


def after(rounds: int, seed: int, good: dict[TaskType, dict[Target, float]] | None = None) -> Scorecard:
    card, rng = Scorecard.empty(), random.Random(seed)
    for _ in range(rounds):
        card = card.close_round(prompts(rng, good or {}), POLICY)
    return card


def first(card: Scorecard, task: TaskType) -> Target:
    return router.plan(config(), TARGETS, card, {}, POLICY, START, task=task).ties[0]


@pytest.mark.parametrize(("rounds", "seeds"), [(1, 60), (8, 15)])
def test_ten_prompts_decide_no_category_by_noise(rounds: int, seeds: int) -> None:
    """All targets are equally good at everything: who leads at a task type must be who leads over all."""
    strange = 0
    for seed in range(seeds):
        card = after(rounds, seed)
        whole = first(card, TaskType.DEFAULT)
        strange += sum(first(card, task) != whole for task in (TaskType.CODE, TaskType.CREATIVE, TaskType.ANALYSIS))

    assert strange <= max(3, seeds // 10)  # of three times as many


def test_a_target_that_is_bad_at_code_is_passed_by_for_code_alone() -> None:
    weaker = dict.fromkeys((GEMINI, ANTHROPIC, OPENAI), 0.7)
    rest = {**weaker, DEEPSEEK: 1.0}
    others = {TaskType.DEFAULT: rest, TaskType.CREATIVE: rest, TaskType.ANALYSIS: rest}
    card = after(12, 1, {TaskType.CODE: {DEEPSEEK: 0.05}, **others})

    assert first(card, TaskType.DEFAULT) == DEEPSEEK
    assert first(card, TaskType.CREATIVE) == DEEPSEEK
    assert card.at_task(TaskType.CODE, POLICY)[DEEPSEEK].quality < card.evidence[DEEPSEEK].quality - 0.1


#: two of ten prompts are code, one creative, five analysis
MIX = [TaskType.DEFAULT] * 2 + [TaskType.CREATIVE] + [TaskType.CODE] * 2 + [TaskType.ANALYSIS] * 5
#: equal at all but one task: the first is faster and cheaper
QUICK, SLOW = DEEPSEEK, GEMINI
PACE = {QUICK: (300.0, 0.0005), SLOW: (420.0, 0.0007)}


def equal_but_for(task: TaskType, quality: float, spread: float, rounds: int, seed: int) -> Scorecard:
    """`QUICK` gets that at the task; everything else is .9."""
    card, rng = Scorecard.empty(), random.Random(seed)
    for _ in range(rounds):
        outcomes = [
            replace(
                outcome(target, ms * rng.lognormvariate(0, 0.25), cost_usd=usd, quality=min(1.0, max(0.0, grade))),
                task_type=kind,
                prompt_id=f"{place}",
            )
            for target, (ms, usd) in PACE.items()
            for place, kind in enumerate(MIX)
            for grade in [rng.gauss(quality if (target, kind) == (QUICK, task) else 0.9, spread)]
        ]
        card = card.close_round(outcomes, POLICY)
    return card


def best(card: Scorecard, task: TaskType) -> Target:
    """By the objective."""
    known = scoring.figures(card.at_task(task, POLICY), POLICY.objective)
    return max(known, key=lambda target: scoring.utility(known[target], POLICY.objective))


@pytest.mark.parametrize("spread", [0.0, 0.25])
@pytest.mark.parametrize("rounds", [6, 24])
@pytest.mark.parametrize("quality", [0.3, 0.0])
@pytest.mark.parametrize("task", [TaskType.CODE, TaskType.CREATIVE, TaskType.ANALYSIS])
def test_a_target_that_fails_at_a_task_loses_it_within_six_rounds(
    task: TaskType, quality: float, rounds: int, spread: float
) -> None:
    card = equal_but_for(task, quality, spread, rounds, seed=rounds)
    others = {TaskType.CODE, TaskType.CREATIVE} - {task}

    assert best(card, task) == SLOW
    assert spread or first(card, task) == SLOW
    assert spread or all(best(card, other) == QUICK for other in others)
    tolerance = 0.15 + spread  # grades that are cut at 0 are .1 on average
    assert card.at_task(task, POLICY)[QUICK].quality == pytest.approx(quality, abs=tolerance)
    assert card.at_task(task, POLICY)[SLOW].quality == pytest.approx(0.88, abs=tolerance)


@pytest.mark.parametrize(("quality", "rounds"), [(0.5, 3), (0.5, 24), (0.7, 6), (0.7, 24)])
def test_a_target_that_is_worse_at_code_loses_it_once_that_is_worth_more_than_its_speed(
    quality: float, rounds: int
) -> None:
    assert best(equal_but_for(TaskType.CODE, quality, 0.0, rounds, seed=1), TaskType.CODE) == SLOW


def test_a_target_that_is_as_good_at_code_keeps_it() -> None:
    for seed in range(10):
        card = equal_but_for(TaskType.CODE, 0.88, 0.1, 12, seed)
        assert best(card, TaskType.CODE) == QUICK


def test_a_target_that_learned_to_code_gets_it_back() -> None:
    card, good = equal_but_for(TaskType.CODE, 0.0, 0.0, 24, 1), equal_but_for(TaskType.CODE, 0.9, 0.0, 1, 1)
    assert best(card, TaskType.CODE) == SLOW
    rng = random.Random(2)
    for _ in range(3):
        outcomes = [
            replace(
                outcome(target, ms * rng.lognormvariate(0, 0.25), cost_usd=usd, quality=0.9),
                task_type=kind,
                prompt_id=f"{place}",
            )
            for target, (ms, usd) in PACE.items()
            for place, kind in enumerate(MIX)
        ]
        card = card.close_round(outcomes, POLICY)

    assert best(card, TaskType.CODE) == best(good, TaskType.CODE) == QUICK


def lost_by_task(seed: int, ahead_ms: float) -> dict[TaskType, float]:
    """U that routing by task loses against the best target for all; all are equally good at everything."""
    card, rng, lost = Scorecard.empty(), random.Random(seed), dict.fromkeys(TaskType, 0.0)
    pace = {QUICK: 300.0, SLOW: 300.0 + ahead_ms}
    for _ in range(8):
        outcomes = [
            replace(
                outcome(target, ms * rng.lognormvariate(0, 0.25), quality=min(1.0, max(0.0, rng.gauss(0.85, 0.25)))),
                task_type=kind,
                prompt_id=f"{place}",
            )
            for target, ms in pace.items()
            for place, kind in enumerate(MIX)
        ]
        card = card.close_round(outcomes, POLICY)
        for task in TaskType:
            behind = pace[best(card, task)] - 300.0
            lost[task] += POLICY.objective.latency * behind / POLICY.objective.latency_ref_ms / 8
    return lost


def test_targets_that_are_equally_good_at_everything_are_not_told_apart_by_chance() -> None:
    runs = [lost_by_task(seed, ahead_ms) for ahead_ms in (20, 50, 100, 200) for seed in range(12)]
    lost = {task: mean(run[task] for run in runs) for task in TaskType}

    assert max(lost.values()) <= 0.006
    assert all(each - lost[TaskType.DEFAULT] <= 0.0015 for each in lost.values())  # what the types add to it


def test_what_a_task_takes_in_time_and_money_is_in_what_it_is_worth() -> None:
    """The shares of the references move with the means, or the score would not know."""
    card = Scorecard.empty()
    for _ in range(12):
        card = card.close_round(
            [
                replace(outcome(target, ms * (3 if slow else 1), cost_usd=usd * (3 if slow else 1)), task_type=task)
                for target, ms, usd in ((DEEPSEEK, 240.0, 0.0006), (GEMINI, 350.0, 0.0006))
                for task in PROMPTS
                for slow in (target == DEEPSEEK and task is TaskType.CODE,)
            ],
            POLICY,
        )
    whole, code = card.evidence[DEEPSEEK], card.at_task(TaskType.CODE, POLICY)[DEEPSEEK]

    assert code.late.mean > 1.5 * whole.late.mean
    assert code.dear.mean > 1.5 * whole.dear.mean
    assert (first(card, TaskType.CODE), first(card, TaskType.CREATIVE)) == (GEMINI, DEEPSEEK)


def test_live_traffic_shows_who_is_slow_at_a_task() -> None:
    card = after(2, 1)
    rng = random.Random(2)
    live = [
        replace(
            outcome(target, ms * rng.lognormvariate(0, 0.2), source=Source.LIVE), task_type=task
        )
        for _ in range(60)
        for target in (DEEPSEEK, GEMINI)
        for task, ms in (
            (TaskType.CODE, 240.0 if target == GEMINI else 2400.0),
            (TaskType.CREATIVE, 350.0 if target == GEMINI else 240.0),
            (TaskType.CREATIVE, 350.0 if target == GEMINI else 240.0),
        )
    ]  # fmt: skip
    card = card.observe(live, POLICY)

    assert first(card, TaskType.CODE) == GEMINI
    code, creative = card.at_task(TaskType.CODE, POLICY), card.at_task(TaskType.CREATIVE, POLICY)
    assert code[DEEPSEEK].latency_ms > 2 * creative[DEEPSEEK].latency_ms
    assert card.at_task(TaskType.DEFAULT, POLICY) is card.evidence


def test_a_task_that_is_hard_for_everybody_moves_nobody() -> None:
    hard = {TaskType.CODE: dict.fromkeys(TARGETS, 0.2), TaskType.ANALYSIS: dict.fromkeys(TARGETS, 0.95)}
    card = after(12, 3, hard)

    adjusted = card.at_task(TaskType.CODE, POLICY)
    for target in TARGETS:
        assert adjusted[target].quality == pytest.approx(card.evidence[target].quality, abs=0.08)  # of −.5


def test_a_deviation_counts_in_the_part_that_types_differ_by_more_than_chance() -> None:
    calm = [Deviation(0.01, 0.04, 20.0), Deviation(-0.01, 0.04, 20.0), Deviation(0.0, 0.04, 20.0)]
    odd = Deviation(-0.5, 0.04, 20.0)
    alike, unlike = spread([calm] * 3, 0.05, 1.0), spread([calm, [*calm, odd]], 0.05, 1.0)

    assert alike.between < 0.05**2 < unlike.between
    step = {
        name: moves("abcd", dict(zip("abcd", [*calm, odd], strict=True)), name)["d"].step for name in (alike, unlike)
    }
    assert -0.5 < step[unlike] < -0.35 < -0.2 < step[alike] < 0


def test_few_outcomes_count_less_than_many() -> None:
    known = spread([[Deviation(0.0, 0.04, 40.0)] * 4], 0.05, 1.0)
    few, many = (
        moves("ab", {"a": Deviation(-0.3, 0.04, mass), "b": Deviation(0.0, 0.04, 40.0)}, known)["a"]
        for mass in (3.0, 40.0)
    )

    assert many.step < few.step < 0
    assert many.error < few.error


def test_what_is_common_to_all_moves_nobody_and_who_was_not_asked_is_as_they_are() -> None:
    known = spread([[Deviation(-0.5, 0.02, 40.0), Deviation(-0.52, 0.02, 40.0)]], 0.05, 1.0)
    found = moves("abc", {"a": Deviation(-0.5, 0.02, 40.0), "b": Deviation(-0.52, 0.02, 40.0)}, known)

    assert all(abs(each.step) < 0.03 for each in found.values())
    assert moves("a", {"a": Deviation(-0.5, 0.02, 40.0)}, known)["a"].step == 0  # there is nobody to compare with


def test_of_two_one_of_which_fails_that_one_moves() -> None:
    own = {"a": Deviation(-0.72, 0.0, 20.0), "b": Deviation(0.0, 0.0, 20.0)}
    found = moves("ab", own, spread([own.values(), [Deviation(0.18, 0.0, 20.0), Deviation(0.0, 0.0, 20.0)]], 0.05, 1.0))

    assert found["a"].step == pytest.approx(-0.72, abs=0.03)
    assert found["b"].step == pytest.approx(0.0, abs=0.03)


def test_what_people_said_within_the_noise_is_nothing_and_few_scores_count_in_part() -> None:
    others = [Deviation(0.0, 0.04, 40.0)] * 3
    limits = POLICY.evidence

    assert settled(Deviation(0.1, 0.04, 3.0), [*others, Deviation(0.1, 0.04, 3.0)], limits) == 0
    few, many = Deviation(-0.8, 0.04, 5.0), Deviation(-0.8, 0.04, 40.0)
    assert settled(many, [*others, many], limits) < settled(few, [*others, few], limits) < 0
    assert settled(many, [many], limits) == 0  # there is nobody to compare with


def test_what_people_said_moves_quality_once_it_is_beyond_doubt() -> None:
    card = after(3, 1)
    for n in range(40):
        card = card.with_score(DEEPSEEK, 0.1 + 0.01 * (n % 3), START, POLICY).with_score(GEMINI, 0.9, START, POLICY)

    known = card.at_task(TaskType.DEFAULT, POLICY)
    assert known[DEEPSEEK].quality < card.evidence[DEEPSEEK].quality - 0.1
    assert known[ANTHROPIC].quality == card.evidence[ANTHROPIC].quality
    assert (card.feedback[DEEPSEEK].count, card.feedback[DEEPSEEK].last_at) == (40, START)
    once = after(3, 1).with_score(DEEPSEEK, 0.0, START, POLICY).with_score(GEMINI, 1.0, START, POLICY)
    assert once.at_task(TaskType.DEFAULT, POLICY) == once.evidence


def test_a_person_may_think_again() -> None:
    card = Scorecard.empty().with_score(DEEPSEEK, 0.0, START, POLICY).with_score(DEEPSEEK, 1.0, START, POLICY, was=0.0)

    assert card.feedback[DEEPSEEK].score.mean == 1.0
    assert card.feedback[DEEPSEEK].count == 1


def test_tasks_and_feedback_survive_json() -> None:
    card = after(2, 1).with_score(OPENAI, 0.5, START, POLICY)

    assert Scorecard.from_json(card.to_json()) == card
    assert set(card.to_json()["tasks"]) == {"code", "creative", "analysis"}
