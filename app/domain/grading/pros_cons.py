"""Grader `pros-cons`: arguments for and against, each with substance, and a verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from app.domain.grading.concepts import Concept, Concepts, Term, find, flat, states, terms_of
from app.domain.grading.leaning import leaning
from app.domain.grading.markup import without_pictures, without_rules
from app.domain.grading.result import Expectation, Grade, Span, weighed
from app.domain.grading.sense import sense, world
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
    "pros": "pros pro advantages advantage benefits benefit upsides upside strengths positives plus vorteile avantages "
    "ventajas",
    "cons": "cons con disadvantages disadvantage drawbacks drawback downsides downside weaknesses negatives risks "
    "minus nachteile inconvénients contras",
    "verdict": "recommendation recommendations recommended recommend verdict conclusion decision empfehlung fazit "
    "recommandation recomendación",
}
_SIDE_OF = {label: side for side, labels in _LABELS.items() for label in labels.split()}
#: words that make a side only in a heading: `Arguments for`
_TURNED = {"for": "pros", "against": "cons", "favour": "pros", "favor": "pros"}
#: longest heading that is more than its label
HEADING_WORDS = 8
#: what may stand around the label of a heading whose text goes on in the same line: `Pro 1: …`
_LABEL_LINE = re.compile(r"^(?:the |an? |my )?([^\W\d_]+)\s?(?:#?\(?\d{0,2}\)?)\s?(?:of an? [^:]{1,60})?(?::|-\s)(.*)$")


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
    #: words of the subject beyond those of prompt and aspects; none: words from elsewhere are not looked at
    world: str | None = None


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    sides = _sides(without_echo(plain(answer), prompt_text))
    substance, reasons = 0.0, []
    for side, aspects in (("pros", expected.pros), ("cons", expected.cons)):
        credit, notes = _substance(side, sides[side], aspects, expected)
        substance += credit / (2 * expected.points)
        reasons.append(f"{side}: {credit:g} of {expected.points}" + (f" ({'; '.join(notes)})" if notes else ""))
    form, faults = _form(sides, expected)
    own = "\n".join(point for points in sides.values() for point in points)
    known = world(expected.world, terms_of([*expected.pros, *expected.cons]), prompt_text) if expected.world else None
    score = substance * (1 - FORM_SHARE + FORM_SHARE * form)
    return weighed(score, [*reasons, *faults], [repetition(answer), sense(own, known)])


def _substance(
    side: str, points: Sequence[str], aspects: Sequence[Concept], expected: Expected
) -> tuple[float, list[str]]:
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
        if _speaks_for_the_other(side, point):
            notes.append(f"{number} speaks for the other side")
            continue
        new = [a.name for a in aspects if a.name not in used and states(flat(point), a)]
        used.update(new[:1])
        marks.append((1.0 if new else UNLISTED) * min(1.0, 1.2 * most / len(spoken)))
        notes += [] if new else [f"{number} is no known argument, or one already made"]
    return sum(sorted(marks, reverse=True)[: expected.points]), notes[:3]


def _speaks_for_the_other(side: str, point: str) -> bool:
    return leaning(point) < 0 if side == "pros" else leaning(point) > 0


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
            heads = [_heading(cell)[0] for cell in cells]
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
    """(side, rest) of `**Pros:** …`, `Pro 1: …`, `### ✅ Pros (3)`; ("", line) of any other line."""
    bare = without_marker(unmarked(without_rules(without_pictures(line)))).strip(" -.")
    head, colon, rest = bare.partition(":")
    if side := _heading_side(head if colon else bare, leads=bool(colon) and not rest.strip()):
        return side, rest.strip(" -") if colon else ""
    match = _LABEL_LINE.match(bare.casefold())
    side = _SIDE_OF.get(match[1], "") if match else ""
    return (side, bare[match.start(2) :].strip(" -:")) if match and side else ("", bare)


def _heading_side(head: str, *, leads: bool) -> str:
    """The side a short line names; a line that names both, or is a sentence that leads to nothing, names none."""
    spoken = words(head)
    if not 1 <= len(spoken) <= HEADING_WORDS or head.rstrip().endswith((".", "!", "?", ";", ",")):
        return ""
    sides = {_SIDE_OF[word] for word in spoken if word in _SIDE_OF}
    if not sides and {"arguments", "argument", "case", "points", "reasons"} & set(spoken):
        sides = {_TURNED[word] for word in spoken if word in _TURNED}
    if spoken in (["for"], ["against"]):
        sides = {_TURNED[spoken[0]]}
    return sides.pop() if len(sides) == 1 and (leads or not _is_statement(spoken)) else ""


def _is_statement(spoken: Sequence[str]) -> bool:
    """`The main benefit is …` is an argument that names its side."""
    return len(spoken) > 2 and not _VERBS.isdisjoint(spoken)


_VERBS = frozenset(
    ["is", "are", "was", "will", "would", "can", "could", "may", "might", "has", "have", "because", "makes"]
)


def _points(lines: list[str]) -> Iterator[str]:
    """One point per line; a section that is a single paragraph has one per sentence."""
    yield from sentences(lines[0]) if len(lines) == 1 else lines
