"""Grader `logic`: the solution of a puzzle, and the steps that lead to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from app.domain.grading.concepts import Concepts, Term, covered, find, flat, share, terms_of
from app.domain.grading.denial import denies, without_myths
from app.domain.grading.language import stem
from app.domain.grading.result import Expectation, Fault, Grade, weighed
from app.domain.grading.sense import foreign_share, world
from app.domain.grading.text import named, plain, repetition, sentences, without_echo, words

#: share of the grade that the solution carries; the rest is for the steps
SOLUTION_SHARE = 0.6
#: what the steps are worth behind a wrong solution
STEPS_TO_NOWHERE = 0.25
#: words of prose that one step takes at least
WORDS_EACH = 4
#: what the solution is worth beside another one that is left open
HEDGED = 0.25
#: what remains of the grade where most reasons are none
ABSURD = 0.6
#: share of words from elsewhere from which on a sentence is no reason
FOREIGN_SHARE = 0.2
#: different solutions from which on a text is guessing
GUESSES = 3
#: declarations of a solution that are looked at, the last ones
DECLARATIONS = 20
#: words between two places of an order that still belong to one list: `1st: Bea, then 2nd: Finn`
GAP = 3
#: words between two orders that belong together: `…, Eva, or perhaps …`
OR_GAP = 5

_MARKER = re.compile(
    r"\b(?:answer|solution|order|result|ranking|antwort|lösung|réponse|respuesta)\b[^.\n]{0,60}?(?:\bis\b"
    r"|\bare\b|[:=])",
    re.IGNORECASE,
)


_BEGINS_LINE = re.compile(r"(?:^|\n)[\s#*_>|-]*(?:final |my |the )?$", re.IGNORECASE)
_NEGATED = re.compile(r"[\s*_]{0,4}(?:not|never|certainly not|definitely not)\b|n't\b", re.IGNORECASE)
_OTHERS_SAY = re.compile(
    r"\b(?:some(?:one|body)?|others|people|one) (?:\w+ )?(?:claim|say|think|argue|believe)", re.IGNORECASE
)
_OR = frozenset(["or", "alternatively", "maybe", "perhaps", "possibly", "oder", "ou"])


class Expected(Expectation):
    #: what is asked for, in its order; one entry for a one-word solution
    solution: Annotated[tuple[Term, ...], Field(min_length=1, max_length=26)]
    #: what else could have been the solution
    others: tuple[Term, ...] = ()
    steps: Concepts
    #: words of the puzzle beyond those of prompt and steps; none: reasons may be anything
    world: str | None = None
    #: words that no reason has
    absurd: str = ""

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
    sensible = _sensible(expected, prompt_text)
    said = covered(expected.steps, own, WORDS_EACH, sensible, deniable=False)
    steps = share(expected.steps, said) * (1.0 if right == 1 else STEPS_TO_NOWHERE)
    reasons = [reason, f"{len(said)} of {len(expected.steps)} steps justified"]
    if missing := [step.name for step in expected.steps if step.name not in said]:
        reasons.append(f"missing: {named(missing)}")
    score = SOLUTION_SHARE * right + (1 - SOLUTION_SHARE) * steps
    return weighed(score, reasons, [repetition(answer), _absurdity(own, sensible)])


def _sensible(expected: Expected, prompt_text: str) -> Callable[[Sequence[str]], bool]:
    """Whether a sentence speaks of the puzzle."""
    if expected.world is None:
        return lambda _spoken: True
    known = world(expected.world, terms_of(expected.steps), prompt_text)
    absurd = frozenset(map(stem, expected.absurd.split()))
    return lambda spoken: foreign_share(spoken, known) <= FOREIGN_SHARE and absurd.isdisjoint(map(stem, spoken))


def _absurdity(text: str, sensible: Callable[[Sequence[str]], bool]) -> Fault:
    """ABSURD where at least every other sentence of some length gives no reason of the puzzle's world."""
    reasons = [spoken for part in sentences(text) if len(spoken := words(part)) >= WORDS_EACH]
    odd = sum(not sensible(spoken) for spoken in reasons)
    return ABSURD if odd >= 2 and 2 * odd >= len(reasons) else 1.0, "reasons that have nothing to do with the puzzle"


def _credit(expected: Expected, solutions: Sequence[tuple[str, ...]]) -> tuple[float, str]:
    """1 for the solution; at most a half for an order with most places right."""
    if not solutions:
        return 0.0, "no solution is stated"
    if len(set(solutions)) >= GUESSES:
        return 0.0, f"states {len(set(solutions))} solutions that differ"
    stated = solutions[-1]
    if len(stated) > len(expected.solution):
        return HEDGED * (expected.solution in (stated[: len(expected.solution)], stated[len(expected.solution) :])), (
            "leaves open which of two solutions it is"
        )
    if stated == expected.solution:
        return 1.0, f"the solution is right: {named(stated)}"
    places = sum(one == other for one, other in zip(stated, expected.solution, strict=True))
    partly = places / len(stated) / 2 if 2 * places >= len(stated) > 1 else 0.0
    return partly, f"{places} of {len(stated)} places right: {', '.join(stated)[:120]}"


def _solutions(text: str, expected: Expected) -> list[tuple[str, ...]]:
    """The solutions that are stated: in a line `Answer: …`, else behind `the order is`, else as a list of its own."""
    count = len(expected.solution)
    marks = [mark for mark in [*_MARKER.finditer(text)][-DECLARATIONS:] if not _is_refuted(text, mark)]
    labels = [mark for mark in marks if _BEGINS_LINE.search(text[max(0, mark.start() - 40) : mark.start()])]
    for chosen in (labels, marks):
        declared = [_sequence(text[mark.end() : mark.end() + 500], expected) for mark in chosen]
        if full := [found for found in declared if len(found) >= count]:
            return full
    return list(_listed(text, expected))[-1:]


def _is_refuted(text: str, mark: re.Match[str]) -> bool:
    """`The answer is not: …`, `some claim that the order is … but that is wrong`."""
    start = max(text.rfind(end, 0, mark.start()) for end in (". ", "\n", "! ", "? ")) + 1
    ends = [end for end in (text.find(". ", mark.end()), text.find("\n", mark.end())) if end >= 0]
    sentence = text[start : min(ends, default=len(text))][:600]
    before = text[start : mark.start()]
    return bool(_NEGATED.match(text, mark.end()) or without_myths(sentence) != sentence or _OTHERS_SAY.search(before))


def _sequence(text: str, expected: Expected) -> tuple[str, ...]:
    """The first different choices that are named, as many as the solution has; twice as many where another follows."""
    count = len(expected.solution)
    mentions = list(_mentions(text, expected.choices))
    first = tuple(dict.fromkeys(choice for choice, _ in mentions))[:count]
    if len(first) < count or count == 1:
        return first
    spoken, ends = flat(text).split(), [index for choice, index in mentions if choice == first[-1]][:1]
    rest = [(choice, index) for choice, index in mentions if index > ends[0]]
    second = tuple(dict.fromkeys(choice for choice, _ in rest))[:count]
    if (
        len(second) < count
        or second == first
        or rest[0][1] - ends[0] > OR_GAP
        or not _OR.intersection(spoken[ends[0] + 1 : rest[0][1]])
    ):
        return first
    return first + second


def _mentions(text: str, choices: Sequence[str]) -> Iterator[tuple[str, int]]:
    """(choice, number of the word at which it stands), in the order of the text."""
    for index, word in enumerate(flat(text).split()):
        found = next((choice for choice in choices if find(choice, f" {word} ")), None)
        if found is not None:
            yield found, index


def _listed(text: str, expected: Expected) -> Iterator[tuple[str, ...]]:
    """Runs of different choices that follow each other closely, as long as the solution; no two of them overlap."""
    mentions, count = list(_mentions(text, expected.choices)), len(expected.solution)
    spoken = flat(text).split()
    start = 0
    while start + count <= len(mentions):
        run = mentions[start : start + count]
        close = all(later - earlier <= GAP + 1 for (_, earlier), (_, later) in pairwise(run))
        denied = any(map(denies, spoken[max(0, run[0][1] - OR_GAP) : run[0][1]]))
        if close and not denied and len({choice for choice, _ in run}) == count:
            yield tuple(choice for choice, _ in run)
            start += count
        else:
            start += 1
