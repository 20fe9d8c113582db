"""Finds out what a text says: terms, and concepts made of terms that stand together in a statement.

A term is what config/prompts.toml writes: words, `*` for any ending, `|` between alternatives
("heat pump* | geothermal"). It is matched on words, never by a pattern a user wrote, so no text makes it slow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from app.domain.grading.result import Expectation
from app.domain.grading.text import is_prose, sentences, words

_DENIALS = frozenset(["not", "no", "never", "nor", "myth", "wrong", "false", "misconception"])


def _is_term(value: str) -> str:
    if not all(words(alternative) for alternative in value.split("|")):
        raise ValueError("a term needs a word on each side of every '|'")
    return value


Term = Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(_is_term)]


class Concept(Expectation):
    """Something an answer should say: every one of `needs` within one sentence or two that follow each other."""

    name: str
    needs: Annotated[tuple[Term, ...], Field(min_length=1)]
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0


def _names_differ(concepts: tuple[Concept, ...]) -> tuple[Concept, ...]:
    if len({concept.name for concept in concepts}) < len(concepts):
        raise ValueError("names must differ")
    return concepts


Concepts = Annotated[tuple[Concept, ...], Field(min_length=1, max_length=50), AfterValidator(_names_differ)]


def flat(text: str) -> str:
    """Text as ` word word word `, the form terms are looked up in."""
    return f" {' '.join(words(text))} "


def find(term: str, flat_text: str) -> re.Match[str] | None:
    return _compiled(term).search(flat_text)


@lru_cache(maxsize=4096)
def _compiled(term: str) -> re.Pattern[str]:
    alternatives = []
    for alternative in term.split("|"):
        pieces = [(words(piece), piece.endswith("*")) for piece in alternative.split()]
        tokens = [re.escape(" ".join(found)) + ("[^ ]*" if open_end else "") for found, open_end in pieces if found]
        alternatives.append(" ".join(tokens))
    return re.compile(f" (?:{'|'.join(alternatives)})(?= )")


def states(flat_text: str, concept: Concept) -> bool:
    return all(find(term, flat_text) for term in concept.needs)


def covered(concepts: Sequence[Concept], text: str, words_each: int) -> set[str]:
    """Names of the concepts that the text states.

    One concept costs `words_each` words of prose, within a statement and over the whole text: a list of keywords
    states nothing, and a sentence said twice says it once.
    """
    spoken = [part for part in dict.fromkeys(tuple(words(sentence)) for sentence in sentences(text)) if is_prose(part)]
    room = sum(map(len, spoken)) // words_each
    said: set[str] = set()
    for statement in _statements(spoken):
        flat_text = f" {' '.join(statement)} "
        new = [c.name for c in concepts if c.name not in said and states(flat_text, c)]
        said.update(new[: min(len(statement) // words_each, room - len(said))])
    return said


def _statements(spoken: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Each sentence, then each with its successor."""
    return [*spoken, *(first + second for first, second in pairwise(spoken))]


def claimed(concepts: Sequence[Concept], text: str) -> list[str]:
    """Names of the concepts that some sentence states without denying them."""
    parts = [words(sentence) for sentence in sentences(text)]
    sayings = [f" {' '.join(part)} " for part in parts if not any(map(_denies, part))]
    return [concept.name for concept in concepts if any(states(saying, concept) for saying in sayings)]


def share(concepts: Sequence[Concept], said: set[str]) -> float:
    """Weighted share of the concepts that are in `said`."""
    return sum(c.weight for c in concepts if c.name in said) / sum(c.weight for c in concepts)


def _denies(word: str) -> bool:
    return word in _DENIALS or word.endswith("n't")
