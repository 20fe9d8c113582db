"""What a target gives at a moment: one call of it, and the exact expectation of what a call is worth."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

from app.domain.replay.regimes.regime import Regime, TargetSpec
from app.domain.replay.trace import Sample

#: of the answer to a benchmark prompt
TOKENS = 100
_NORMAL = NormalDist()


class Law(NamedTuple):
    """The quantities of a target as they are now; units and meaning as in `TargetSpec`."""

    latency_ms: float
    sigma: float
    success: float
    cost_usd: float
    quality: float
    quality_sd: float
    failure_ms: float
    tail_share: float
    tail_ms: float

    @classmethod
    def of(cls, spec: TargetSpec) -> Law:
        return cls(*(getattr(spec, name) for name in cls._fields))

    def call(self, rng: random.Random, regime: Regime, length: float, prompt: int) -> Sample:
        """`length`: times a benchmark prompt; `prompt`: which of the regime's prompts it is."""
        if rng.random() >= self.success:
            return Sample(self.failure_ms, False, 0.0, 0.0, 0.0)
        if self.tail_share and rng.random() < self.tail_share:
            latency_ms = self.tail_ms
        else:
            latency_ms = self.latency_ms * length * math.exp(self.sigma * rng.gauss(0.0, 1.0))
        quality = self._grade(rng, regime, prompt)
        return Sample(latency_ms, True, self.cost_usd * length, quality, round(TOKENS * length))

    def _grade(self, rng: random.Random, regime: Regime, prompt: int) -> float:
        mean = self.quality + (regime.prompts[prompt] if regime.prompts else 0.0)
        if regime.grades == "binary":
            return float(rng.random() < mean)
        return min(1.0, max(0.0, rng.gauss(mean, self.quality_sd)))

    def utility(self, regime: Regime) -> float:
        """E[U] of a live call: latency and cost are capped call by call, as U is."""
        latency = (1 - self.tail_share) * _capped_mean(
            self.latency_ms * regime.live_length,
            math.hypot(self.sigma, regime.live_length_sigma),
            regime.latency_ref_ms,
        )
        latency += self.tail_share * min(1.0, self.tail_ms / regime.latency_ref_ms)
        cost = _capped_mean(self.cost_usd * regime.live_length, regime.live_length_sigma, regime.cost_ref_usd)
        good = self._mean_grade(regime.grades, regime.prompts) - regime.latency * latency - regime.cost * cost
        failed = -regime.latency * min(1.0, self.failure_ms / regime.latency_ref_ms)
        return self.success * good + (1 - self.success) * failed

    def _mean_grade(self, grades: str, prompts: Sequence[float]) -> float:
        means = [self.quality + more for more in prompts] or [self.quality]
        if grades == "binary":
            return sum(min(1.0, max(0.0, mean)) for mean in means) / len(means)
        return sum(_cut_mean(mean, self.quality_sd) for mean in means) / len(means)


@cache
def _cut_mean(mean: float, sd: float) -> float:
    """E[min(1, max(0, X))], X normal."""
    if sd == 0:
        return min(1.0, max(0.0, mean))
    low, high = -mean / sd, (1 - mean) / sd
    inside = mean * (_NORMAL.cdf(high) - _NORMAL.cdf(low)) + sd * (_NORMAL.pdf(low) - _NORMAL.pdf(high))
    return inside + 1 - _NORMAL.cdf(high)


def _capped_mean(median: float, sigma: float, cap: float) -> float:
    """E[min(1, X / cap)], X log-normal."""
    if median == 0 or sigma == 0:
        return min(1.0, median / cap)
    z = math.log(cap / median) / sigma
    return math.exp(sigma * sigma / 2) * median / cap * _NORMAL.cdf(z - sigma) + 1 - _NORMAL.cdf(z)
