"""Whether a text speaks of its subject: words from elsewhere give well-formed nonsense away.

No list of words knows what is true. But an explanation of the sky that is made of cake and napkins, or an order of
runners that is founded on their birthdays, shows it in its words: next to none of a real answer's are from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from app.domain.grading.language import FUNCTION_WORDS, GENERAL_STEMS, stem
from app.domain.grading.result import Fault
from app.domain.grading.text import words

#: shares of words from elsewhere: up to the first a text is about its subject, from the second on it is not
FOREIGN_SHARE = (0.22, 0.36)
#: content words below which nothing is told from their share
FEWEST_WORDS = 8


@dataclass(frozen=True, slots=True)
class World:
    """The words of a subject, by what they begin with and by their stems."""

    stems: frozenset[str]
    prefixes: tuple[str, ...]

    def knows(self, word: str) -> bool:
        return stem(word) in self.stems or word.startswith(self.prefixes)


@lru_cache(maxsize=64)
def world(own_words: str, terms: tuple[str, ...], prompt_text: str) -> World:
    """From the words listed for it, the terms that are looked for, and what the prompt says itself."""
    pieces = [piece for term in terms for piece in term.replace("|", " ").split()]
    prefixes = [piece[:-1].casefold() for piece in pieces if piece.endswith("*") and len(piece) > 3]
    whole = [word for piece in (*pieces, own_words, prompt_text) for word in words(piece)]
    return World(GENERAL_STEMS | {stem(word) for word in whole}, tuple(dict.fromkeys(prefixes)))


def content(spoken: Iterable[str]) -> list[str]:
    """The words that carry content: no grammar, no numbers, no single letters."""
    return [word for word in spoken if len(word) > 2 and word.isalpha() and word not in FUNCTION_WORDS]


def foreign(spoken: Sequence[str], known: World) -> list[str]:
    return [word for word in content(spoken) if word.isascii() and not known.knows(word)]


def foreign_share(spoken: Sequence[str], known: World) -> float:
    every = content(spoken)
    return len(foreign(spoken, known)) / len(every) if every else 0.0


def sense(text: str, known: World | None) -> Fault:
    """1 for a text about its subject; falls to 0 with the share of its words that are from elsewhere."""
    spoken = words(text) if known is not None else []
    if known is None or len(content(spoken)) < FEWEST_WORDS:
        return 1.0, ""
    strange = foreign(spoken, known)
    low, high = FOREIGN_SHARE
    factor = (high - len(strange) / len(content(spoken))) / (high - low)
    return min(1.0, max(0.0, factor)), f"speaks of other things ({', '.join(dict.fromkeys(strange[:40]))[:80]})"
