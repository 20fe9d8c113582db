"""What sums of calls say: success with its interval, latency at p50 and p95, quality, cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
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


_COUNTS = ("calls", "uncounted", "explored", "graded", "unpriced", "prompt_tokens", "completion_tokens")
_SUMS = (*_COUNTS, "quality", "cost_usd")


def figures(rows: Iterable[Mapping[str, Any]]) -> Figures:
    """Of rows of `rollups`, added up."""
    sums = dict.fromkeys(_SUMS, 0.0)
    errors: Counter[str] = Counter()
    ok, histograms = 0, []
    for row in rows:
        for name in _SUMS:
            sums[name] += row[name]
        if row["error_class"]:
            errors[row["error_class"]] += row["calls"]
        else:
            ok += row["calls"]
            histograms.append(row["latency"])
    latency = merged(histograms)
    return Figures(
        **{name: int(sums[name]) for name in _COUNTS},
        ok=ok,
        quality=sums["quality"] / sums["graded"] if sums["graded"] else None,
        p50_ms=quantile(latency, 0.5),
        p95_ms=quantile(latency, 0.95),
        cost_usd=sums["cost_usd"],
        errors=dict(errors),
    )


def interval(ok: int, calls: int) -> tuple[float, float] | None:
    """Wilson's, of a rate: also at 0 and 1, and of few calls, it says no more than they do."""
    if not calls:
        return None
    rate, square = ok / calls, _Z * _Z / calls
    middle = (rate + square / 2) / (1 + square)
    half = _Z * sqrt(rate * (1 - rate) / calls + square / (4 * calls)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)
