"""Grader `explanation`: the ideas an explanation must hold, and the errors it must not."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.domain.grading.concepts import Concept, Concepts, claimed, covered, share, terms_of
from app.domain.grading.result import Expectation, Fault, Grade, weighed
from app.domain.grading.sense import sense, world
from app.domain.grading.text import disorder, named, repetition, without_echo, words

#: words of prose that one idea takes at least, where `expected` says nothing else
WORDS_EACH = 6
#: taken off for each known error that is stated
ERROR_COST = 0.2


class Expected(Expectation):
    concepts: Concepts
    #: common misconceptions
    errors: tuple[Concept, ...] = ()
    max_words: Annotated[int, Field(ge=1)] | None = None
    #: words of prose that one idea takes at least: fewer where a short answer is a good one
    words_each: Annotated[int, Field(ge=1, le=50)] = WORDS_EACH
    #: words of the subject beyond those of prompt and concepts; none: words from elsewhere are not looked at
    world: str | None = None


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    own = without_echo(answer, prompt_text)
    said = covered(expected.concepts, own, expected.words_each)
    errors = claimed(expected.errors, own)
    reasons = [f"{len(said)} of {len(expected.concepts)} ideas explained"]
    if missing := [concept.name for concept in expected.concepts if concept.name not in said]:
        reasons.append(f"missing: {named(missing)}")
    if errors:
        reasons.append(f"wrong: {named(errors)}")
    score = share(expected.concepts, said) - ERROR_COST * len(errors)
    known = world(expected.world, terms_of(expected.concepts), prompt_text) if expected.world else None
    faults = [_brevity(len(words(own)), expected.max_words), repetition(answer), disorder(own), sense(own, known)]
    return weighed(score, reasons, faults)


def _brevity(count: int, limit: int | None) -> Fault:
    """1 up to a tenth over the limit, from there in proportion to the excess."""
    factor = min(1.0, 1.1 * limit / count) if limit and count else 1.0
    return factor, f"{count} words, {limit} were asked for"
