"""What a sentence takes back: "not" before a word, a myth that is named to be refuted, an answer that is corrected."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.grading.text import plain, words

#: words before a mention in which a denial of it is looked for
REACH = 3

_DENIALS = frozenset(
    [
        "not",
        "no",
        "never",
        "nor",
        "neither",
        "none",
        "cannot",
        "without",
        "hardly",
        "barely",
        "scarcely",
        "nicht",
        "kein",
        "keine",
        "pas",
        "jamais",
        "nunca",
    ]
)
_NOT_DENIED_BY = frozenset(["only", "just", "merely", "simply", "necessarily", "doubt", "wonder", "matter", "alone"])
#: where another thought begins, and a denial ends
_LINKS = frozenset(["but", "because", "since", "so", "while", "although", "though", "whereas", "which", "as", "than"])
#: words that no gap of a term reaches over
CONTRASTS = _LINKS - {"as", "so"} | {"and", "or", "not", "less", "little", "hardly", "never", "no"}

_MYTH = re.compile(
    r"\b(?:myth|misconception|mistaken(?:ly)?|mistake|false|falsely|untrue|incorrect(?:ly)?|wrong(?:ly)?|fallacy|"
    r"contrary to|nobody (?:believes|thinks)|no evidence)\b",
    re.IGNORECASE,
)
_TURN = re.compile(r"[;:]|\s-\s|\b(?:but|in fact|in reality|in truth|actually|really|rather|instead|however)\b", re.I)
_CLAUSE_END = re.compile(r"[,;:()]|\s-\s")


@dataclass(frozen=True, slots=True)
class Clauses:
    """The words of a sentence, and at which of them a clause begins."""

    words: tuple[str, ...]
    starts: frozenset[int]

    def followed_by(self, other: Clauses) -> Clauses:
        offset = len(self.words)
        return Clauses(self.words + other.words, self.starts | {offset + start for start in other.starts})


def clauses(sentence: str) -> Clauses:
    spoken: list[str] = []
    starts = set()
    for part in _CLAUSE_END.split(plain(sentence)):
        starts.add(len(spoken))
        spoken += words(part)
    return Clauses(tuple(spoken), frozenset(starts))


def denies(word: str) -> bool:
    return word in _DENIALS or word.endswith("n't")


def is_denied(sentence: Clauses, index: int) -> bool:
    """Whether a word that denies stands shortly before that one, in its clause: `do not really scatter`."""
    for place in range(index - 1, max(-1, index - 1 - REACH), -1):
        if place + 1 in sentence.starts or sentence.words[place] in _LINKS:
            return False
        if denies(sentence.words[place]) and not _is_harmless(sentence.words, place):
            return True
    return False


def _is_harmless(spoken: Sequence[str], place: int) -> bool:
    """`not only`, `no doubt`: no denial of what follows."""
    return place + 1 < len(spoken) and spoken[place + 1] in _NOT_DENIED_BY


def without_myths(sentence: str) -> str:
    """What is left of a sentence that calls something a myth: what stands behind its turn, or nothing."""
    if _MYTH.search(sentence) is None:
        return sentence
    turns = [turn.end() for turn in _TURN.finditer(sentence)]
    behind = sentence[turns[0] :] if turns else ""
    return "" if _MYTH.search(behind) else behind
