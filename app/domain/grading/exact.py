"""Grader `exact`: one or more short questions with answers that are right or wrong."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from app.domain.grading.concepts import Term, find, flat
from app.domain.grading.result import Expectation, Grade, weighed
from app.domain.grading.text import plain, repetition, sentences, unmarked, without_echo

#: what is left for "Canberra or Sydney": the right answer is there, but so is a wrong one
HEDGED = 0.25

_NUMBERING = re.compile(r"(?:^|(?<=[\s(*#]))(\d{1,2})[*]*[.):](?=[\s*]|[^\W\d])")
_TURN = re.compile(r"\b(?:but|however|instead|actually|rather|correct|correction|really)\b")
_CHOICE = re.compile(r"^[\s,;/&|.()-]*(?:(?:or|and|oder|und|ou|et|o|y|perhaps|maybe)\b[\s,;/]*)?(?:the\s)?$")
_DENIED = re.compile(r"\b(?:not|isn't|never|nicht|pas)(?: \w+)?$")


class Item(Expectation):
    """One question: what counts as right, and which wrong answers a guesser would give."""

    accept: Term
    reject: Term | None = None


class Expected(Expectation):
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=50)]


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    parts = _parts(without_echo(plain(answer), prompt_text), len(expected.items))
    marks = [_credit(item, part) for item, part in zip(expected.items, parts, strict=True)]
    reasons = [f"{sum(mark == 1 for mark in marks)} of {len(marks)} right"]
    for number, (item, credit) in enumerate(zip(expected.items, marks, strict=True), start=1):
        wanted = item.accept.split("|")[0].strip()
        if credit == 0:
            reasons.append(f"{number}: {wanted!r} is not there")
        elif credit < 1:
            reasons.append(f"{number}: {wanted!r} is there, and a wrong answer beside it")
    return weighed(sum(marks) / len(marks), reasons, [repetition(answer)])


def _credit(item: Item, part: str) -> float:
    """1: given; HEDGED: given beside a wrong one that it does not correct; 0: not given."""
    said = flat(part)
    right = find(item.accept, said)
    if right is None or _DENIED.search(said[: right.start()].rstrip()):
        return 0.0
    wrong = find(item.reject, said) if item.reject else None
    if wrong is None or _DENIED.search(said[: wrong.start()].rstrip()):
        return 1.0
    if right.start() < wrong.start():
        return HEDGED if _CHOICE.match(said[right.end() : wrong.start()] + " ") else 1.0
    return 1.0 if _TURN.search(said[wrong.end() : right.start()]) else HEDGED


def _parts(text: str, count: int) -> list[str]:
    """The stretch of text that answers each question; the whole text for each where no order can be seen."""
    if count == 1:
        return [text]
    lines = [unmarked(line) for line in text.split("\n") if line.strip()]
    candidates = (
        _numbered(text, count),
        lines,
        [part for part in re.split(r"[,;]", text) if part.strip()],
        sentences(text),
    )
    return next((parts for parts in candidates if len(parts) == count), [text] * count)


def _numbered(text: str, count: int) -> list[str]:
    """What stands behind 1., 2., … count.; empty for a number that is left out, no list where there are no numbers."""
    marks: list[re.Match[str]] = []
    for mark in _NUMBERING.finditer(text):
        if (int(marks[-1][1]) if marks else 0) < int(mark[1]) <= count:
            marks.append(mark)
    if not marks:
        return []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    parts = {int(mark[1]): text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)}
    return [parts.get(number, "") for number in range(1, count + 1)]
