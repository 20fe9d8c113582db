"""Evidence per task type, and what people said: what it moves, and what it must not."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from app.domain.catalog import Target, TaskType
from app.domain.evidence.scorecard import Scorecard
from app.domain.evidence.task_effects import Deviation, settled
from app.domain.outcome import Outcome, Source
from app.domain.routing import router
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
    others = dict.fromkeys((TaskType.DEFAULT, TaskType.CREATIVE, TaskType.ANALYSIS), {**weaker, DEEPSEEK: 1.0})
    card = after(12, 1, {TaskType.CODE: {DEEPSEEK: 0.05}, **others})

    assert first(card, TaskType.DEFAULT) == DEEPSEEK
    assert first(card, TaskType.CREATIVE) == DEEPSEEK
    assert card.at_task(TaskType.CODE, POLICY)[DEEPSEEK].quality < card.evidence[DEEPSEEK].quality - 0.1


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


def test_what_is_within_the_noise_is_nothing_and_few_outcomes_count_in_part() -> None:
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
