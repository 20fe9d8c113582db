"""What a grader is, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict


def _is_span(span: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= span[0] <= span[1]:
        raise ValueError("must be [fewest, most], from 1 up")
    return span


Span = Annotated[tuple[int, int], AfterValidator(_is_span)]

#: longest reason
REASON_CHARS = 300

#: (what remains of the score, because of what); 1: nothing is wrong
Fault = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Grade:
    """How good an answer is, and why."""

    #: 0..1
    score: float
    #: sentences a person can check against the answer
    reasons: tuple[str, ...]


class Expectation(BaseModel):
    """Shape of `expected` of one grader. Pydantic, because it comes from a file that a person edits."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Grader:
    """A way of grading: the shape of `expected`, and (expected, prompt text, answer) → Grade.

    `grade` is deterministic, raises on no answer, and takes time linear in the answer's length. The answer it gets
    is never empty and already bounded (text.readable).
    """

    expected: type[BaseModel]
    grade: Callable[[Any, str, str], Grade]


def graded(score: float, reasons: Iterable[str]) -> Grade:
    """A Grade with its score brought into 0..1, rounded so that equal answers give equal numbers everywhere.

    Reasons quote answers: they are cut, and lose what no database stores (NUL, lone surrogates).
    """
    return Grade(round(min(1.0, max(0.0, score)), 4), tuple(_storable(reason) for reason in reasons))


def weighed(score: float, reasons: Iterable[str], faults: Iterable[Fault]) -> Grade:
    """`score` times the factor of each fault there is (factor below 1), which joins the reasons."""
    every = list(reasons)
    for factor, reason in faults:
        if factor < 1:
            score *= factor
            every.append(f"{reason}: × {factor:.2f}")
    return graded(score, every)


def _storable(reason: str) -> str:
    return reason[:REASON_CHARS].encode("utf-8", "replace").decode().replace("\0", "?")
