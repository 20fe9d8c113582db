"""How much a part of a target's outcomes deviates from the whole of them: those of one task type, or what people said.

A target may be better at code than it is over all. Few outcomes tell little: what counts of a deviation d is

    d′ = sign(e) · max(0, |e| − task_sigma · √(v / m)) · m / (m + task_prior_mass)

where e is d less the mean deviation of all targets (what the task does to everybody decides nothing), v the variance of
one outcome's deviation (pooled with a prior) and m their mass. So it is shrunk to nothing where it is within the noise,
and to a part of itself where outcomes are few.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.domain.catalog import Target
from app.domain.evidence.evidence import Evidence
from app.domain.outcome import Outcome, Source
from app.domain.policy import EvidencePolicy

#: variance of one deviation before there are enough to tell, and how many outcomes that is worth: that two agree does
#: not make them exact
PRIOR_VARIANCE, PRIOR_COUNT = 0.1, 10.0


@dataclass(frozen=True, slots=True)
class Deviation:
    """Running mean and variance of deviations, of bounded mass."""

    mean: float = 0.0
    #: of one of them, not of the mean
    variance: float = 0.0
    mass: float = 0.0

    def with_value(self, value: float, cap: float) -> Deviation:
        mass = min(self.mass, cap - 1)
        step = value - self.mean
        share = 1 / (mass + 1)
        return Deviation(self.mean + step * share, (1 - share) * (self.variance + share * step * step), mass + 1)

    def faded(self, decay: float) -> Deviation:
        return replace(self, mass=self.mass * decay)

    def corrected(self, was: float, now: float) -> Deviation:
        """One of the values was another one."""
        return replace(self, mean=self.mean + (now - was) / max(self.mass, 1.0))


@dataclass(frozen=True, slots=True)
class TaskEvidence:
    """Of one target at one task type, against all of its outcomes."""

    #: of ln(latency)
    latency: Deviation = Deviation()
    #: of ln(cost)
    cost: Deviation = Deviation()
    success: Deviation = Deviation()
    quality: Deviation = Deviation()
    #: outcomes ever seen, by source
    benchmark_count: int = 0
    live_count: int = 0
    last_observed_at: datetime | None = None

    def with_outcome(
        self, outcome: Outcome, whole: Evidence, mean_quality: float | None, policy: EvidencePolicy
    ) -> TaskEvidence:
        """One more outcome; `whole`: what is known of the target, `mean_quality`: of the round it belongs to."""
        cap, benchmark = policy.task_mass_cap, outcome.source is Source.BENCHMARK
        seen = self.last_observed_at
        known = replace(
            self,
            success=self.success.with_value(outcome.success - whole.success, cap),
            benchmark_count=self.benchmark_count + benchmark,
            live_count=self.live_count + (not benchmark),
            last_observed_at=outcome.at if seen is None else max(seen, outcome.at),
        )
        if not outcome.success:
            return known
        if whole.latency_ms and outcome.latency_ms > 0:
            step = math.log(outcome.latency_ms / whole.latency_ms)
            known = replace(known, latency=known.latency.with_value(step, cap))
        if whole.cost_usd and outcome.cost_usd:
            step = math.log(outcome.cost_usd / whole.cost_usd)
            known = replace(known, cost=known.cost.with_value(step, cap))
        if mean_quality is not None and outcome.quality is not None:
            known = replace(known, quality=known.quality.with_value(outcome.quality - mean_quality, cap))
        return known

    def faded(self, decay: float) -> TaskEvidence:
        return replace(
            self,
            latency=self.latency.faded(decay),
            cost=self.cost.faded(decay),
            success=self.success.faded(decay),
            quality=self.quality.faded(decay),
        )


@dataclass(frozen=True, slots=True)
class Feedback:
    """What people said of a target's answers, 0..1."""

    score: Deviation = field(default_factory=Deviation)
    count: int = 0
    last_at: datetime | None = None

    def with_score(self, score: float, at: datetime, cap: float) -> Feedback:
        last_at = at if self.last_at is None else max(self.last_at, at)
        return Feedback(self.score.with_value(score, cap), self.count + 1, last_at)


def settled(own: Deviation, all_: Collection[Deviation], policy: EvidencePolicy) -> float:
    """d′: what is beyond doubt of `own`, which is one of `all_`."""
    mass = sum(each.mass for each in all_)
    if own.mass <= 0 or len([each for each in all_ if each.mass > 0]) < 2:
        return 0.0
    excess = own.mean - sum(each.mean * each.mass for each in all_) / mass
    variance = (own.variance * own.mass + PRIOR_VARIANCE * PRIOR_COUNT) / (own.mass + PRIOR_COUNT)
    beyond = abs(excess) - policy.task_sigma * math.sqrt(variance / own.mass)
    return math.copysign(max(0.0, beyond), excess) * own.mass / (own.mass + policy.task_prior_mass)


def at_task(
    evidence: Mapping[Target, Evidence], tasks: Mapping[Target, TaskEvidence], policy: EvidencePolicy
) -> dict[Target, Evidence]:
    """What is known of targets, as it is for one task type."""
    known = {target: tasks[target] for target in tasks if target in evidence}
    latencies = {target: each.latency for target, each in known.items()}
    costs = {target: each.cost for target, each in known.items()}
    successes = {target: each.success for target, each in known.items()}
    qualities = {target: each.quality for target, each in known.items()}
    adjusted = dict(evidence)
    for target in known:
        whole = evidence[target]
        adjusted[target] = replace(
            whole,
            latency_ms=_scaled(whole.latency_ms, settled(latencies[target], latencies.values(), policy)),
            cost_usd=_scaled(whole.cost_usd, settled(costs[target], costs.values(), policy)),
            success=_moved(whole.success, settled(successes[target], successes.values(), policy)),
            quality=_quality(whole, settled(qualities[target], qualities.values(), policy)),
        )
    return adjusted


def with_feedback(
    evidence: Mapping[Target, Evidence], said: Mapping[Target, Feedback], policy: EvidencePolicy
) -> dict[Target, Evidence]:
    """Quality, moved by what people said of a target more or less than of the others."""
    scores: Sequence[Deviation] = [said[target].score for target in said if target in evidence]
    moves = {t: settled(said[t].score, scores, policy) for t in said if t in evidence}
    moved = {t: replace(evidence[t], quality=_quality(evidence[t], move)) for t, move in moves.items()}
    return {**evidence, **moved}


def _scaled(value: float | None, log_step: float) -> float | None:
    return value if value is None or log_step == 0 else value * math.exp(log_step)


def _moved(share: float, step: float) -> float:
    return min(1.0, max(0.0, share + step))


def _quality(whole: Evidence, step: float) -> float | None:
    if whole.quality is None:
        return None if step == 0 else _moved(1.0, step)
    return _moved(whole.quality, step)
