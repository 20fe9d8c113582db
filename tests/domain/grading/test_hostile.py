"""No answer makes a grader raise, or work longer than its length allows: counted in calls, not in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from app.domain import grading
from app.domain.catalog import Prompt, TaskType
from app.domain.routing import task_type
from app.providers.base import Message
from tests.domain.grading.standard import PROMPTS

GRADED = [prompt for prompt in PROMPTS.values() if prompt.grader != "javascript"]

#: (n → an answer about n characters long), many things to compare with each other
SHAPES: dict[str, Callable[[int], str]] = {
    "names": lambda n: "People: " + "; ".join(f"Ann B{i}son" for i in range(n // 12)),
    "amounts": lambda n: "Amounts: " + "; ".join(f"{i}.5" for i in range(n // 7)),
    "dates": lambda n: "Dates: " + "; ".join(f"2024-01-{i}" for i in range(n // 12)),
    "points": lambda n: (
        "Pros:\n" + "".join(f"- the w{i} is of a v{i} and so it has to be u{i}\n" for i in range(n // 45))
    ),
    "lines of talk": lambda n: "here is\n" * (n // 8),
    "values": lambda n: "[" + ",".join(f'{{"id": {i}}}' for i in range(n // 12)) + "]",
    "brackets": lambda n: "[" * n,
    "numbers": lambda n: "1 000" * (n // 5),
    "numbered": lambda n: "".join(f"{i % 99}. a\n" for i in range(n // 6)),
    "markers": lambda n: "the answer " * (n // 11),
    "quotes": lambda n: '."' * (n // 2),
    "spaces": lambda n: "a" + " " * n + "a",
    "letters": lambda n: "a" * n,
    "digits": lambda n: "1" * n + ":",
    "ligatures": lambda n: "ﷺ" * n,
}


def calls(work: Callable[[], object]) -> int:
    """Of functions, in Python and of C."""
    count = 0

    def counted(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("prompt", GRADED, ids=lambda prompt: prompt.grader)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_twice_the_answer_is_twice_the_work(prompt: Prompt, shape: Callable[[int], str]) -> None:
    grading.grade(prompt, shape(1_000))  # what is compiled once is compiled
    once, twice = (calls(lambda n=n: grading.grade(prompt, shape(n))) for n in (5_000, 10_000))

    assert twice <= 2.3 * once + 500


def test_a_name_is_taken_apart_once_however_many_there_are() -> None:
    prompt = next(prompt for prompt in GRADED if prompt.grader == "extraction")
    answer = SHAPES["names"](12_000)

    assert calls(lambda: grading.grade(prompt, answer)) < 100 * 1_000


def json_prompt(value: str, **other: Any) -> Prompt:
    return Prompt("p", "c", TaskType.DEFAULT, "?", 100, "json", {"value": value, **other})


@pytest.mark.parametrize("answer", ["9" * 400, "-" + "9" * 400, "1e400", "9" * 4_000, "9" * 5_000, "1" + "0" * 308])
@pytest.mark.parametrize("wanted", ["1.5", "[1.5]", '{"a": 1.5}', "1", '"1"'])
def test_a_number_that_no_float_holds_is_wrong_and_no_accident(answer: str, wanted: str) -> None:
    given = wanted.replace("1.5", answer) if "1.5" in wanted else answer

    assert grading.grade(json_prompt(wanted, tolerance=0.5), f"```json\n{given}\n```").score < 1


def test_an_endless_number_is_not_every_number() -> None:
    prompt = next(prompt for prompt in GRADED if prompt.grader == "extraction")
    right = grading.grade(prompt, "Amounts: " + "9" * 400 + ".5")

    assert right.score == 0


def test_the_task_type_is_read_off_the_ends_of_a_message() -> None:
    def detect(n: int) -> int:
        return calls(lambda: task_type.detect([Message("system", "```" * n), Message("user", "write a " * n)]))

    assert detect(100_000) == detect(1_000)
