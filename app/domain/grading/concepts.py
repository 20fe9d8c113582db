"""Finds out what a text says: terms, and concepts made of terms that stand together in a statement.

A term is what config/prompts.toml writes: words, `*` for any ending, a `*` of its own for up to three words between,
`|` between alternatives ("heat pump* | red * more"). It is matched on words, never by a pattern a user wrote, so no
text makes it slow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from app.domain.grading.denial import CONTRASTS, Clauses, clauses, denies, is_denied, without_myths
from app.domain.grading.result import Expectation
from app.domain.grading.text import is_prose, sentences, words

#: mentions of one term in one statement that are looked at
MENTIONS = 4

_GAP = f"(?: (?!(?:{'|'.join(sorted(CONTRASTS))}) )[^ ]+){{0,3}}"


def _is_term(value: str) -> str:
    if not all(words(alternative) for alternative in value.split("|")):
        raise ValueError("a term needs a word on each side of every '|'")
    return value


Term = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(_is_term)]


class Concept(Expectation):
    """Something an answer should say: every one of `needs` within one sentence or two that follow each other."""

    name: str
    needs: Annotated[tuple[Term, ...], Field(min_length=1)]
    #: what turns a sentence into the opposite, or into nothing, where it stands beside them
    unless: tuple[Term, ...] = ()
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


def find_each(term: str, flat_text: str, most: int = MENTIONS) -> Iterator[re.Match[str]]:
    return islice(_compiled(term).finditer(flat_text), most)


@lru_cache(maxsize=4096)
def _compiled(term: str) -> re.Pattern[str]:
    alternatives = "|".join(_pattern(alternative) for alternative in term.split("|"))
    return re.compile(f" (?:{alternatives})(?= )")


def _pattern(alternative: str) -> str:
    pattern = ""
    for piece in alternative.split():
        if piece == "*" and pattern:
            pattern += _GAP
        elif found := words(piece):
            pattern += (" " if pattern else "") + re.escape(" ".join(found)) + ("[^ ]*" if piece.endswith("*") else "")
    return pattern


def terms_of(concepts: Sequence[Concept]) -> tuple[str, ...]:
    """Every term that is looked for, for the words of the subject."""
    return tuple(term for concept in concepts for term in concept.needs)


def states(flat_text: str, concept: Concept) -> bool:
    return all(find(term, flat_text) for term in concept.needs)


def covered(
    concepts: Sequence[Concept],
    text: str,
    words_each: int,
    sensible: Callable[[Sequence[str]], bool] | None = None,
    *,
    deniable: bool = True,
) -> set[str]:
    """Names of the concepts that the text states, and (where they are `deniable`) does not deny.

    "Not" before a word of `needs` behind the first, or of the only one, takes it back.

    One concept costs `words_each` words of prose, within a statement and over the whole text: a list of keywords
    states nothing, and a sentence said twice says it once. Sentences that are not `sensible` state nothing either.
    """
    spoken = [part for part in _spoken(text) if is_prose(part.words) and (sensible is None or sensible(part.words))]
    room = sum(len(part.words) for part in spoken) // words_each
    said: set[str] = set()
    for statement in _statements(spoken):
        flat_text = f" {' '.join(statement.words)} "
        new = [c.name for c in concepts if c.name not in said and _asserts(statement, flat_text, c, deniable)]
        said.update(new[: min(len(statement.words) // words_each, room - len(said))])
    return said


def _spoken(text: str) -> list[Clauses]:
    """Every different sentence, without what it only names as a myth."""
    every = (clauses(without_myths(sentence)) for sentence in sentences(text))
    return list({part.words: part for part in every if part.words}.values())


def _statements(spoken: Sequence[Clauses]) -> list[Clauses]:
    """Each sentence, then each with its successor."""
    return [*spoken, *(first.followed_by(second) for first, second in pairwise(spoken))]


def _asserts(statement: Clauses, flat_text: str, concept: Concept, deniable: bool) -> bool:
    if any(find(term, flat_text) for term in concept.unless):
        return False
    first, *rest = concept.needs
    if not deniable:
        return states(flat_text, concept)
    if rest and not find(first, flat_text):
        return False
    return all(_is_said(term, statement, flat_text) for term in rest or [first])


def _is_said(term: str, statement: Clauses, flat_text: str) -> bool:
    """Whether some mention of the term is not denied; a term that is itself a denial is what it is."""
    for found in find_each(term, flat_text):
        index = flat_text.count(" ", 0, found.start())
        if any(map(denies, found[0].split())) or not is_denied(statement, index):
            return True
    return False


def claimed(concepts: Sequence[Concept], text: str) -> list[str]:
    """Names of the concepts that some sentence states without denying them."""
    parts = [words(without_myths(sentence)) for sentence in sentences(text)]
    return [concept.name for concept in concepts if any(_claims(part, concept) for part in parts)]


def _claims(spoken: Sequence[str], concept: Concept) -> bool:
    """A sentence with "not" claims nothing, unless that belongs to the claim (`will not close`)."""
    saying = f" {' '.join(spoken)} "
    if not states(saying, concept) or any(find(term, saying) for term in concept.unless):
        return False
    found = (match[0] for term in concept.needs for match in find_each(term, saying))
    return not any(map(denies, spoken)) or any(denies(word) for match in found for word in match.split())


def share(concepts: Sequence[Concept], said: set[str]) -> float:
    """Weighted share of the concepts that are in `said`."""
    return sum(c.weight for c in concepts if c.name in said) / sum(c.weight for c in concepts)
