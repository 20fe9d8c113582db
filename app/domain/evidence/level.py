"""A running mean that is long where nothing changes and short where something does.

Two means of the same values, a recent and a pooled one, and how well each has foretold the values that came:

    log-odds ← DISCOUNT · log-odds + ((x − recent)² − (x − pooled)²) / (2·V)
    mean     = recent + (pooled − recent) / (1 + exp(−log-odds))

which is averaging over two Gaussian models with forgetting (Raftery, Kárný, Ettler 2010, "dynamic model averaging").
V: the variance of one value, among the recent or among all, whichever is more, so that rare slow answers stay what they
are. Where the recent mean is right beyond doubt the pooled one begins anew from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

#: of the log-odds, per value: about the last thirty decide
DISCOUNT = 0.97
#: log-odds beyond which nothing is gained, and at which the past is forgotten
CERTAIN, FORGOTTEN = 5.0, -4.0
#: variance below which values do not differ: those of a price are all the same
LEAST_VARIANCE = 1e-6
#: a rate of 1 or 0 is never certain
LEAST_CHANCE = 0.02
#: calls that the pooled rate is worth before any recent one: one failure of two is no rate of one half
PRIOR_MASS = 10.0
#: log-odds before any call that a rate has not changed: two failures among twenty calls are chance
STEADY = 3.0
#: mean, mass, variance
Moments = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Level:
    pooled: float = 0.0
    mass: float = 0.0
    #: of one value, not of the mean
    variance: float = 0.0
    recent: float = 0.0
    recent_mass: float = 0.0
    recent_variance: float = 0.0
    odds: float = 0.0

    @property
    def mean(self) -> float:
        return self.recent + (self.pooled - self.recent) * self._share

    @property
    def effective_mass(self) -> float:
        """Values behind the mean."""
        return self.recent_mass + (self.mass - self.recent_mass) * self._share

    @property
    def error(self) -> float:
        """Standard error of the mean; of a single value nothing is known."""
        mass = self.effective_mass
        return math.sqrt(max(self.variance, self.recent_variance) / mass) if mass > 1 else math.inf

    @property
    def _share(self) -> float:
        """Of the pooled mean."""
        return 1 / (1 + math.exp(-self.odds))

    def with_value(self, value: float, most_recent: float = math.inf, most_pooled: float = math.inf) -> Self:
        """`most_recent`, `most_pooled`: effective counts that the means hold at most."""
        if not self.mass:
            return type(self)(value, 1.0, 0.0, value, 1.0, 0.0)
        recent_mass, mass = min(self.recent_mass, most_recent - 1) + 1, min(self.mass, most_pooled - 1) + 1
        odds = DISCOUNT * self.odds + self._foretold(value)
        recent, recent_variance = _running(self.recent, self.recent_variance, value, recent_mass)
        if odds < FORGOTTEN:
            return type(self)(recent, recent_mass, recent_variance, recent, recent_mass, recent_variance)
        pooled, variance = _running(self.pooled, self.variance, value, mass)
        return type(self)(pooled, mass, variance, recent, recent_mass, recent_variance, min(odds, CERTAIN))

    def _foretold(self, value: float) -> float:
        """By how much better the pooled mean has foretold it than the recent one: the ratio of likelihoods, its log."""
        noise = max(self.variance, self.recent_variance, LEAST_VARIANCE)
        return ((value - self.recent) ** 2 - (value - self.pooled) ** 2) / (2 * noise)

    def with_round(self, values: Sequence[float], keep_recent: float, keep_pooled: float) -> Self:
        """Values that came together, in full, over what is kept of the older ones."""
        level = replace(self, recent_mass=self.recent_mass * keep_recent, mass=self.mass * keep_pooled)
        for value in values:
            level = level.with_value(value)
        return level if values else self

    def at(self, value: float, mass: float) -> Self:
        """It is known to be this now."""
        return replace(self, pooled=value, recent=value, mass=mass, recent_mass=mass, odds=0.0)

    def scaled(self, factor: float, most: float = 1.0) -> Self:
        """All values as shares of another whole, none above `most`."""
        squared = factor * factor
        return replace(
            self,
            pooled=min(most, self.pooled * factor),
            recent=min(most, self.recent * factor),
            variance=self.variance * squared,
            recent_variance=self.recent_variance * squared,
        )


@dataclass(frozen=True, slots=True)
class Rate(Level):
    """Of successes (1) and failures (0)."""

    @property
    def _share(self) -> float:
        return 1 / (1 + math.exp(-self.odds - STEADY))

    def _foretold(self, value: float) -> float:
        shrunk = (self.recent * self.recent_mass + self.pooled * PRIOR_MASS) / (self.recent_mass + PRIOR_MASS)
        pooled, recent = (min(1 - LEAST_CHANCE, max(LEAST_CHANCE, p)) for p in (self.pooled, shrunk))
        return math.log(pooled / recent) if value else math.log((1 - pooled) / (1 - recent))

    def with_counts(self, values: Sequence[float], keep_recent: float, keep_pooled: float, sigma: float) -> Rate:
        """A round's calls at once: their order says nothing.

        Where they differ from the pooled rate by more than `sigma` standard errors, they are all that is known.
        """
        batch = _of(values)
        if not self.mass or self._differs(batch, self.mass * keep_pooled, sigma):
            return Rate(*batch, *batch)
        odds = DISCOUNT ** len(values) * self.odds + sum(map(self._foretold, values))
        recent = _merged((self.recent, self.recent_mass * keep_recent, self.recent_variance), batch)
        if odds < FORGOTTEN:
            return Rate(*recent, *recent)
        pooled = _merged((self.pooled, self.mass * keep_pooled, self.variance), batch)
        return Rate(*pooled, *recent, min(odds, CERTAIN))

    def _differs(self, batch: Moments, mass: float, sigma: float) -> bool:
        rate, count, _ = batch
        middle = (self.pooled * mass + rate * count) / (mass + count)
        return abs(rate - self.pooled) > sigma * math.sqrt(middle * (1 - middle) * (1 / count + 1 / mass)) + 1e-9


def _running(mean: float, variance: float, value: float, mass: float) -> tuple[float, float]:
    """Mean and variance with one more value, which is the `mass`-th."""
    step, share = value - mean, 1 / mass
    return mean + step * share, (1 - share) * (variance + share * step * step)


def _of(values: Sequence[float]) -> Moments:
    mean = sum(values) / len(values)
    return mean, float(len(values)), sum((value - mean) ** 2 for value in values) / len(values)


def _merged(one: Moments, other: Moments) -> Moments:
    """Mean, mass and variance of both together."""
    mass = one[1] + other[1]
    share = other[1] / mass
    step = other[0] - one[0]
    variance = (1 - share) * one[2] + share * other[2] + share * (1 - share) * step * step
    return one[0] + step * share, mass, variance
