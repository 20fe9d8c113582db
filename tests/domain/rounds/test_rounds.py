from __future__ import annotations

from itertools import product

import pytest

from app.domain.rounds.rounds import Coverage, coverage
from tests.domain.small_world import DEEPSEEK, GEMINI, OPENAI

ALL = (DEEPSEEK, GEMINI)


@pytest.mark.parametrize(
    ("targets", "asked", "left_out", "found"),
    [
        (ALL, "abcd", "", Coverage.FULL),
        ((*ALL, OPENAI), "abcd", "", Coverage.FULL),  # one that cannot be called any more
        (ALL, "abc", "d", Coverage.TRIMMED),
        (ALL, "ab", "cd", Coverage.PART),  # too few
        (ALL, "abc", "", Coverage.PART),  # chosen by a person
        (ALL, "ab", "c", Coverage.PART),  # chosen, and of these not all could be paid for
        ((GEMINI,), "abcd", "", Coverage.PART),
        ((GEMINI,), "abc", "d", Coverage.PART),
    ],
)
def test_what_the_budget_left_out_is_no_choice_of_a_person(
    targets: tuple[object, ...], asked: str, left_out: str, found: Coverage
) -> None:
    assert coverage(set(product(targets, asked)), ALL, "abcd", left_out, least=3) is found  # type: ignore[arg-type]  # targets


def test_a_round_with_a_prompt_that_one_target_was_not_asked_is_a_part() -> None:
    asked = set(product(ALL, "abc")) - {(GEMINI, "b")}

    assert coverage(asked, ALL, "abcd", "d", least=3) is Coverage.PART


def test_a_catalog_of_few_prompts_is_full_all_the_same() -> None:
    assert coverage(set(product(ALL, "a")), ALL, "a", "", least=5) is Coverage.FULL
