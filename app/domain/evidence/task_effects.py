"""How much a part of a target's outcomes deviates from the whole of them: those of one task type, or what people said.

A target may be better at code than it is over all. Few outcomes tell little, so a deviation d counts in the part that
types differ by more than chance does (empirical Bayes). Over all targets t and task types k of one quantity:

    s² = v / m                                       of d: chance, by the variance v of one outcome and their mass m
    β  = Σ w·d / Σ w,   w = 1 / (s² + τ²)            what the task does to the targets on average
    τ² = (n·τ₀² + Σ a²·((d − β)² − c·s²)) / (n + Σ a²·c)
         with a = 1 / (s² + τ₀²),   c = 1 − a / Σ a of the task,   n = n₀ / (2·τ₀²)²
    d′ = β + (d − β) · τ² / (τ² + s²)

τ₀ is what types differ by as a rule, worth n₀ deviations that chance moves as much. What of d′ is common to all targets
decides nothing and is taken off: where all move to one side, the least move.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from app.domain.catalog import Target, TaskType
from app.domain.evidence.evidence import Evidence
from app.domain.outcome import Outcome, Source
from app.domain.policy import EvidencePolicy

#: variance of one deviation before there are enough to tell, and how many outcomes that is worth: that two agree does
#: not make them exact
PRIOR_VARIANCE, PRIOR_COUNT = 0.1, 10.0
#: share of τ₀² that τ² has at the least
LEAST_BETWEEN = 0.1


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

    def with_round(self, values: Sequence[float], policy: EvidencePolicy) -> Deviation:
        """With all of a round's; they replace what they contradict beyond chance."""
        known = Deviation() if values and self._is_contradicted(values, policy.task_reset_sigma) else self
        for value in values:
            known = known.with_value(value, policy.task_mass_cap)
        return known

    def _is_contradicted(self, values: Sequence[float], sigma: float) -> bool:
        if self.mass <= 0:
            return False
        variance = (self.variance * self.mass + PRIOR_VARIANCE * PRIOR_COUNT) / (self.mass + PRIOR_COUNT)
        error = math.sqrt(variance * (1 / len(values) + 1 / self.mass))
        return abs(sum(values) / len(values) - self.mean) > sigma * error

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

    def with_outcome(self, outcome: Outcome, whole: Evidence, policy: EvidencePolicy) -> TaskEvidence:
        """One more outcome; `whole`: what is known of the target."""
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
        return known

    def faded(self, decay: float) -> TaskEvidence:
        return replace(
            self,
            latency=self.latency.faded(decay),
            cost=self.cost.faded(decay),
            success=self.success.faded(decay),
            quality=self.quality.faded(decay),
        )


Tasks = Mapping[TaskType, Mapping[Target, TaskEvidence]]


@dataclass(frozen=True, slots=True)
class Feedback:
    """What people said of a target's answers, 0..1."""

    score: Deviation = field(default_factory=Deviation)
    count: int = 0
    last_at: datetime | None = None

    def with_score(self, score: float, at: datetime, cap: float) -> Feedback:
        last_at = at if self.last_at is None else max(self.last_at, at)
        return Feedback(self.score.with_value(score, cap), self.count + 1, last_at)


class Spread(NamedTuple):
    """Of one quantity, over all targets and task types."""

    #: variance of one outcome's deviation
    noise: float
    #: τ²
    between: float

    def error(self, own: Deviation) -> float:
        """s²: variance of the mean deviation."""
        return (own.variance * own.mass + self.noise * PRIOR_COUNT) / (own.mass + PRIOR_COUNT) / own.mass


def spread(types: Iterable[Sequence[Deviation]], usual: float, worth: float) -> Spread:
    """`usual`: τ₀, `worth`: n₀; the deviations of targets, by task type."""
    known = [[each for each in deviations if each.mass > 0] for deviations in types]
    prior = Spread(_noise([each for deviations in known for each in deviations]), usual * usual)
    below = worth / (2 * prior.between) ** 2
    above = below * prior.between
    for deviations in known:
        seen = [(each.mean, error, 1 / (error + prior.between)) for each in deviations for error in [prior.error(each)]]
        total = sum(weight for _, _, weight in seen)
        mean = sum(value * weight for value, _, weight in seen) / total if total else 0.0
        for value, error, weight in seen:
            free = 1 - weight / total
            above += weight * weight * ((value - mean) ** 2 - free * error)
            below += weight * weight * free
    return Spread(prior.noise, max(LEAST_BETWEEN * prior.between, above / below))


def _noise(deviations: Sequence[Deviation]) -> float:
    squares = sum(each.variance * each.mass for each in deviations) + PRIOR_VARIANCE * PRIOR_COUNT
    return squares / (sum(max(0.0, each.mass - 1) for each in deviations) + PRIOR_COUNT)


def _mean(deviations: Iterable[Deviation], known: Spread) -> float:
    """β, weighted by what each is exact to."""
    weights = [(each.mean, 1 / (known.error(each) + known.between)) for each in deviations if each.mass > 0]
    total = sum(weight for _, weight in weights)
    return sum(mean * weight for mean, weight in weights) / total if total else 0.0


class Move(NamedTuple):
    step: float
    #: variance of the part that types differ by, after what was seen of it
    error: float


def moves(targets: Collection[Target], own: Mapping[Target, Deviation], known: Spread) -> dict[Target, Move]:
    """d′ less what is common to all; a target of which nothing is known at this task does what they do on average."""
    mean = _mean(own.values(), known)
    shrunk = {target: _shrunk(own.get(target, Deviation()), mean, known) for target in targets}
    common = _common(shrunk.values(), mean)
    return {target: Move(each.step - common, each.error) for target, each in shrunk.items()}


def _common(all_: Collection[Move], mean: float) -> float:
    """The least move, where all move to one side; and what chance may have kept back of it, up to the mean."""
    least = min(all_, key=lambda each: abs(each.step), default=Move(0.0, 0.0))
    if any(each.step * least.step <= 0 for each in all_):
        return 0.0
    return math.copysign(max(abs(least.step), min(abs(mean), abs(least.step) + 2 * math.sqrt(least.error))), mean)


def _shrunk(own: Deviation, mean: float, known: Spread) -> Move:
    if own.mass <= 0:
        return Move(mean, known.between)
    error = known.error(own)
    part = known.between / (known.between + error)
    return Move(mean + (own.mean - mean) * part, part * error)


def at_task(
    evidence: Mapping[Target, Evidence], tasks: Tasks, task: TaskType, policy: EvidencePolicy
) -> dict[Target, Evidence]:
    """What is known of targets, as it is for one task type."""
    latency, cost, success, quality = (
        _moves(evidence, tasks, task, part, usual, policy) for part, usual in _parts(policy)
    )
    return {
        target: replace(
            whole,
            latency_ms=_scaled(whole.latency_ms, latency[target].step),
            cost_usd=_scaled(whole.cost_usd, cost[target].step),
            late=whole.late.scaled(math.exp(latency[target].step)),
            dear=whole.dear.scaled(math.exp(cost[target].step)),
            success=_moved(whole.success, success[target].step),
            quality=_quality(whole, quality[target].step),
            quality_variance=whole.quality_variance + quality[target].error * whole.quality_mass,
        )
        for target, whole in evidence.items()
    }


def _parts(policy: EvidencePolicy) -> Sequence[tuple[Callable[[TaskEvidence], Deviation], float]]:
    return (
        (attrgetter("latency"), policy.task_latency_spread),
        (attrgetter("cost"), policy.task_cost_spread),
        (attrgetter("success"), policy.task_success_spread),
        (attrgetter("quality"), policy.task_quality_spread),
    )


def _moves(
    evidence: Mapping[Target, Evidence],
    tasks: Tasks,
    task: TaskType,
    part: Callable[[TaskEvidence], Deviation],
    usual: float,
    policy: EvidencePolicy,
) -> dict[Target, Move]:
    """Of all targets, in one quantity."""
    types = {
        kind: {target: part(each) for target, each in known.items() if target in evidence}
        for kind, known in tasks.items()
    }
    return moves(evidence, types[task], spread([list(t.values()) for t in types.values()], usual, policy.task_prior))


def with_feedback(
    evidence: Mapping[Target, Evidence], said: Mapping[Target, Feedback], policy: EvidencePolicy
) -> dict[Target, Evidence]:
    """Quality, moved by what people said of a target more or less than of the others."""
    scores: Sequence[Deviation] = [said[target].score for target in said if target in evidence]
    steps = {t: settled(said[t].score, scores, policy) for t in said if t in evidence}
    moved = {t: replace(evidence[t], quality=_quality(evidence[t], step)) for t, step in steps.items()}
    return {**evidence, **moved}


def settled(own: Deviation, all_: Collection[Deviation], policy: EvidencePolicy) -> float:
    """What is beyond doubt of `own`, which is one of `all_`: who judges is chosen by himself."""
    mass = sum(each.mass for each in all_)
    if own.mass <= 0 or len([each for each in all_ if each.mass > 0]) < 2:
        return 0.0
    excess = own.mean - sum(each.mean * each.mass for each in all_) / mass
    variance = (own.variance * own.mass + PRIOR_VARIANCE * PRIOR_COUNT) / (own.mass + PRIOR_COUNT)
    beyond = abs(excess) - policy.feedback_sigma * math.sqrt(variance / own.mass)
    return math.copysign(max(0.0, beyond), excess) * own.mass / (own.mass + policy.feedback_prior_mass)


def _scaled(value: float | None, log_step: float) -> float | None:
    return value if value is None or log_step == 0 else value * math.exp(log_step)


def _moved(share: float, step: float) -> float:
    return min(1.0, max(0.0, share + step))


def _quality(whole: Evidence, step: float) -> float | None:
    if whole.quality is None:
        return None if step == 0 else _moved(1.0, step)
    return _moved(whole.quality, step)
