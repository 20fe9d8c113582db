"""Grader `numeric`: the final number of a calculation, with its unit, however it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from app.domain.grading.commitment import RETRACTED
from app.domain.grading.number_words import number_in_words
from app.domain.grading.quantities import Quantity, quantities, with_decimals
from app.domain.grading.result import Expectation, Grade, graded, weighed
from app.domain.grading.text import plain, repetition, sentences, without_echo, words

#: what is left of the right result beside another one that is left open, and of one in a unit of another kind
HEDGED = 0.25
OTHER_UNIT = 0.25
#: words of an answer that may be a number in words and nothing else
SHORT = 12
#: different final answers from which on a text is guessing, not answering
GUESSES = 3
#: declarations of a result that are looked at, the last ones
DECLARATIONS = 20

_BOXED = re.compile(r"\\boxed\s?\{([^{}]{0,80})")
_BOLD = re.compile(r"(?:\*\*|__)([^*_\n]{1,120})(?:\*\*|__)")
_DECLARATION = re.compile(
    r"\b(?:answer|result|solution|antwort|ergebnis|lösung|réponse|résultat|respuesta|resultado)\b"
    r"[^.\n\d]{0,40}?(?:\b(?:is|was|ist|est|es)\b|[:=≈])"
    r"|(?:答案|答え|结果|結果)[是为は:=]*",
    re.IGNORECASE,
)
#: the answer's own field, where it was asked for as JSON
_FIELD = re.compile(
    r"[\"']?\b(?:final_?)?answer[\"']\s{0,4}:\s{0,4}(?:\"((?:[^\"\n\\]|\\.){0,300})\"|(-?\d[\d.,]{0,30}))",
    re.IGNORECASE,
)
_LABEL = re.compile(r"\b(?:answer|antwort|réponse|respuesta)\b|答案|答え", re.IGNORECASE)
#: what makes a number a part of an expression
_EXPRESSION = re.compile(
    r"\\(?:sqrt|frac|pi|log|ln|sin|cos|tan|cdot)|[√∛π]|\b(?:sqrt|log|ln|sin|cos|tan|pi)\b|[a-z]\s?\^|\d\s?[a-z]\s?\^",
    re.IGNORECASE,
)
_OR_ELSE = re.compile(
    r"^[\s$*)]*(?:[^\W\d]{1,12}[\s$*]*)?(?:,\s?)?(?:or|oder|ou|o|/|and|,|;|perhaps|maybe|possibly"
    r"|alternatively)\s(?:(?:maybe|possibly|perhaps|even|else|is it|about)\s)?[\s$*(\\]*-?\s?\d",
    re.IGNORECASE,
)
_ALTERNATIVE = re.compile(
    r"\b(?:alternatively|or maybe|or perhaps|or possibly|another possib\w+|it could also be|or else)\b[^.\n]{0,40}$",
    re.IGNORECASE,
)
_REFUTED = re.compile(
    r"^[\s$*.]{0,4}(?:[^\W\d]{1,12}\s)?(?:after \d{1,2}:\d\d )?(?:is|was|would be|can't be|cannot"
    r" be)\s(?:wrong|incorrect|false|not (?:right|correct|the answer))",
    re.IGNORECASE,
)
_CONNECTOR = re.compile(r"[=:≈>]|\b(?:is|are|gives|makes|takes|after|so|ist|est|es)\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|isn't|nicht|pas)\s(?:\w+\s)?$", re.IGNORECASE)


#: `1,234.50 including 197.10 of tax`: what follows is a part of what stands before
_PARTS = re.compile(
    r"^[^\d]{0,6}\s?[(,]?\s?\b(?:including|incl|inclusive of|of which|with|plus|net of|before|after)\b", re.IGNORECASE
)


class Near(Expectation):
    """A wrong result that shows most of the right way, and what it is worth."""

    value: float
    score: Annotated[float, Field(ge=0, lt=1)]
    reason: str


class Expected(Expectation):
    value: Annotated[float, Field(allow_inf_nan=False)]
    #: largest distance from value that is right
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    #: … as a share of the value; the larger of both is what counts
    relative_tolerance: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    #: unit → how many units of `value` it is: {minutes = 1, hours = 60}; none: the unit is not looked at
    units: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    near: tuple[Near, ...] = ()

    @property
    def slack(self) -> float:
        return max(self.tolerance, self.relative_tolerance * abs(self.value))


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    text = without_echo(with_decimals(plain(answer)), prompt_text)
    finals = _finals(text, expected.units)
    if not finals:
        return graded(0, ["no number is given as the result"])
    if len({final.readings for final in finals}) >= GUESSES:
        return graded(0, [f"gives {len(finals)} results that differ"])
    score, reason = _score(expected, finals[-1])
    return weighed(score, [reason], [repetition(answer)])


def _score(expected: Expected, final: Quantity) -> tuple[float, str]:
    if final.doubt:
        return HEDGED * _is(final, expected.value, expected.slack), f"the result is {final.text}: {final.doubt}"
    if expected.units and final.other_unit:
        right = _is(final, expected.value, expected.slack)
        return OTHER_UNIT * right, f"the result is {final.text}, which is no unit of {', '.join(expected.units)}"
    if _is(final, expected.value, expected.slack):
        return 1.0, f"the result is {final.text}"
    for near in expected.near:
        if _is(final, near.value, expected.slack):
            return near.score, f"the result is {final.text}: {near.reason}"
    return 0.0, f"the result is {final.text}, not {expected.value:g}"


def _is(quantity: Quantity, value: float, tolerance: float) -> bool:
    slack = tolerance + 1e-9 * max(1.0, abs(value))
    return any(abs(reading - value) <= slack for reading in quantity.readings)


def _finals(text: str, units: dict[str, float]) -> list[Quantity]:
    """What the text declares to be its result, in order; without a declaration, the last number it ends on."""
    if fields := [*_FIELD.finditer(text)]:
        stated = next(group for group in fields[-1].groups() if group is not None)
        final = _first(stated, units)
        return [] if final is None or _EXPRESSION.search(stated) else [final]
    boxed = [found[1] for found in _BOXED.finditer(text)]
    declared = boxed or [_declared(text, match) for match in _declarations(text)]
    finals = [final for part in declared if (final := _first(part, units))]
    if not finals:
        finals = [final for bold in _BOLD.finditer(text) if (final := _first(bold[1], units))][-1:]
    finals = finals or list(_conclusion(text, units)) or _alone_in_words(text, units)
    return _corrected(text, finals, units)


def _alone_in_words(text: str, units: dict[str, float]) -> list[Quantity]:
    """A short answer that is a number in words."""
    spelt = _spelt(text, units) if len(words(text)) <= SHORT else None
    return [spelt] if spelt else []


def _declarations(text: str) -> list[re.Match[str]]:
    """Those of an answer where there are any, else those of a result or a solution."""
    every = [*_DECLARATION.finditer(text)]
    answers = [match for match in every if _LABEL.match(match[0])]
    return (answers or every)[-DECLARATIONS:]


def _declared(text: str, match: re.Match[str]) -> str:
    """What stands behind `the answer is`: the rest of the line, or the next line that holds a digit."""
    lines = text[match.end() : match.end() + 240].split("\n")
    line = next((line for line in lines if any(map(str.isdigit, line)) or number_in_words(line) is not None), "")
    before = text[max(0, match.start() - 60) : match.start()]
    return f"{line.rstrip(' .')} or 0" if _ALTERNATIVE.search(before) else line


def _first(part: str, units: dict[str, float]) -> Quantity | None:
    """The first number with a unit of ours, else the first; numbers that are denied (`not 41`) are passed over."""
    if not any(map(str.isdigit, part)):
        return _spelt(part, units)
    turn = max((match.end() for match in RETRACTED.finditer(part.casefold())), default=0)
    part = part[turn:] if any(map(str.isdigit, part[turn:])) else part
    found = _standing(part, units)
    final = next((q for q in found if q.unit), found[0] if found else None)
    return None if final is None else _doubted(final, found, part)


def _standing(part: str, units: dict[str, float]) -> list[Quantity]:
    """Numbers that are not denied: neither `not 41`, nor `41 is wrong`."""
    return [
        q
        for q in quantities(part, units)
        if not _DENIED.search(part[max(0, q.start - 20) : q.start]) and not _REFUTED.match(part[q.end : q.end + 80])
    ]


def _doubted(final: Quantity, found: list[Quantity], part: str) -> Quantity:
    """With a doubt where another value stands beside it as another answer."""
    others = [q for q in found if q.start >= final.end]
    if others and _OR_ELSE.match(part[final.end : others[0].end]):
        apart = min(abs(a - b) for a in final.readings for b in others[0].readings)
        if apart > 0.02 * max(1.0, abs(final.readings[0])):
            return replace(final, doubt=f"{others[0].text} stands beside it")
    return final


def _spelt(part: str, units: dict[str, float]) -> Quantity | None:
    """`forty-three point six minutes`"""
    value = number_in_words(part)
    if value is None:
        return None
    unit = next((word for word in words(part) if word in units), "")
    return Quantity((value * units.get(unit, 1.0),), unit, part.strip()[:60], 0, len(part))


def _corrected(text: str, finals: list[Quantity], units: dict[str, float]) -> list[Quantity]:
    """A result that is taken back behind its declaration: `Answer: 41.6. No wait, 43.6 minutes.`"""
    marks = [*_DECLARATION.finditer(text)]
    if not marks or not finals:
        return finals
    tail = text[marks[-1].end() :]
    behind = tail.partition("\n")[2] if "\n" in tail else ""
    turn = next(RETRACTED.finditer(behind.casefold()), None)
    if turn is None or not (later := [q for q in quantities(behind[turn.end() :], units) if q.unit]):
        return finals
    return [*finals, later[-1]]


def _conclusion(text: str, units: dict[str, float]) -> Iterator[Quantity]:
    """The last number with a unit of ours in the last sentence that has numbers, else the last number there.

    A heap of numbers in which nothing leads up to the last one has no conclusion.
    """
    for sentence in reversed(sentences(text)):
        found = _standing(sentence, units)
        if found:
            final = next((q for q in reversed(found) if q.unit), found[-1])
            if not final.unit and _PARTS.search(sentence[found[0].end : final.start]):
                final = found[0]
            if final.unit or len(found) == 1 or final is found[0] or _CONNECTOR.search(sentence[: final.start]):
                yield final
            return
