"""Intervals: the jackknife over blocks of time, by the differences between neighbours, and of a quantile."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from app.domain.evidence.histogram import GROWTH
from app.domain.replay.baseline_types import CONFIDENCE, Estimate, LiveCell
from app.domain.rounds.comparison import student

#: block → bucket → weight of its calls
Weights = Mapping[int, Mapping[int, float]]


def jackknife(values: Sequence[float]) -> float:
    """Standard error, from the values without one block each."""
    count = len(values)
    mean = sum(values) / count
    return math.sqrt((count - 1) / count * sum((value - mean) ** 2 for value in values))


def error_over_time(values: Sequence[float]) -> float:
    """Standard error, from the values without one block each, in the order of time.

    By successive differences (von Neumann 1941; of samples along time: Wolter 1985): what changes slowly is what the
    time was like, and no error. With blocks in any order it is the jackknife in expectation.
    """
    return math.sqrt(max(0.0, _covariance(values, values)))


def _covariance(some: Sequence[float], others: Sequence[float]) -> float:
    count = len(some)
    steps = zip(itertools.pairwise(some), itertools.pairwise(others), strict=True)
    return (count - 1) / count / 2 * sum((b - a) * (d - c) for (a, b), (c, d) in steps)


def freedom_over_time(weights: Sequence[float]) -> int:
    """Degrees of freedom of that, from the weight of every block: Kish's effective number of them, in pairs."""
    square = sum(weight**2 for weight in weights)
    count = sum(weights) ** 2 / square if square else 1.0
    return max(1, round(2 * (count - 1) ** 2 / (3 * count - 4))) if count > 2 else 1


@cache
def reach_of(freedom: int, among: int = 1) -> float:
    return student(max(1, freedom), 1 - (1 - CONFIDENCE) / 2 / among)


@dataclass(frozen=True, slots=True)
class Quantile:
    """In ms, with its interval; `shares`: what lies below it without one block each."""

    value: float
    low: float
    high: float
    shares: Mapping[int, float]


def latencies_of(live: Sequence[LiveCell], shares: Mapping[str, float]) -> Weights:
    """Of what was served, where there are no shares; else each target's calls by 1/p, to its share."""
    norms: dict[str, float] = defaultdict(float)
    for cell in live:
        norms[cell.target] += cell.weight
    weights: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for cell in live:
        factor = shares.get(cell.target, 0.0) / norms[cell.target]
        block = weights[cell.block]
        if not shares:
            for bucket, (calls, _) in cell.latencies.items():
                block[bucket] += calls
        elif factor:
            for bucket, (_, weight) in cell.latencies.items():
                block[bucket] += weight * factor
    return weights


def quantile(weights: Weights, at: float, among: int = 1) -> Quantile:
    """Within a bucket calls are taken to lie evenly, by ratio."""
    total: dict[int, float] = defaultdict(float)
    for block in weights.values():
        for bucket, weight in block.items():
            total[bucket] += weight
    place = _crossing(total, at)
    shares = _shares(weights, place, at)
    freedom = freedom_over_time([sum(block.values()) for block in weights.values()])
    reach = reach_of(freedom, among) * error_over_time(list(shares.values()))
    low, high = _crossing(total, max(0.0, at - reach)), _crossing(total, min(1.0, at + reach))
    return Quantile(_ms(place), _ms(low), _ms(high), shares)


def between(mine: Quantile, its: Quantile) -> Estimate:
    """The difference, its ends recovered from those of both, which need not be symmetrical (Zou and Donner 2008).

    Both sides share calls and hours: how far they move together, block by block, does not count as uncertain.
    """
    together = _correlation(mine.shares, its.shares)
    value = mine.value - its.value
    low = _reach(mine.value - mine.low, its.high - its.value, together)
    high = _reach(mine.high - mine.value, its.value - its.low, together)
    return Estimate(value, value - low, value + high)


def _reach(mine: float, its: float, together: float) -> float:
    return math.sqrt(max(0.0, mine**2 + its**2 - 2 * together * mine * its))


def _correlation(some: Mapping[int, float], others: Mapping[int, float]) -> float:
    blocks = sorted({*some, *others})
    both = [[of.get(block, _mean(of)) for block in blocks] for of in (some, others)]
    spread = error_over_time(both[0]) * error_over_time(both[1])
    return max(-1.0, min(1.0, _covariance(*both) / spread)) if spread else 0.0


def _mean(values: Mapping[int, float]) -> float:
    return sum(values.values()) / len(values)


def _shares(weights: Weights, place: float, at: float) -> dict[int, float]:
    """Below this place, without one block each."""
    below = {b: _below(block, place) for b, block in sorted(weights.items())}
    whole = {b: sum(block.values()) for b, block in weights.items()}
    all_below, all_whole = sum(below.values()), sum(whole.values())
    return {b: (all_below - below[b]) / rest if (rest := all_whole - whole[b]) > 0 else at for b in below}


def _below(block: Mapping[int, float], place: float) -> float:
    return sum(weight * min(1.0, max(0.0, place - bucket)) for bucket, weight in block.items())


def _crossing(total: Mapping[int, float], at: float) -> float:
    """The place, in buckets, below which this share lies."""
    wanted, seen = at * sum(total.values()), 0.0
    for bucket in sorted(total):
        if seen + total[bucket] >= wanted:
            return bucket + ((wanted - seen) / total[bucket] if total[bucket] else 0.0)
        seen += total[bucket]
    return max(total) + 1.0


def _ms(place: float) -> float:
    return float(GROWTH**place)
