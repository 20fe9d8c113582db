"""Intervals: the jackknife over blocks, and Woodruff's of a quantile."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from app.domain.replay.baseline_types import CONFIDENCE, PER_E, Estimate
from app.domain.rounds.comparison import student


def jackknife(values: Sequence[float]) -> float:
    """Standard error, from the values without one block each."""
    count = len(values)
    mean = sum(values) / count
    return math.sqrt((count - 1) / count * sum((value - mean) ** 2 for value in values))


def reach_of(freedom: int, among: int = 1) -> float:
    return student(max(1, freedom), 1 - (1 - CONFIDENCE) / 2 / among)


def quantile(weights: Mapping[int, Mapping[int, float]], at: float) -> Estimate:
    total: dict[int, float] = defaultdict(float)
    for block in weights.values():
        for bucket, weight in block.items():
            total[bucket] += weight
    value = _crossing(total, at)
    below = {b: sum(w for bucket, w in block.items() if bucket <= value) for b, block in weights.items()}
    whole = {b: sum(block.values()) for b, block in weights.items()}
    if len(weights) < 2:
        return Estimate(_ms(value))
    shares = [
        (sum(below.values()) - below[b]) / rest if (rest := sum(whole.values()) - whole[b]) else at for b in weights
    ]
    reach = reach_of(len(weights) - 1) * jackknife(shares)
    low, high = _crossing(total, max(0.0, at - reach)), _crossing(total, min(1.0, at + reach))
    return Estimate(_ms(value), _ms(low - 0.5), _ms(high + 0.5))


def _crossing(total: Mapping[int, float], at: float) -> int:
    """The bucket in which this share is reached."""
    wanted, seen = at * sum(total.values()), 0.0
    for bucket in sorted(total):
        seen += total[bucket]
        if seen >= wanted - 1e-12:
            return bucket
    return max(total)


def _ms(bucket: float) -> float:
    return math.exp((bucket + 0.5) / PER_E)
