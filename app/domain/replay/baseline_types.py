"""What a comparison with baselines is made of, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

#: effective calls from which on live traffic speaks for a target
LEAST_CALLS = 30.0
#: … of them, above a quantile and below it, from which on they speak for it
LEAST_OUTSIDE = 5.0
#: blocks of time that have requests, below which nothing can be told
LEAST_BLOCKS = 5
#: equal parts of the time that is looked at
BLOCKS = 30
CONFIDENCE = 0.95

Sums = tuple[float, float, float, float, float]
#: what Sums are of
LATENCY, LATE, COST, DEAR, SUCCESS = range(5)


class LiveCell(NamedTuple):
    """First attempts of drawn requests at one target, in one block of time."""

    block: int
    target: str
    calls: int
    #: Σ 1/p and Σ 1/p²
    weight: float
    weight2: float
    plain: Sums
    #: each call by its 1/p
    weighted: Sums
    #: bucket, as app.domain.evidence.histogram has it → calls and Σ 1/p
    latencies: Mapping[int, tuple[int, float]]
    #: successes without a known price
    unpriced: int = 0


class RoundCell(NamedTuple):
    """Probes of one prompt at one target, in one block of time."""

    block: int
    target: str
    prompt: str
    calls: int
    sums: Sums
    graded: int
    quality: float
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Routing less the baseline, or a value by itself. None: it cannot be known."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        return {"value": digits(self.value), "low": digits(self.low), "high": digits(self.high)}


#: by measure, whether more of it is better
MEASURES: Mapping[str, bool] = {
    "latencyMs": False,
    "costUsd": False,
    "success": True,
    "quality": True,
    "utility": True,
    "p50Ms": False,
    "p95Ms": False,
}
NOTHING = Estimate(None)


@dataclass(frozen=True, slots=True)
class Baseline:
    name: str
    #: None: of several
    target: str | None
    #: live: weighted live calls over the rounds' evidence; rounds: that alone
    source: str
    effective_calls: float
    #: share of the requests that live calls speak for
    coverage: float
    values: Mapping[str, float | None]
    #: routing less this
    differences: Mapping[str, Estimate]

    def verdict(self, measure: str) -> str:
        """Of routing: better, worse, or cannot tell."""
        found = self.differences[measure]
        if found.low is None or found.high is None or found.low <= 0 <= found.high:
            return "cannot tell"
        return "better" if (found.low > 0) == MEASURES[measure] else "worse"


@dataclass(frozen=True, slots=True)
class Comparison:
    calls: int
    blocks: int
    values: Mapping[str, float | None]
    baselines: tuple[Baseline, ...]


def digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
