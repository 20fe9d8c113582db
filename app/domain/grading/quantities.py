"""Numbers of a text with their units, in every common spelling."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

_NUMBER = re.compile(
    r"(?<![\w.,:'])[-+]?(?P<digits>\d{1,3}(?:[ ,.']\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?)(?![\d:])"
    r"(?:\s?/\s?(?P<divisor>\d{1,9})(?![\d/.]))?"
    r"(?:\s?[x×*·]\s?10\s?\^\s?\{?(?P<power>[-+]?\d{1,3})\}?|e(?P<exponent>[-+]?\d{1,3})\b)?"
)
_UNIT = re.compile(r"[\s~\\]{0,3}(?:text\{\s?|-)?([^\W\d_]+|[%°€$£])")
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "mn": 1e6, "bn": 1e9}
_LIST_MARK = re.compile(r"[.):]\s")
_JOINED = re.compile(r"[\s,]{0,3}(?:and|und|et|y|e)?\s{0,3}")
_OTHER_UNITS = frozenset(
    [
        "litre",
        "litres",
        "liter",
        "liters",
        "l",
        "ml",
        "gallon",
        "gallons",
        "metre",
        "metres",
        "meter",
        "meters",
        "km",
        "cm",
        "mm",
        "mile",
        "miles",
        "kg",
        "kilogram",
        "kilograms",
        "gram",
        "grams",
        "tonne",
        "tonnes",
        "dollar",
        "dollars",
        "euro",
        "euros",
        "pound",
        "pounds",
        "cent",
        "cents",
        "percent",
        "degrees",
        "people",
        "items",
        "units",
        "day",
        "days",
        "week",
        "weeks",
        "year",
        "years",
        "hour",
        "hours",
        "minute",
        "minutes",
        "second",
        "seconds",
    ]
)
_MIDDLE_DOT = re.compile(r"(?<![\d·.,])(\d{1,9})·(\d{1,4})(?![\d·])(?!\s?[=+*/×≈-])")


@dataclass(frozen=True, slots=True)
class Quantity:
    #: the values a reader could take it for: 1,234 is a thousand and more, or a little over one
    readings: tuple[float, ...]
    unit: str
    text: str
    start: int
    end: int
    #: a unit that is none of ours
    other_unit: str = ""
    #: why it is not the one result
    doubt: str = ""


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
    other = follower[1].casefold() if follower and not unit and follower[1].casefold() in _OTHER_UNITS else ""
    return Quantity(readings, unit, text[match.start() : end].strip(), match.start(), end, other)


def with_decimals(text: str) -> str:
    """43·6 as 43.6, where it is no product."""
    return _MIDDLE_DOT.sub(r"\1.\2", text)


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
