"""Grader `logic`: the solution of a puzzle, and the steps that lead to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from app.domain.grading.concepts import Concepts, Term, covered, find, flat, share
from app.domain.grading.result import Expectation, Grade, weighed
from app.domain.grading.text import named, plain, repetition, without_echo

#: share of the grade that the solution carries; the rest is for the steps
SOLUTION_SHARE = 0.6
#: what the steps are worth behind a wrong solution
STEPS_TO_NOWHERE = 0.25
#: words of prose that one step takes at least
WORDS_EACH = 4
#: different solutions from which on a text is guessing
GUESSES = 3
#: declarations of a solution that are looked at, the last ones
DECLARATIONS = 20
#: words between two places of an order that still belong to one list: `1st: Bea, then 2nd: Finn`
GAP = 3

_MARKER = re.compile(
    r"\b(?:answer|solution|order|result|ranking|antwort|lösung|réponse|respuesta)\b[^.\n]{0,60}?(?:\bis\b|\bare\b|[:=])",
    re.IGNORECASE,
)


class Expected(Expectation):
    #: what is asked for, in its order; one entry for a one-word solution
    solution: Annotated[tuple[Term, ...], Field(min_length=1, max_length=26)]
    #: what else could have been the solution
    others: tuple[Term, ...] = ()
    steps: Concepts

    @model_validator(mode="after")
    def _choices_differ(self) -> Self:
        if len(set(self.choices)) != len(self.choices):
            raise ValueError("solution and others must not name the same thing twice")
        return self

    @property
    def choices(self) -> tuple[str, ...]:
        return (*self.solution, *self.others)


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    own = without_echo(plain(answer), prompt_text)
    solutions = _solutions(own, expected)
    right, reason = _credit(expected, solutions)
    said = covered(expected.steps, own, WORDS_EACH)
    steps = share(expected.steps, said) * (1.0 if right == 1 else STEPS_TO_NOWHERE)
    reasons = [reason, f"{len(said)} of {len(expected.steps)} steps justified"]
    if missing := [step.name for step in expected.steps if step.name not in said]:
        reasons.append(f"missing: {named(missing)}")
    return weighed(SOLUTION_SHARE * right + (1 - SOLUTION_SHARE) * steps, reasons, [repetition(answer)])


def _credit(expected: Expected, solutions: Sequence[tuple[str, ...]]) -> tuple[float, str]:
    """1 for the solution; at most a half for an order with most places right."""
    if not solutions:
        return 0.0, "no solution is stated"
    if len(set(solutions)) >= GUESSES:
        return 0.0, f"states {len(set(solutions))} solutions that differ"
    stated = solutions[-1]
    if stated == expected.solution:
        return 1.0, f"the solution is right: {named(stated)}"
    places = sum(one == other for one, other in zip(stated, expected.solution, strict=True))
    partly = places / len(stated) / 2 if 2 * places >= len(stated) > 1 else 0.0
    return partly, f"{places} of {len(stated)} places right: {', '.join(stated)[:120]}"


def _solutions(text: str, expected: Expected) -> list[tuple[str, ...]]:
    """The solutions that the text states: behind `answer:`, else as a list of its own."""
    count = len(expected.solution)
    ends = [match.end() for match in _MARKER.finditer(text)][-DECLARATIONS:]
    declared = [_sequence(text[end : end + 500], expected) for end in ends]
    full = [found for found in declared if len(found) == count]
    return full or list(_listed(text, expected))[-1:]


def _sequence(text: str, expected: Expected) -> tuple[str, ...]:
    """The first different choices that are named, as many as the solution has."""
    named_choices = (choice for choice, _ in _mentions(text, expected.choices))
    return tuple(dict.fromkeys(named_choices))[: len(expected.solution)]


def _mentions(text: str, choices: Sequence[str]) -> Iterator[tuple[str, int]]:
    """(choice, number of the word at which it stands), in the order of the text."""
    for index, word in enumerate(flat(text).split()):
        found = next((choice for choice in choices if find(choice, f" {word} ")), None)
        if found is not None:
            yield found, index


def _listed(text: str, expected: Expected) -> Iterator[tuple[str, ...]]:
    """Runs of different choices that follow each other closely, as long as the solution; no two of them overlap."""
    mentions, count = list(_mentions(text, expected.choices)), len(expected.solution)
    start = 0
    while start + count <= len(mentions):
        run = mentions[start : start + count]
        close = all(later - earlier <= GAP + 1 for (_, earlier), (_, later) in pairwise(run))
        if close and len({choice for choice, _ in run}) == count:
            yield tuple(choice for choice, _ in run)
            start += count
        else:
            start += 1
