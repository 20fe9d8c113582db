"""Grader `summary`: facts kept, in few and one's own words, and none invented."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from app.domain.grading.concepts import Concepts, covered, share
from app.domain.grading.result import Expectation, Fault, Grade, weighed
from app.domain.grading.text import named, plain, repetition, sentences, without_chat, words

#: words of prose that one fact takes at least
WORDS_EACH = 5
#: run of words that is taken over, not one's own
COPIED_RUN = 9
#: taken off for each number that the source does not have
INVENTION_COST = 0.15

_NUMBER = re.compile(r"\d{1,3}(?:[ .,']\d{3})+(?!\d)|\d+(?:[.,]\d+)?")


class Expected(Expectation):
    facts: Concepts
    max_words: Annotated[int, Field(ge=5)]


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    """The prompt holds the source: what a summary must not copy, and where its numbers must come from."""
    own = "\n".join(without_chat(answer.split("\n")))
    said, spoken = covered(expected.facts, own, WORDS_EACH), words(own)
    invented = sorted(_numbers(own) - _numbers(prompt_text))
    reasons = [f"{len(said)} of {len(expected.facts)} facts kept"]
    if missing := [fact.name for fact in expected.facts if fact.name not in said]:
        reasons.append(f"missing: {named(missing)}")
    if invented:
        reasons.append(f"numbers that are not in the source: {named(invented)}")
    score = share(expected.facts, said) - INVENTION_COST * len(invented)
    faults = [_compression(len(spoken), expected.max_words), _originality(spoken, words(prompt_text))]
    return weighed(score, reasons, [*faults, repetition(answer)])


def _compression(count: int, limit: int) -> Fault:
    """1 up to a tenth over the limit, falling to 0 at twice the limit."""
    factor = min(1.0, max(0.0, (2 * limit - count) / (0.9 * limit)))
    return factor, f"{count} words, {limit} were asked for"


def _originality(spoken: list[str], source: list[str]) -> Fault:
    """1 where less than a fifth of the words stand in long runs of the source; .3 where all of them do."""
    runs = {tuple(source[i : i + COPIED_RUN]) for i in range(len(source) - COPIED_RUN + 1)}
    copied: set[int] = set()
    for i in range(len(spoken) - COPIED_RUN + 1):
        if tuple(spoken[i : i + COPIED_RUN]) in runs:
            copied.update(range(i, i + COPIED_RUN))
    taken = len(copied) / len(spoken) if spoken else 0.0
    return min(1.0, 1.0 - 0.7 * (taken - 0.2) / 0.8), "copied from the source"


def _numbers(text: str) -> set[str]:
    """Numbers in one spelling: 11,000 and 11.000 are the same digits."""
    return {re.sub(r"[ .,']", "", found) for found in _NUMBER.findall(" ".join(sentences(plain(text))))}
