"""Grader `extraction`: dates, names and numbers taken from a text, by F1 over all of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from app.domain.grading.json_value import json_values
from app.domain.grading.quantities import quantities
from app.domain.grading.result import Expectation, Grade, weighed
from app.domain.grading.text import (
    is_list_item,
    named,
    plain,
    repetition,
    unmarked,
    without_echo,
    without_marker,
    words,
)

#: by the letters they begin with, in English, German, French, Spanish, Italian and Portuguese
_MONTHS = {
    1: ("jan", "jän", "ene", "gen"),
    2: ("feb", "fév", "fev"),
    3: ("mar", "mär", "mär"),
    4: ("apr", "avr", "abr"),
    5: ("may", "mai", "mag"),
    6: ("jun", "juin", "giu"),
    7: ("jul", "juil", "lug"),
    8: ("aug", "aoû", "ago"),
    9: ("sep", "set"),
    10: ("oct", "okt", "ott", "out"),
    11: ("nov",),
    12: ("dec", "dez", "déc", "dic"),
}
_BY_PREFIX = {prefix: month for month, prefixes in _MONTHS.items() for prefix in prefixes}
_DATES = (
    re.compile(r"(?<!\d)(?P<year>\d{4})[-/.年](?P<month>\d{1,2})[-/.月](?P<day>\d{1,2})(?!\d)"),
    re.compile(r"(?<!\d)(?P<day>\d{1,2})(?:\.\s?|/|-)(?P<month>\d{1,2})(?:\.\s?|/|-)(?P<year>\d{4})(?!\d)"),
    re.compile(
        r"(?<!\d)(?P<day>\d{1,2})(?:st|nd|rd|th|\.|er)?\s(?:of\s|de\s)?(?P<month>[^\W\d_]{3,12})\.?,?\s(?:de\s)?"
        r"(?P<year>\d{4})(?!\d)"
    ),
    re.compile(r"(?P<month>[^\W\d_]{3,12})\.?\s(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s(?P<year>\d{4})(?!\d)"),
)
_TITLES = frozenset(["mr", "mrs", "ms", "dr", "prof", "herr", "frau", "the"])


class Kind(StrEnum):
    DATE = "date"
    NAME = "name"
    NUMBER = "number"


class Wanted(Expectation):
    """One list of things to extract."""

    kind: Kind
    #: dates in ISO form, numbers as decimals, names with `|` between accepted spellings
    items: Annotated[tuple[str, ...], Field(min_length=1, max_length=200)]
    #: other headings an answer may give the list
    aliases: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _items_are_of_the_kind(self) -> Self:
        for item in self.items:
            if self.kind is Kind.DATE:
                date.fromisoformat(item)
            elif self.kind is Kind.NUMBER:
                float(item)
            elif not all(words(spelling) for spelling in item.split("|")):
                raise ValueError("a name needs a word on each side of every '|'")
        return self


class Expected(Expectation):
    #: by the heading that the prompt asks for
    fields: Annotated[dict[str, Wanted], Field(min_length=1, max_length=50)]


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    """Micro-averaged F1: a thing that is missing and a thing that should not be there cost the same."""
    lists = _lists(without_echo(answer, prompt_text), expected.fields)
    hits = wanted = given = 0
    reasons: list[str] = []
    for name, field in expected.fields.items():
        found = _READERS[field.kind](lists.get(name, ""))
        missing, spare = _compared(field, found)
        hits += len(field.items) - len(missing)
        wanted += len(field.items)
        given += len(field.items) - len(missing) + len(spare)
        reasons += [f"{name}: missing {named(item.split('|')[0].strip() for item in missing)}"] if missing else []
        reasons += [f"{name}: not in the text {named(map(_shown, spare))}"] if spare else []
    excess = max(0, given - hits - wanted // 2)
    reasons.insert(0, f"{hits} of {wanted} found, {given - hits} too many")
    faults = [repetition(answer), (wanted / (wanted + excess), "lists whatever might be asked for")]
    return weighed(2 * hits / (wanted + given), reasons, faults)


Thing = str | tuple[float, ...]


def _compared(field: Wanted, found: Sequence[Thing]) -> tuple[list[str], list[Thing]]:
    """Items that are missing, and things that are none of them. Each text is taken apart once."""
    if field.kind is Kind.NUMBER:
        wanted = [float(item) for item in field.items]
        hits = [[place for place, value in enumerate(wanted) if _is_number(value, thing)] for thing in found]
    else:
        keys = _keys(field)
        hits = [keys.get(thing if field.kind is Kind.DATE else _name_words(str(thing)), []) for thing in found]
    there = {place for places in hits for place in places}
    missing = [item for place, item in enumerate(field.items) if place not in there]
    return missing, [thing for thing, places in zip(found, hits, strict=True) if not places]


def _keys(field: Wanted) -> dict[Hashable, list[int]]:
    """Where each date, or each spelling of a name, stands among the items."""
    keys: dict[Hashable, list[int]] = {}
    for place, item in enumerate(field.items):
        spellings: list[Hashable] = [item] if field.kind is Kind.DATE else [*map(_name_words, item.split("|"))]
        for spelling in spellings:
            keys.setdefault(spelling, []).append(place)
    return keys


def _is_number(value: float, thing: Thing) -> bool:
    """A number too long for a float is infinite, and like no other."""
    readings = (reading for reading in thing if isinstance(reading, float) and math.isfinite(reading))
    return any(abs(value - reading) <= 1e-6 * max(1.0, abs(reading)) for reading in readings)


def _lists(answer: str, fields: dict[str, Wanted]) -> dict[str, str]:
    """The text of each list, by field: from a JSON object, else from `heading: a; b` or a heading with bullets."""
    labels = {_label(alias): name for name, field in fields.items() for alias in (name, *field.aliases)}
    for value in json_values(answer)[0]:
        if not isinstance(value, dict):
            continue
        found = {labels[_label(key)]: _joined(value[key]) for key in value if _label(key) in labels}
        if found:
            return found
    return _headed(answer, labels)


def _headed(answer: str, labels: dict[str, str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    current = ""
    for line in plain(answer).split("\n"):
        head, colon, rest = without_marker(line.strip().strip("|").replace("|", ":", 1)).partition(":")
        name = labels.get(_label(head))
        if name and (colon or not rest):
            current = name
            found.setdefault(name, []).append(rest)
        elif current and line.strip():
            if is_list_item(line) or not "".join(found[current]).strip():
                found[current].append(without_marker(line))
            else:
                current = ""
    return {name: "\n".join(map(unmarked, parts)) for name, parts in found.items()}


def _label(text: str) -> str:
    return " ".join(words(text))


def _joined(value: object) -> str:
    """Leaves of a JSON value, one per line."""
    if isinstance(value, dict):
        value = list(value.values())
    return "\n".join(map(_joined, value)) if isinstance(value, list) else str(value)


def _items(text: str) -> list[str]:
    """A list's items: by `;` and line, by comma where there is none of these."""
    parts = re.split(r"[;\n]", text)
    if sum(bool(part.strip()) for part in parts) == 1:
        parts = re.split(r",\s", text)
    return [part for part in map(str.strip, parts) if words(part) and part.casefold() not in {"none", "n/a", "null"}]


def _dates(text: str) -> list[Thing]:
    """ISO dates; an item that holds none stands as it is, to be counted as too many."""
    found: dict[Thing, None] = {}
    for item in re.split(r"[;\n]", plain(text)):
        dates = list(_dates_in(item))
        found |= dict.fromkeys(dates or ([item.strip()] if words(item) else []))
    return list(found)


def _dates_in(text: str) -> Iterator[str]:
    for match in (match for pattern in _DATES for match in pattern.finditer(text)):
        year, month, day = int(match["year"]), _month(match["month"]), int(match["day"])
        if month > 12 and "/" in match[0]:  # 3/14/2024 has but one reading
            month, day = day, month
        with suppress(ValueError):
            yield date(year, month, day).isoformat()


def _month(name: str) -> int:
    """1..12 of a known name; the number of a number; 0 of any other word."""
    if name.isdecimal():
        return int(name)
    folded = name.casefold()
    return _BY_PREFIX.get(folded[:4]) or _BY_PREFIX.get(folded[:3], 0)


def _names(text: str) -> list[Thing]:
    found = {_name_words(item): item for item in _items(text)}
    return [item for spoken, item in found.items() if spoken]


def _name_words(text: str) -> tuple[str, ...]:
    """Words of a name, without title, note in brackets, or role behind a dash."""
    bare = re.sub(r"\([^()]{0,200}\)", "", plain(text)).partition(" - ")[0]
    return tuple(word for word in words(bare) if word not in _TITLES)


def _numbers(text: str) -> list[Thing]:
    return list(dict.fromkeys(quantity.readings for quantity in quantities(plain(text), {})))


def _shown(thing: Thing) -> str:
    return thing if isinstance(thing, str) else f"{thing[0]:g}"


_READERS: dict[Kind, Callable[[str], list[Thing]]] = {Kind.DATE: _dates, Kind.NAME: _names, Kind.NUMBER: _numbers}
