"""Grader `similarity`: how much of its wording an answer shares with reference answers. It sees words, not meaning."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Self

from pydantic import Field, model_validator

from app.domain.grading.language import FUNCTION_WORDS, stem
from app.domain.grading.result import Expectation, Grade, weighed
from app.domain.grading.text import repetition, without_echo, words

Reference = Annotated[str, Field(min_length=1, max_length=50_000)]


class Expected(Expectation):
    references: Annotated[tuple[Reference, ...], Field(min_length=1, max_length=20)]
    #: share of common words from which on an answer is right, and below which it is worth nothing
    full: Annotated[float, Field(gt=0, le=1)] = 0.8
    none: Annotated[float, Field(ge=0, lt=1)] = 0.2

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.none >= self.full:
            raise ValueError("none must be less than full")
        return self


def grade(expected: Expected, prompt_text: str, answer: str) -> Grade:
    said = _bag(without_echo(answer, prompt_text))
    best = max(_overlap(said, _bag(reference)) for reference in expected.references)
    score = (best - expected.none) / (expected.full - expected.none)
    reasons = [f"{best:.2f} of its words in common with the nearest reference"]
    return weighed(max(0.0, min(1.0, score)), reasons, [repetition(answer)])


def _bag(text: str) -> Counter[str]:
    spoken = words(text)
    content = [word for word in spoken if word not in FUNCTION_WORDS]
    return Counter(stem(word) for word in content or spoken)


def _overlap(one: Counter[str], other: Counter[str]) -> float:
    """F1 over words: of those that are wanted, how many are there; of those that are there, how many are wanted."""
    both = sum((one & other).values())
    return 2 * both / (one.total() + other.total()) if one or other else 0.0
