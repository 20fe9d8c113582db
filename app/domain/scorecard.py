"""The scorecard: what is known of each target, from rounds and from live traffic, with counts and age.

Every mean is a running mean of bounded mass, so that the past fades: at `live_mass_cap` outcomes for live traffic, by
`round_decay` at each round. Ten prompts dominate an unused target, live traffic a used one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from app.domain.catalog import Target
from app.domain.outcome import Outcome, Source
from app.domain.policy import EvidencePolicy, Policy

#: variance below which grades are taken to agree by chance (standard deviation .05)
LEAST_VARIANCE = 0.0025


@dataclass(frozen=True, slots=True)
class Evidence:
    """Masses are effective counts: an old outcome weighs less than one."""

    #: mean of successes; a failure that took longer counts at the time it cost
    latency_ms: float | None = None
    latency_mass: float = 0.0
    #: share of calls that succeeded
    success: float = 1.0
    mass: float = 0.0
    #: mean of successes; None: no price is known
    cost_usd: float | None = None
    cost_mass: float = 0.0
    #: mean grade; None: nothing was graded
    quality: float | None = None
    #: of one grade, not of the mean
    quality_variance: float = 0.0
    quality_mass: float = 0.0
    #: outcomes ever seen, by source
    benchmark_count: int = 0
    live_count: int = 0
    last_observed_at: datetime | None = None

    def with_call(self, outcome: Outcome, cap: float) -> Evidence:
        """One more call."""
        mass = min(self.mass, cap - 1)
        ok = 1.0 if outcome.success else 0.0
        more = replace(
            self,
            success=_mean(self.success, mass, ok),
            mass=mass + 1,
            benchmark_count=self.benchmark_count + (outcome.source is Source.BENCHMARK),
            live_count=self.live_count + (outcome.source is Source.LIVE),
            last_observed_at=max(filter(None, (self.last_observed_at, outcome.at))),
        )
        return more._with_latency(outcome, cap)._with_cost(outcome, cap)

    def _with_latency(self, outcome: Outcome, cap: float) -> Evidence:
        if not outcome.success and (self.latency_ms is None or outcome.latency_ms < self.latency_ms):
            return self  # a quick failure says nothing about speed
        mass = min(self.latency_mass, cap - 1)
        return replace(self, latency_ms=_mean(self.latency_ms, mass, outcome.latency_ms), latency_mass=mass + 1)

    def _with_cost(self, outcome: Outcome, cap: float) -> Evidence:
        if not outcome.success or outcome.cost_usd is None:
            return self
        mass = min(self.cost_mass, cap - 1)
        return replace(self, cost_usd=_mean(self.cost_usd, mass, outcome.cost_usd), cost_mass=mass + 1)

    def faded(self, policy: EvidencePolicy) -> Evidence:
        """As a round begins to count."""
        return replace(
            self,
            mass=self.mass * policy.round_decay,
            latency_mass=self.latency_mass * policy.round_decay,
            cost_mass=self.cost_mass * policy.round_decay,
            quality_mass=self.quality_mass * policy.quality_round_decay,
        )

    def with_grades(self, grades: Sequence[float], policy: EvidencePolicy) -> Evidence:
        """A round's grades pooled with the older ones, or in their place where they differ beyond chance."""
        if not grades:
            return self
        count = len(grades)
        mean = sum(grades) / count
        variance = sum((grade - mean) ** 2 for grade in grades) / count
        if self.quality is None or self._is_another_quality(mean, variance, count, policy):
            return replace(self, quality=mean, quality_variance=variance, quality_mass=float(count))
        old, total = self.quality_mass, self.quality_mass + count
        step = mean - self.quality
        pooled = (old * self.quality_variance + count * variance) / total + old * count * (step / total) ** 2
        return replace(
            self,
            quality=self.quality + step * count / total,
            quality_variance=pooled,
            quality_mass=min(total, policy.quality_mass_cap),
        )

    def _is_another_quality(self, mean: float, variance: float, count: int, policy: EvidencePolicy) -> bool:
        assert self.quality is not None
        if self.quality_mass <= 0:
            return True
        each = max(self.quality_variance, variance, LEAST_VARIANCE)
        error = math.sqrt(each / count + each / self.quality_mass)
        return abs(mean - self.quality) > policy.quality_reset_sigma * error


def _mean(old: float | None, mass: float, value: float) -> float:
    return value if old is None else old + (value - old) / (mass + 1)


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Immutable: `observe` and `close_round` give a new one."""

    evidence: Mapping[Target, Evidence] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> Scorecard:
        return cls({})

    def observe(self, outcomes: Iterable[Outcome], policy: Policy) -> Scorecard:
        """Live outcomes, in the order they came. Those that do not count against a provider are passed over."""
        evidence = dict(self.evidence)
        for outcome in outcomes:
            if outcome.counts:
                known = evidence.get(outcome.target, Evidence())
                evidence[outcome.target] = known.with_call(outcome, policy.evidence.live_mass_cap)
        return Scorecard(evidence)

    def close_round(self, outcomes: Sequence[Outcome], policy: Policy) -> Scorecard:
        """A finished round: everything older fades, then the round's outcomes count in full."""
        evidence = {target: known.faded(policy.evidence) for target, known in self.evidence.items()}
        for outcome in outcomes:
            if outcome.counts:
                known = evidence.get(outcome.target, Evidence())
                evidence[outcome.target] = known.with_call(outcome, math.inf)
        for target, known in evidence.items():
            grades = [o.quality for o in outcomes if o.target == target and o.quality is not None]
            evidence[target] = known.with_grades(grades, policy.evidence)
        return Scorecard(evidence)

    def to_json(self) -> dict[str, Any]:
        return {"version": 1, "targets": {str(target): _to_json(known) for target, known in self.evidence.items()}}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Scorecard:
        """Raises ValueError for what `to_json` did not write; unknown keys of a later release are passed over."""
        try:
            targets = document["targets"].items()
            return cls({Target.parse(name): _from_json(known) for name, known in targets})
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a scorecard: {error!r}") from None


def _to_json(known: Evidence) -> dict[str, Any]:
    seen = known.last_observed_at
    return {**asdict(known), "last_observed_at": None if seen is None else seen.isoformat()}


def _from_json(document: Mapping[str, Any]) -> Evidence:
    names = set(Evidence.__dataclass_fields__)
    values = {name: value for name, value in document.items() if name in names}
    seen = values.get("last_observed_at")
    return Evidence(**{**values, "last_observed_at": None if seen is None else datetime.fromisoformat(seen)})
