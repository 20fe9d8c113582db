"""Right and wrong answers of many forms to each standard prompt, and real ones: how often graders err, counted.

A right answer below .7 is a false reject, a wrong one above .5 a false accept.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.catalog import Prompt, TaskType
from app.domain.grading import grade
from tests.domain.grading.standard import PROMPTS, grade_of

ANSWERS = Path(__file__).with_name("answers")
#: eight models' answers with gold: data apart from this repository, see docs/benchmark-prompts.md
REAL = Path(__file__).resolve().parents[4] / "shared" / "prompts" / "answers-a.jsonl.gz"
MOST = 0.02
MOST_REAL = 0.01


def rows_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ANSWERS / f"{name}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def marks() -> dict[str, list[tuple[bool, float, str]]]:
    """Of every answer: whether it is right, its score, and of what kind it is."""
    return {
        name: [(row["right"], grade_of(name, row["answer"]).score, row["kind"]) for row in rows_of(name)]
        for name in PROMPTS
    }


def test_there_are_twenty_right_and_twenty_wrong_answers_to_each_prompt() -> None:
    for name in PROMPTS:
        rows = rows_of(name)
        assert sum(row["right"] for row in rows) >= 20, name
        assert sum(not row["right"] for row in rows) >= 20, name
        assert len({row["answer"] for row in rows}) == len(rows), name


def test_right_answers_in_any_form_are_not_rejected(marks: dict[str, list[tuple[bool, float, str]]]) -> None:
    right = [(name, kind, score) for name, rows in marks.items() for is_right, score, kind in rows if is_right]
    rejected = [each for each in right if each[2] < 0.7]
    assert len(rejected) <= MOST * len(right), rejected


def test_wrong_answers_in_any_form_are_not_accepted(marks: dict[str, list[tuple[bool, float, str]]]) -> None:
    wrong = [(name, kind, score) for name, rows in marks.items() for is_right, score, kind in rows if not is_right]
    accepted = [each for each in wrong if each[2] > 0.5]
    assert len(accepted) <= MOST * len(wrong), accepted


def real_numbers() -> Iterator[tuple[Prompt, str, bool]]:
    with gzip.open(REAL, "rt") as lines:
        for row in map(json.loads, lines):
            if row["task"] != "crux":
                value = float(row["gold"].lstrip("# ").replace(",", ""))
                prompt = Prompt("real", "maths", TaskType.ANALYSIS, "?", 100, "numeric", {"value": value})
                yield prompt, row["answer"], bool(row["right"])


@pytest.mark.skipif(not REAL.exists(), reason="the recorded answers of real models are not on this machine")
def test_recorded_answers_of_real_models_are_graded_as_their_gold_says() -> None:
    """8,304 answers to GSM8K and MATH; every twelfth of them, to be quick."""
    graded = [(right, grade(prompt, answer).score) for prompt, answer, right in [*real_numbers()][::12]]
    rejected = sum(right and score < 0.7 for right, score in graded)
    accepted = sum(not right and score > 0.5 for right, score in graded)
    assert rejected <= MOST_REAL * sum(right for right, _ in graded)
    assert accepted <= MOST_REAL * sum(not right for right, _ in graded)
