"""Grader `pros-cons`: arguments for and against, each with substance, and a verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from app.domain.grading.concepts import Concept, Concepts, Term, find, flat, states
from app.domain.grading.result import Expectation, Grade, Span, weighed
from app.domain.grading.text import (
    is_prose,
    plain,
    repetition,
    sentences,
    unmarked,
    without_echo,
    without_marker,
    words,
)

#: share of the grade that form carries, for as far as there are points to be formed
FORM_SHARE = 0.25
#: credit of a point that is a sentence but none of the aspects listed for its side
UNLISTED = 0.5
#: points of one side that are looked at: each is compared with those before it
LOOKED_AT = 100
#: share of words that two points may have in common and still be two points
OVERLAP = 0.7

_LABELS = {
    "pros": "pros pro advantages advantage benefits benefit for upsides vorteile avantages ventajas",
    "cons": "cons con disadvantages disadvantage drawbacks drawback against downsides nachteile inconvénients contras",
    "verdict": "recommendation verdict conclusion decision empfehlung fazit recommandation recomendación",
}
_SIDE_OF = {label: side for side, labels in _LABELS.items() for label in labels.split()}
_HEADING = re.compile(r"^(?:the )?([^\W\d_]+)\s?(?:\(\d+\)|\d+)?\s?(?:of a [^:]{1,60})?(?::|-\s|$)(.*)$", re.IGNORECASE)


class Expected(Expectation):
    #: points wanted on each side
    points: Annotated[int, Field(ge=1, le=20)]
    #: [fewest, most] words of a point
    words_per_point: Span
    #: aspects that count as good arguments
    pros: Concepts
    cons: Concepts
    #: what a clear verdict says; None: none is asked for
    verdict: tuple[Term, ...] | None = None


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    sides = _sides(without_echo(plain(answer), prompt_text))
    substance, reasons = 0.0, []
    for side, aspects in (("pros", expected.pros), ("cons", expected.cons)):
        credit, notes = _substance(sides[side], aspects, expected)
        substance += credit / (2 * expected.points)
        reasons.append(f"{side}: {credit:g} of {expected.points}" + (f" ({'; '.join(notes)})" if notes else ""))
    form, faults = _form(sides, expected)
    return weighed(substance * (1 - FORM_SHARE + FORM_SHARE * form), [*reasons, *faults], [repetition(answer)])


def _substance(points: Sequence[str], aspects: Sequence[Concept], expected: Expected) -> tuple[float, list[str]]:
    """Credit for up to the wanted number of points, and what is wrong with those that get less."""
    fewest, most = expected.words_per_point
    seen: list[frozenset[str]] = []
    used: set[str] = set()
    marks, notes = [], []
    for number, point in enumerate(points[:LOOKED_AT], start=1):
        spoken = words(point)
        if len(spoken) < fewest or not is_prose(spoken):
            notes.append(f"{number} is no sentence of {fewest} words or more")
            continue
        if any(_alike(frozenset(spoken), other) for other in seen):
            notes.append(f"{number} repeats another")
            continue
        seen.append(frozenset(spoken))
        new = [a.name for a in aspects if a.name not in used and states(flat(point), a)]
        used.update(new[:1])
        marks.append((1.0 if new else UNLISTED) * min(1.0, 1.2 * most / len(spoken)))
        notes += [] if new else [f"{number} is no known argument, or one already made"]
    return sum(sorted(marks, reverse=True)[: expected.points]), notes[:3]


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) > OVERLAP * min(len(one), len(other))


def _form(sides: dict[str, list[str]], expected: Expected) -> tuple[float, list[str]]:
    """Share of the form that was kept, and what was not."""
    checks = [(len(sides[side]) == expected.points, f"{len(sides[side])} {side}") for side in ("pros", "cons")]
    if expected.verdict is not None:
        said = flat(" ".join(sides["verdict"]))
        clear = len(said.split()) >= 5 and any(find(term, said) for term in expected.verdict)
        checks.append((clear, "no clear verdict"))
    return sum(kept for kept, _ in checks) / len(checks), [fault for kept, fault in checks if not kept]


def _sides(text: str) -> dict[str, list[str]]:
    """The points under each heading, from bullets, lines, sentences of a paragraph, or columns of a table."""
    sides: dict[str, list[str]] = {side: [] for side in _LABELS}
    side, columns = "", [""]
    for line in text.split("\n"):
        cells = [unmarked(cell) for cell in line.strip().strip("|").split("|")]
        if len(cells) > 1:
            heads = [_SIDE_OF.get(cell.casefold(), "") for cell in cells]
            columns = heads if any(heads) else columns
            found = [] if any(heads) else list(zip(columns, cells, strict=False))
        else:
            head, rest = _heading(line)
            side = head or side
            found = [(side, rest)]
        for name, point in found:
            if name and words(point):
                sides[name].append(point)
    return {name: list(_points(points)) for name, points in sides.items()}


def _heading(line: str) -> tuple[str, str]:
    """(side, rest) of `**Pros:** …` or `Pro 1: …`; ("", line) of any other line."""
    bare = without_marker(unmarked(line))
    match = _HEADING.match(bare)
    side = _SIDE_OF.get(match[1].casefold(), "") if match else ""
    return (side, match[2].strip(" -:")) if match and side else ("", bare)


def _points(lines: list[str]) -> Iterator[str]:
    """One point per line; a section that is a single paragraph has one per sentence."""
    yield from sentences(lines[0]) if len(lines) == 1 else lines
