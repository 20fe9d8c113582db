"""What one choice gained over another in the rounds remembered, and how sure that is.

    D = Σ_h s_h · mean_p d_hp        d_hp: what prompt p's call was worth more in round h;  s_h ∝ decay^age, Σ s_h = 1
    SE² = G/(G−1) · Σ_p (Σ_h s_h·d_hp/n_h − W_p·D)²          W_p = Σ_h s_h/n_h,  G = 1/Σ_p W_p²
    low, high = D ∓ t · SE

The same prompts come again in every round: repeats of one are a cluster, and tell of the noise of its answers, nothing
about other prompts. So G, as many prompts as the rounds come to, is what there is to conclude from, and t is Student's
quantile of G − 1 degrees of freedom at the confidence of `sigma` standard errors; where the best of several choices is
taken, at that share of doubt divided by their number (Bonferroni), so that all their intervals hold together. SE is at
least that of calls whose differences scatter by `least_sd`: a few that agree to the digit agree by chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from app.domain.policy import WeightsPolicy
from app.domain.rounds.comparison import student

#: by prompt: how much more one call was worth than the other
Differences = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Gain:
    """Per call, in units of utility."""

    value: float
    low: float
    high: float
    rounds: int
    prompts: int

    def to_json(self) -> dict[str, Any]:
        return {
            "gain": round(self.value, 5),
            "low": round(self.low, 5),
            "high": round(self.high, 5),
            "rounds": self.rounds,
            "prompts": self.prompts,
        }


def gained(rounds: Sequence[tuple[float, Differences]], limits: WeightsPolicy, among: int = 1) -> Gain | None:
    """`rounds`: share, differences; `among`: choices of which this is one. None: one prompt tells nothing."""
    rounds = [(share, differences) for share, differences in rounds if differences]
    mass = sum(share for share, _ in rounds)
    gains: dict[str, float] = {}
    weights: dict[str, float] = {}
    least = 0.0
    for share, differences in rounds:
        part = share / mass / len(differences)
        for prompt, difference in differences.items():
            gains[prompt] = gains.get(prompt, 0.0) + part * difference
            weights[prompt] = weights.get(prompt, 0.0) + part
        if any(differences.values()):  # what the two agree on is no doubt between them
            least += len(differences) * (part * limits.least_sd) ** 2
    clusters = 1 / sum(weight**2 for weight in weights.values()) if weights else 0.0
    freedom = int(clusters + 1e-6) - 1
    if freedom < 1:
        return None
    value = sum(gains.values())
    scatter = sum((gains[prompt] - weight * value) ** 2 for prompt, weight in weights.items())
    error = math.sqrt(max(scatter * clusters / (clusters - 1), least))
    reach = student(freedom, 1 - _doubt(limits.sigma) / 2 / max(1, among)) * error
    return Gain(value, value - reach, value + reach, len(rounds), len(weights))


def _doubt(sigma: float) -> float:
    """The share of a normal distribution that lies further out than this."""
    return 2 * (1 - NormalDist().cdf(sigma))
