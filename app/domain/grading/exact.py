"""Grader `exact`: one or more short questions with answers that are right or wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from app.domain.grading.commitment import Mention, credit
from app.domain.grading.concepts import Term, find_each, flat
from app.domain.grading.markup import without_pictures
from app.domain.grading.result import Expectation, Grade, weighed
from app.domain.grading.text import plain, repetition, sentences, unmarked, without_echo, words_in

#: what is left for "Canberra or Sydney": the right answer is there, but so is a wrong one
HEDGED = 0.25

_NUMBERING = re.compile(
    r"(?:^|(?<=[\s(*#\"|{]))(?:(?:q|a|question|answer)[ .#]?)?(\d{1,2})[*\"]*(?:[.):]|\s?\||\s-(?=\s))"
    r"(?=[\s*\"|]|[^\W\d])",
    re.IGNORECASE,
)
#: mentions of one question's right and wrong answers that are looked at
MENTIONS = 30


class Item(Expectation):
    """One question: what counts as right, and which wrong answers a guesser would give."""

    accept: Term
    reject: Term | None = None


class Expected(Expectation):
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=50)]


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    text = without_pictures(without_echo(plain(answer), prompt_text))
    parts = _parts(text, len(expected.items))
    marks = [_credit(item, part) for item, part in zip(expected.items, parts, strict=True)]
    reasons = [f"{sum(mark == 1 for mark in marks)} of {len(marks)} right"]
    for number, (item, mark) in enumerate(zip(expected.items, marks, strict=True), start=1):
        wanted = item.accept.split("|")[0].strip()
        if mark == 0:
            reasons.append(f"{number}: {wanted!r} is not there")
        elif mark < 1:
            reasons.append(f"{number}: {wanted!r} is there, and a wrong answer beside it")
    return weighed(sum(marks) / len(marks), reasons, [repetition(answer)])


def _credit(item: Item, part: str) -> float:
    """1: given; HEDGED: given beside a wrong one that it does not correct; 0: not given."""
    text = plain(part).casefold()
    spans = [match.span() for match in words_in(text)]
    said = flat(part)
    mentions = [*_mentions(item.accept, said, spans, right=True)]
    if not mentions:
        return 0.0
    if item.reject:
        mentions += _mentions(item.reject, said, spans, right=False)
    return credit(text, sorted(mentions, key=lambda mention: mention.start), HEDGED)


def _mentions(term: str, said: str, spans: Sequence[tuple[int, int]], *, right: bool) -> Iterator[Mention]:
    for found in find_each(term, said, MENTIONS):
        first = said.count(" ", 0, found.start())
        last = first + found[0].strip().count(" ")
        yield Mention(right, spans[first][0], spans[last][1])


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
