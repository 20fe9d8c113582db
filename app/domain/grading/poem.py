"""Grader `poem`: the form that was asked for, and a text that is more than its form."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from app.domain.grading.concepts import Term, find, flat
from app.domain.grading.language import ENGLISH
from app.domain.grading.result import Expectation, Fault, Grade, Span, graded, weighed
from app.domain.grading.text import (
    fenced_blocks,
    is_prose,
    named,
    plain,
    repetition,
    unmarked,
    without_chat,
    without_echo,
    words,
)

#: what a poem that is only a heap of words keeps of its score
HEAP = 0.3
#: share of the lines with words from elsewhere: up to the first they are its images, from the second on it is no poem
ODD_SHARE = (0.2, 0.6)
#: what a poem keeps that says next to nothing of its subject
OFF_SUBJECT = 0.5
#: share of English words of grammar below which lines are no English
ENGLISH_SHARE = 0.1
#: what a poem keeps that has a title or talk around it, where the poem alone was asked for
CHATTY = 0.95

#: (weight, share fulfilled, reason)
Part = tuple[float, float, str]


class Expected(Expectation):
    lines: Annotated[int, Field(ge=2, le=200)]
    stanzas: Annotated[int, Field(ge=1, le=50)]
    #: [fewest, most]
    words_per_line: Span
    #: what the first letters of the lines spell
    acrostic: str | None = None
    must_use: tuple[Term, ...] = ()
    #: words of the subject's world, and how many of them are enough
    imagery: tuple[Term, ...] = ()
    imagery_wanted: Annotated[int, Field(ge=0)] = 0
    #: words, with `*` for any ending, that no poem on the subject is made of
    elsewhere: str = ""

    @model_validator(mode="after")
    def _a_letter_for_each_line(self) -> Self:
        if self.acrostic is not None and len(self.acrostic) != self.lines:
            raise ValueError(f"acrostic has {len(self.acrostic)} letters for {self.lines} lines")
        return self


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    stanzas, chat = _stanzas(without_echo(plain(answer), prompt_text))
    lines = [line for stanza in stanzas for line in stanza]
    if not lines:
        return graded(0, ["no lines of verse"])
    parts = list(_parts(expected, stanzas, lines))
    total = sum(weight * share for weight, share, _ in parts) / sum(weight for weight, _, _ in parts)
    reasons = [reason for _, share, reason in parts if share < 1]
    faults = [
        *_faults(lines),
        *_subject(expected, lines),
        (CHATTY if chat else 1.0, "text around the poem, which alone was asked for"),
    ]
    return weighed(total, reasons or ["form, words and subject are as asked"], [*faults, repetition(answer)])


def _parts(expected: Expected, stanzas: list[list[str]], lines: list[str]) -> list[Part]:
    """How far each thing that was asked for is there."""
    count, flat_text = len(lines), flat("\n".join(lines))
    fewest, most = expected.words_per_line
    fitting = sum(fewest <= len(words(line)) <= most for line in lines)
    used = [term for term in expected.must_use if find(term, flat_text)]
    images = sum(find(term, flat_text) is not None for term in expected.imagery)
    parts: list[Part] = [
        (0.15, _nearness(count, expected.lines), f"{count} lines, not {expected.lines}"),
        (0.1, _nearness(len(stanzas), expected.stanzas), f"{len(stanzas)} stanzas, not {expected.stanzas}"),
        (0.1, fitting / max(count, expected.lines), f"{fitting} of {count} lines have {fewest} to {most} words"),
    ]
    if expected.acrostic:
        spelt = "".join(words(line)[0][0] for line in lines if words(line))
        parts.append((0.4, _agreement(spelt, expected.acrostic.casefold()), f"first letters spell {spelt[:40]!r}"))
    if expected.must_use:
        left_out = [term for term in expected.must_use if term not in used]
        parts.append((0.15, len(used) / len(expected.must_use), f"left out: {named(left_out)}"))
    if expected.imagery_wanted:
        reached = min(1.0, images / expected.imagery_wanted)
        parts.append((0.15, reached, f"only {images} words of the subject's world"))
    return parts


def _faults(lines: list[str]) -> list[Fault]:
    """What makes well-formed lines no poem."""
    distinct = len({tuple(words(line)) for line in lines}) / len(lines)
    spoken = words("\n".join(lines))
    vocabulary = min(1.0, 2 * len(set(spoken)) / len(spoken)) if spoken else 0.0
    return [
        (distinct**2, "lines repeat each other"),
        (vocabulary, "few different words"),
        (1.0 if is_prose(spoken) else HEAP, "a heap of words, not sentences"),
    ]


def _subject(expected: Expected, lines: list[str]) -> list[Fault]:
    """What makes well-formed lines no poem on the subject."""
    low, high = ODD_SHARE
    elsewhere = " | ".join(expected.elsewhere.split())
    odd = sum(find(elsewhere, flat(line)) is not None for line in lines) if elsewhere else 0
    images = sum(find(term, flat("\n".join(lines))) is not None for term in expected.imagery)
    spoken = words("\n".join(lines))
    english = sum(word in ENGLISH for word in spoken) >= ENGLISH_SHARE * len(spoken)
    return [
        (min(1.0, max(HEAP, (high - odd / len(lines)) / (high - low))), f"{odd} lines speak of other things"),
        (OFF_SUBJECT if 2 * images < expected.imagery_wanted else 1.0, "says next to nothing of its subject"),
        (1.0 if english else HEAP, "is not in the language of the prompt"),
    ]


def _stanzas(text: str) -> tuple[list[list[str]], bool]:
    """The poem, stanza by stanza, and whether a title or talk stood around it."""
    blocks = fenced_blocks(text)
    body = blocks[0][1] if blocks else text
    paragraphs = [[unmarked(line) for line in part.split("\n") if words(line)] for part in body.split("\n\n")]
    verses = [lines for part in paragraphs if (lines := without_chat(part))]
    stanzas = [lines for lines in verses if len(lines) > 1] or verses
    return stanzas, sum(map(len, stanzas)) < sum(map(len, paragraphs))


def _nearness(count: int, wanted: int) -> float:
    """1 for the number wanted, 0 from a half or twice of it on."""
    return max(0.0, 1 - 2 * abs(count - wanted) / max(count, wanted))


def _agreement(one: str, other: str) -> float:
    """Share of the places at which two words have the same letter."""
    return sum(a == b for a, b in zip(one, other, strict=False)) / max(len(one), len(other))
