"""What sums of calls say: success with its interval, latency at p50 and p95, quality, cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from app.domain.evidence.histogram import merged, quantile

#: standard normal; 95 of 100 such intervals hold the true rate
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Figures:
    calls: int
    ok: int
    #: failures that do not count against the target
    uncounted: int
    explored: int
    graded: int
    #: mean of the grades; None: there is none
    quality: float | None
    #: ms, of successes; None: there is none
    p50_ms: float | None
    p95_ms: float | None
    cost_usd: float
    unpriced: int
    prompt_tokens: int
    completion_tokens: int
    errors: Mapping[str, int]

    @property
    def counted(self) -> int:
        return self.calls - self.uncounted

    @property
    def success(self) -> float | None:
        return self.ok / self.counted if self.counted else None


def figures(rows: Iterable[Mapping[str, Any]]) -> Figures:
    """Of rows of `rollups`, added up."""
    rows = list(rows)
    good = [row for row in rows if not row["error_class"]]
    latency, graded = merged(row["latency"] for row in good), _sum(rows, "graded")
    errors: Counter[str] = Counter()
    for row in rows:
        errors[row["error_class"]] += row["calls"]
    errors.pop("", None)
    return Figures(
        calls=_sum(rows, "calls"),
        ok=_sum(good, "calls"),
        uncounted=_sum(rows, "uncounted"),
        explored=_sum(rows, "explored"),
        graded=graded,
        quality=sum(row["quality"] for row in rows) / graded if graded else None,
        p50_ms=quantile(latency, 0.5),
        p95_ms=quantile(latency, 0.95),
        cost_usd=sum(row["cost_usd"] for row in rows),
        unpriced=_sum(rows, "unpriced"),
        prompt_tokens=_sum(rows, "prompt_tokens"),
        completion_tokens=_sum(rows, "completion_tokens"),
        errors=dict(errors),
    )


def _sum(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(int(row[name]) for row in rows)


def interval(ok: int, calls: int) -> tuple[float, float] | None:
    """Wilson's, of a rate: also at 0 and 1, and of few calls, it says no more than they do."""
    if not calls:
        return None
    rate, square = ok / calls, _Z * _Z / calls
    middle = (rate + square / 2) / (1 + square)
    half = _Z * sqrt(rate * (1 - rate) / calls + square / (4 * calls)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)
