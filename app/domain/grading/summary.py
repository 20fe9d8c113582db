"""Grader `summary`: facts kept, in few and one's own words, none turned round and none invented."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from app.domain.grading.concepts import Concept, Concepts, claimed, covered, share, terms_of
from app.domain.grading.number_words import VALUES
from app.domain.grading.result import Expectation, Fault, Grade, weighed
from app.domain.grading.sense import sense, world
from app.domain.grading.text import disorder, named, plain, repetition, sentences, without_chat, words

#: words of prose that one fact takes at least
WORDS_EACH = 4
#: run of words that is taken over, not one's own
COPIED_RUN = 9
#: taken off for each number that the source does not have
INVENTION_COST = 0.15
#: taken off for each fact that is turned into its opposite
ERROR_COST = 0.4

_NUMBER = re.compile(r"\d{1,3}(?:[ .,']\d{3})+(?!\d)|\d+(?:[.,]\d+)?")
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth"
_MONTHS = "january february march april may june july august september october november december"
_SPELT = {
    **VALUES,
    **{word: number for number, word in enumerate(_ORDINALS.split(), start=1)},
    **{word: number for number, word in enumerate(_MONTHS.split(), start=1)},
}


class Expected(Expectation):
    facts: Concepts
    #: facts turned round
    errors: tuple[Concept, ...] = ()
    max_words: Annotated[int, Field(ge=5)]
    #: words of the subject beyond those of prompt and facts; none: words from elsewhere are not looked at
    world: str | None = None


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    """The prompt holds the source: what a summary must not copy, and where its numbers must come from."""
    own = "\n".join(without_chat(answer.split("\n")))
    said, spoken = covered(expected.facts, own, WORDS_EACH), words(own)
    errors = claimed(expected.errors, own)
    invented = sorted(_numbers(own) - _source_numbers(prompt_text))
    reasons = [f"{len(said)} of {len(expected.facts)} facts kept"]
    if missing := [fact.name for fact in expected.facts if fact.name not in said]:
        reasons.append(f"missing: {named(missing)}")
    if errors:
        reasons.append(f"wrong: {named(errors)}")
    if invented:
        reasons.append(f"numbers that are not in the source: {named(invented)}")
    score = share(expected.facts, said) - INVENTION_COST * len(invented) - ERROR_COST * len(errors)
    known = world(expected.world, terms_of(expected.facts), prompt_text) if expected.world else None
    faults = [_compression(len(spoken), expected.max_words), _originality(spoken, words(prompt_text))]
    return weighed(score, reasons, [*faults, repetition(answer), disorder(own), sense(own, known)])


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
    """Numbers in one spelling: 11,000 and 11.000 are the same digits, and so are 5 and 5.0."""
    found = _NUMBER.findall(" ".join(sentences(plain(text))))
    return {re.sub(r"[ .,']", "", re.sub(r"[.,]0{1,2}$", "", number)).lstrip("0") or "0" for number in found}


def _source_numbers(text: str) -> set[str]:
    """Those of the source, also where it spells them out (`fifth`, `fifteen`), and its months as numbers.

    What is said in thousands and millions may be written in figures.
    """
    figures = _numbers(text)
    spelt = {str(_SPELT[word]) for word in words(text) if word in _SPELT}
    return figures | spelt | {f"{figure}000000" for figure in figures if re.search(rf"{figure} million", text)}
