"""The task type of a request that does not name one."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.catalog import TaskType
from app.domain.routing.task_type import detect


@dataclass(frozen=True)
class Turn:
    role: str
    content: object


def said(text: object, system: str | None = None) -> TaskType:
    turns = [Turn("user", text)]
    return detect([Turn("system", system), *turns] if system else turns)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write a function in Python that reverses a list", TaskType.CODE),
        ("fix this:\n```\nfor i in range(3) print(i)\n```", TaskType.CODE),
        ("Refactor the class so that it needs no mutex", TaskType.CODE),
        ("I need a regex for German postcodes", TaskType.CODE),
        ("Write a poem about the sea", TaskType.CREATIVE),
        ("Tell me a joke about penguins", TaskType.CREATIVE),
        ("Schreibe ein Gedicht über den Herbst", TaskType.CREATIVE),
        ("Compare nuclear and solar power", TaskType.ANALYSIS),
        ("Summarize this article in three sentences: …", TaskType.ANALYSIS),
        ("What are the pros and cons of a four-day week?", TaskType.ANALYSIS),
        ("Extract all names from the text below", TaskType.ANALYSIS),
        ("Ducks lay 16 eggs a day. Three are eaten, 4 baked. How many are sold at $2 each?", TaskType.ANALYSIS),
        ("Anna hat 12 Äpfel und isst 3. Wie viele bleiben?", TaskType.ANALYSIS),
        ("How many people live in Australia?", TaskType.DEFAULT),
        ("In 1990 and in 2010 there was a fair.", TaskType.DEFAULT),
        ("What is the capital of Australia?", TaskType.DEFAULT),
        ("Hello, how are you?", TaskType.DEFAULT),
        ("Thanks!", TaskType.DEFAULT),
        ("", TaskType.DEFAULT),
        (None, TaskType.DEFAULT),  # a turn of tool results
        ([{"type": "image_url"}], TaskType.DEFAULT),
    ],
)
def test_words_say_what_is_asked_for(text: object, expected: TaskType) -> None:
    assert said(text) is expected


def test_the_last_user_message_decides_and_not_the_ones_before() -> None:
    turns = [Turn("user", "Write a poem about the sea"), Turn("assistant", "…"), Turn("user", "Now debug this script")]

    assert detect(turns) is TaskType.CODE


def test_a_system_prompt_tips_the_scales_and_no_more() -> None:
    coder = "You write code: fix and refactor Python functions. ```"

    assert said("Why does this python loop never end?", coder) is TaskType.CODE
    assert said("Write a poem about the sea, in the mood of a story", "You analyse data") is TaskType.CREATIVE


def test_instructions_stand_at_the_ends_of_a_long_message() -> None:
    filler = "lorem ipsum " * 5000

    assert said(f"{filler} Summarize the text above.") is TaskType.ANALYSIS
    assert said(f"Summarize the text below.{filler}") is TaskType.ANALYSIS
    assert said(f"{filler} Summarize the text above. {filler}") is TaskType.DEFAULT


def test_nobody_is_asked() -> None:
    assert detect([]) is TaskType.DEFAULT


@given(st.lists(st.builds(Turn, st.sampled_from(["user", "system", "assistant"]), st.text() | st.none()), max_size=4))
def test_any_conversation_has_a_task_type(turns: list[Turn]) -> None:
    assert detect(turns) in TaskType


def test_a_megabyte_costs_no_more_than_a_page() -> None:
    """The text is cut before anything is looked for in it: by the processor's clock, and by a wide margin."""
    page, book = "word " * 200, "".join(random.Random(1).choices("abc {}=> ", k=1_000_000))

    def cost_s(text: str) -> float:
        started = time.process_time()
        for _ in range(50):
            said(text)
        return time.process_time() - started

    cost_s(page)
    assert cost_s(book) < 20 * cost_s(page) + 0.05
