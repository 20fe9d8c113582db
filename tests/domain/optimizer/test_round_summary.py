from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.optimizer.round_summary import measure
from app.domain.optimizer.round_table import CLUSTERS
from app.domain.outcome import NEEDS_PERSON
from tests.domain.small_world import DEEPSEEK, GEMINI, POLICY, calls, outcome


def test_what_each_prompt_was_worth_is_kept_by_its_name_and_else_by_its_place() -> None:
    rows = [outcome(DEEPSEEK, quality=grade, cost_usd=0.0) for grade in (0.6, 0.8, 1.0)]
    named = [replace(row, prompt_id=prompt) for row, prompt in zip(rows, ("a", "b", "a"), strict=True)]

    by_place = measure(rows, POLICY.objective)[DEEPSEEK].by_prompt
    by_name = measure(named, POLICY.objective)[DEEPSEEK].by_prompt

    assert by_place == pytest.approx({"#0": 0.56, "#1": 0.76, "#2": 0.96})
    assert by_name == pytest.approx({"a": 0.76, "b": 0.76})


def test_of_many_prompts_some_share_a_cluster_always_the_same() -> None:
    rows = [replace(outcome(DEEPSEEK), prompt_id=f"p{n}") for n in range(500)]
    clusters = measure(rows, POLICY.objective)[DEEPSEEK].by_prompt

    assert len(clusters) <= CLUSTERS
    assert clusters.keys() == measure(rows[::-1], POLICY.objective)[DEEPSEEK].by_prompt.keys()


@pytest.mark.parametrize("error", sorted(NEEDS_PERSON))
def test_a_target_that_needs_a_person_is_not_in_the_table(error: str) -> None:
    rows = [*calls(DEEPSEEK, 8), replace(outcome(DEEPSEEK, success=False), error_class=error), *calls(GEMINI, 10)]

    assert measure(rows, POLICY.objective).keys() == {GEMINI}
