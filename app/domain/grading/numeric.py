"""Grader `numeric`: the final number of a calculation, with its unit, however it is written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from app.domain.grading.result import Expectation, Grade, graded, weighed
from app.domain.grading.text import plain, repetition, sentences, without_echo

#: different final answers from which on a text is guessing, not answering
GUESSES = 3
#: declarations of a result that are looked at, the last ones
DECLARATIONS = 20

_NUMBER = re.compile(
    r"(?<![\w.,:'])[-+]?(?P<digits>\d{1,3}(?:[ ,.']\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?)(?![\d:])"
    r"(?:\s?/\s?(?P<divisor>\d{1,9})(?![\d/.]))?"
    r"(?:\s?[x×*·]\s?10\s?\^\s?\{?(?P<power>[-+]?\d{1,3})\}?|e(?P<exponent>[-+]?\d{1,3})\b)?"
)
_UNIT = re.compile(r"[\s~\\]{0,3}(?:text\{\s?|-)?([^\W\d_]+|[%°€$£])")
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "mn": 1e6, "bn": 1e9}
_LIST_MARK = re.compile(r"[.):]\s")
_JOINED = re.compile(r"[\s,]{0,3}(?:and|und|et|y|e)?\s{0,3}")
_BOXED = re.compile(r"\\boxed\s?\{([^{}]{0,80})")
_BOLD = re.compile(r"(?:\*\*|__)([^*_\n]{1,120})(?:\*\*|__)")
_DECLARATION = re.compile(
    r"\b(?:answer|result|solution|antwort|ergebnis|lösung|réponse|résultat|respuesta|resultado)\b"
    r"[^.\n\d]{0,40}?(?:\b(?:is|was|ist|est|es)\b|[:=≈])"
    r"|(?:答案|答え|结果|結果)[是为は:=]*",
    re.IGNORECASE,
)
_CONNECTOR = re.compile(r"[=:≈>]|\b(?:is|are|gives|makes|takes|after|so|ist|est|es)\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|isn't|nicht|pas)\s(?:\w+\s)?$", re.IGNORECASE)


class Near(Expectation):
    """A wrong result that shows most of the right way, and what it is worth."""

    value: float
    score: Annotated[float, Field(ge=0, lt=1)]
    reason: str


class Expected(Expectation):
    value: Annotated[float, Field(allow_inf_nan=False)]
    #: largest distance from value that is right
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    #: unit → how many units of `value` it is: {minutes = 1, hours = 60}; none: the unit is not looked at
    units: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    near: tuple[Near, ...] = ()


@dataclass(frozen=True, slots=True)
class Quantity:
    #: the values a reader could take it for: 1,234 is a thousand and more, or a little over one
    readings: tuple[float, ...]
    unit: str
    text: str
    start: int
    end: int


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    text = without_echo(plain(answer), prompt_text)
    finals = _finals(text, expected.units)
    if not finals:
        return graded(0, ["no number is given as the result"])
    if len({final.readings for final in finals}) >= GUESSES:
        return graded(0, [f"gives {len(finals)} results that differ"])
    score, reason = _score(expected, finals[-1])
    return weighed(score, [reason], [repetition(answer)])


def _score(expected: Expected, final: Quantity) -> tuple[float, str]:
    if _is(final, expected.value, expected.tolerance):
        return 1.0, f"the result is {final.text}"
    for near in expected.near:
        if _is(final, near.value, expected.tolerance):
            return near.score, f"the result is {final.text}: {near.reason}"
    return 0.0, f"the result is {final.text}, not {expected.value:g}"


def _is(quantity: Quantity, value: float, tolerance: float) -> bool:
    slack = tolerance + 1e-9 * max(1.0, abs(value))
    return any(abs(reading - value) <= slack for reading in quantity.readings)


def _finals(text: str, units: dict[str, float]) -> list[Quantity]:
    """What the text declares to be its result, in order; without a declaration, the last number it ends on."""
    boxed = [found[1] for found in _BOXED.finditer(text)]
    declared = boxed or [_declared(text, match.end()) for match in [*_DECLARATION.finditer(text)][-DECLARATIONS:]]
    finals = [final for part in declared if (final := _first(part, units))]
    if not finals:
        finals = [final for bold in _BOLD.finditer(text) if (final := _first(bold[1], units))][-1:]
    return finals or list(_conclusion(text, units))


def _declared(text: str, start: int) -> str:
    """What stands behind `the answer is`: the rest of the line, or the next line that holds a digit."""
    lines = text[start : start + 240].split("\n")
    return next((line for line in lines if any(map(str.isdigit, line))), "")


def _first(part: str, units: dict[str, float]) -> Quantity | None:
    """The first number with a unit of ours, else the first; numbers that are denied (`not 41`) are passed over."""
    found = [q for q in quantities(part, units) if not _DENIED.search(part[max(0, q.start - 20) : q.start])]
    return next((q for q in found if q.unit), found[0] if found else None)


def _conclusion(text: str, units: dict[str, float]) -> Iterator[Quantity]:
    """The last number with a unit of ours in the last sentence that has numbers, else the last number there.

    A heap of numbers in which nothing leads up to the last one has no conclusion.
    """
    for sentence in reversed(sentences(text)):
        found = list(quantities(sentence, units))
        if found:
            final = next((q for q in reversed(found) if q.unit), found[-1])
            if final.unit or len(found) == 1 or _CONNECTOR.search(sentence[: final.start]):
                yield final
            return


def quantities(text: str, units: dict[str, float]) -> Iterator[Quantity]:
    """Numbers with their units, `43 minutes 36 seconds` as one; no clock times, no numbers of list items."""
    known = {unit.casefold(): scale for unit, scale in units.items()}
    last: Quantity | None = None
    for match in _NUMBER.finditer(text):
        if _LIST_MARK.match(text, match.end()) and text[match.start() - 1 : match.start()] in ("", "\n"):
            continue
        quantity = _quantity(text, match, known)
        if last and last.unit and quantity.unit and _continues(text, last, quantity, known):
            readings = (last.readings[0] + quantity.readings[0],)
            last = Quantity(readings, quantity.unit, text[last.start : quantity.end], last.start, quantity.end)
            continue
        if last:
            yield last
        last = quantity
    if last:
        yield last


def _continues(text: str, last: Quantity, quantity: Quantity, known: dict[str, float]) -> bool:
    smaller = known[quantity.unit] < known[last.unit]
    return smaller and _JOINED.fullmatch(text[last.end : quantity.start]) is not None


def _quantity(text: str, match: re.Match[str], known: dict[str, float]) -> Quantity:
    scale, end, unit = 1.0, match.end(), ""
    follower = _UNIT.match(text, end)
    if follower and follower[1].casefold() in _SCALES:
        scale, end = _SCALES[follower[1].casefold()], follower.end()
        follower = _UNIT.match(text, end)
    if follower and follower[1].casefold() in known:
        unit, end = follower[1].casefold(), follower.end()
        scale *= known[unit]
    readings = tuple(value * scale for value in _readings(match))
    return Quantity(readings, unit, text[match.start() : end].strip(), match.start(), end)


def _readings(match: re.Match[str]) -> tuple[float, ...]:
    factor = -1.0 if match[0].startswith("-") else 1.0
    power = int(match["power"] or match["exponent"] or 0)
    factor *= 10.0**power if abs(power) <= 300 else math.nan
    if match["divisor"]:
        factor /= float(match["divisor"]) or math.nan
    return tuple(value * factor for value in _spellings(match["digits"]))


def _spellings(digits: str) -> tuple[float, ...]:
    """1.234,5 and 1,234.5 have one reading; 1,234 and 1.234 have two."""
    bare = digits.replace("'", "").replace(" ", "")
    marks = [mark for mark in bare if mark in ",."]
    if not marks:
        return (float(bare),)
    *_, decimal = marks
    as_decimal = bare.replace("." if decimal == "," else ",", "").replace(decimal, ".")
    as_groups = float(bare.replace(",", "").replace(".", ""))
    if len(set(marks)) == 2:
        return (float(as_decimal),)
    if len(marks) > 1:
        return (as_groups,)
    return (float(as_decimal), as_groups) if len(bare.rpartition(decimal)[2]) == 3 else (float(as_decimal),)
