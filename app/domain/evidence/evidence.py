"""What is known of one target, and how one more outcome or round changes it.

Every mean is a running mean of bounded mass, so that the past fades. Latency and cost follow what happens now: at most
`latency_mass_cap` outcomes, and a round replaces nearly all of it. Success is pooled for longer, because ten prompts
cannot tell .98 from .90, and forgets at once what a round contradicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from app.domain.evidence.quality import Draws, Grades, by_prompt
from app.domain.outcome import Outcome
from app.domain.policy import EvidencePolicy, ExplorationPolicy, Policy


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
    #: mean grade of its prompts; None: nothing was graded
    quality: float | None = None
    #: between prompts; of one, not of the mean
    quality_variance: float = 0.0
    #: prompts, not grades
    quality_mass: float = 0.0
    #: what these three are from
    grades: Grades = field(default_factory=Grades)
    #: outcomes ever seen, by source
    benchmark_count: int = 0
    live_count: int = 0
    #: of `live_count`: requests that it refused and another target then served
    refused_count: int = 0
    last_observed_at: datetime | None = None
    last_success_at: datetime | None = None
    #: `Scorecard.calls` when it was last seen: how much traffic has passed it by since
    seen_at_call: int = 0
    #: live failures since the last success or round, and what stood before them
    failure_run: int = 0
    success_before: float = 1.0
    mass_before: float = 0.0
    #: success as its last round left it, or the one before it failed; and the rounds it fails since
    usual_success: float | None = None
    failing_rounds: int = 0
    #: mean latency of its rounds, smoothed
    baseline_ms: float | None = None
    #: the baseline from which it became slow, while it may be expected back; and the rounds since then
    formerly_ms: float | None = None
    slow_rounds: int = 0
    #: latest answers in a row that were nearer to `formerly_ms` than to `latency_ms`, and the sum of their times
    nearer_count: int = 0
    nearer_ms: float = 0.0
    #: looks in a row, after traffic had passed it by, that found it as good as usual; and the sum of their times
    good_looks: int = 0
    good_looks_ms: float = 0.0

    @property
    def quality_error(self) -> float:
        """Standard error of `quality`, clustered by prompt."""
        return math.sqrt(self.quality_variance / max(self.quality_mass, 1e-9))

    @property
    def quality_interval(self) -> tuple[float, float] | None:
        """Two standard errors to both sides, as far as a grade can be."""
        if self.quality is None:
            return None
        return max(0.0, self.quality - 2 * self.quality_error), min(1.0, self.quality + 2 * self.quality_error)

    def with_live(self, outcome: Outcome, policy: Policy, calls: int) -> Evidence:
        """One more live call, the `calls`-th of all targets together."""
        seen: dict[str, Any] = {
            "live_count": self.live_count + 1,
            "last_observed_at": _latest(self.last_observed_at, outcome.at),
            "seen_at_call": calls,
        }
        if outcome.refused:
            return replace(self, **seen, **self._after_refusal(policy))
        if not outcome.success:
            return replace(self, **seen, **self._after_failure(outcome, policy))
        seen["last_success_at"] = _latest(self.last_success_at, outcome.at)
        passed_by = calls - self.seen_at_call > policy.breaker.trial_calls
        known = replace(self, **seen, **self._after_success(outcome, policy))
        return replace(known, **known._look(outcome, policy)) if passed_by or self.good_looks else known

    def _after_failure(self, outcome: Outcome, policy: Policy) -> dict[str, Any]:
        run = self.failure_run + 1
        changes: dict[str, Any] = {"failure_run": run, "good_looks": 0, "good_looks_ms": 0.0}
        if run == 1:
            changes |= {"success_before": self.success, "mass_before": self.mass}
        if run > policy.breaker.failures:
            return changes  # the breaker keeps traffic away: its trials are one event, not evidence one by one
        changes |= _success(self, 0.0, policy.evidence.live_mass_cap)
        if self._took_longer(outcome):
            changes |= _latency(self, outcome, policy.evidence.latency_mass_cap)
        return changes

    def _after_refusal(self, policy: Policy) -> dict[str, Any]:
        """No part of an outage, since no breaker keeps it away: each one counts, also in the time between outages."""
        cap = policy.evidence.live_mass_cap
        changes = {"refused_count": self.refused_count + 1, "good_looks": 0, "good_looks_ms": 0.0}
        if self.failure_run:
            before = _success(replace(self, success=self.success_before, mass=self.mass_before), 0.0, cap)
            changes |= {"success_before": before["success"], "mass_before": before["mass"]}
        return changes | _success(self, 0.0, cap)

    def _took_longer(self, failed: Outcome) -> bool:
        """A failure is censored: it says something about speed where it cost more time than an answer does."""
        return self.latency_ms is not None and failed.latency_ms > self.latency_ms

    def _after_success(self, outcome: Outcome, policy: Policy) -> dict[str, Any]:
        before = self
        if (
            self.failure_run > policy.breaker.failures
        ):  # an outage is over; `success` speaks of the time between outages
            before = replace(self, success=self.success_before, mass=self.mass_before)
        changes: dict[str, Any] = {"failure_run": 0} | _success(before, 1.0, policy.evidence.live_mass_cap)
        recovered = self._recovery(outcome, policy.exploration)
        if "latency_ms" not in recovered:
            recovered |= _latency(self, outcome, policy.evidence.latency_mass_cap)
        return changes | recovered | _cost(self, outcome, policy.evidence.latency_mass_cap)

    def _recovery(self, outcome: Outcome, policy: ExplorationPolicy) -> dict[str, Any]:
        """Some answers in a row as fast as it formerly was are believed: the slow ones before them are forgotten."""
        if self.formerly_ms is None or self.latency_ms is None:
            return {}
        if outcome.latency_ms >= math.sqrt(self.formerly_ms * self.latency_ms):
            return {"nearer_count": 0, "nearer_ms": 0.0}
        count, total = self.nearer_count + 1, self.nearer_ms + outcome.latency_ms
        if count < policy.recovered_after:
            return {"nearer_count": count, "nearer_ms": total}
        return {"latency_ms": total / count, "latency_mass": float(count), "nearer_count": 0, "nearer_ms": 0.0}

    def _look(self, outcome: Outcome, policy: Policy) -> dict[str, Any]:
        """Some looks in a row that find a target as good as usual are believed: whatever it had is over."""
        usual_ms, usual, limits = self.baseline_ms, self.usual_success, policy.exploration
        if usual_ms is None or usual is None or became_slow(outcome.latency_ms, usual_ms, limits):
            return {"good_looks": 0, "good_looks_ms": 0.0}
        count, total = self.good_looks + 1, self.good_looks_ms + outcome.latency_ms
        if count < limits.recovered_after:
            return {"good_looks": count, "good_looks_ms": total}
        changes: dict[str, Any] = {"good_looks": 0, "good_looks_ms": 0.0}
        if self.latency_ms is not None and self.latency_ms > total / count:
            changes |= {"latency_ms": total / count, "latency_mass": float(count)}
        if self.success < usual:
            changes |= {"success": usual, "mass": min(self.mass, limits.recovered_mass)}
        return changes

    def with_round(self, outcomes: Sequence[Outcome], policy: Policy) -> Evidence:
        """A round's outcomes of this target, in full, over what is left of the older ones."""
        if not outcomes:
            return self
        known = self._faded(outcomes, policy.evidence)
        for outcome in outcomes:
            known = replace(known, **_success(known, float(outcome.success), math.inf))
            if outcome.success or known._took_longer(outcome):
                known = replace(known, **_latency(known, outcome, math.inf))
            if outcome.success:
                known = replace(known, **_cost(known, outcome, math.inf))
        answered = [outcome for outcome in outcomes if outcome.success]
        return replace(
            known,
            benchmark_count=self.benchmark_count + len(outcomes),
            last_observed_at=_latest(self.last_observed_at, *(outcome.at for outcome in outcomes)),
            last_success_at=_latest(self.last_success_at, *(outcome.at for outcome in answered)),
            failure_run=0,
            good_looks=0,
            good_looks_ms=0.0,
            **_usual(self, known.success, policy.exploration),
            **_graded(known, outcomes, policy.evidence),
            **_pace(known, [outcome.latency_ms for outcome in answered], policy.exploration),
        )

    def _faded(self, outcomes: Sequence[Outcome], policy: EvidencePolicy) -> Evidence:
        """As a round begins to count; its successes replace the older ones from which they differ beyond chance."""
        count, mass = len(outcomes), self.mass * policy.success_round_decay
        share = sum(outcome.success for outcome in outcomes) / count
        if mass > 0:
            pooled = (self.success * mass + share * count) / (mass + count)
            error = math.sqrt(max(0.0, pooled * (1 - pooled)) * (1 / count + 1 / mass))
            mass = 0.0 if abs(share - self.success) > policy.success_reset_sigma * error else mass
        return replace(
            self,
            mass=mass,
            latency_mass=self.latency_mass * policy.latency_round_decay,
            cost_mass=self.cost_mass * policy.latency_round_decay,
        )


def _mean(old: float | None, mass: float, value: float) -> float:
    return value if old is None else old + (value - old) / (mass + 1)


def _success(known: Evidence, value: float, cap: float) -> dict[str, Any]:
    mass = min(known.mass, cap - 1)
    return {"success": _mean(known.success, mass, value), "mass": mass + 1}


def _latency(known: Evidence, outcome: Outcome, cap: float) -> dict[str, Any]:
    mass = min(known.latency_mass, cap - 1)
    return {"latency_ms": _mean(known.latency_ms, mass, outcome.latency_ms), "latency_mass": mass + 1}


def _cost(known: Evidence, outcome: Outcome, cap: float) -> dict[str, Any]:
    if outcome.cost_usd is None:
        return {}
    mass = min(known.cost_mass, cap - 1)
    return {"cost_usd": _mean(known.cost_usd, mass, outcome.cost_usd), "cost_mass": mass + 1}


def _latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


def _graded(known: Evidence, outcomes: Sequence[Outcome], policy: EvidencePolicy) -> dict[str, Any]:
    """A round's grades pooled by prompt with the older ones, or in their place where they differ beyond chance."""
    graded = [(each.prompt_id, each.quality) for each in outcomes if each.quality is not None]
    if not graded:
        return {}
    grades = known.grades
    if grades.quality is None and known.quality is not None:  # of an earlier release, which did not tell prompts apart
        grades = Grades(unnamed=Draws(known.quality, known.quality_variance, known.quality_mass))
    grades = grades.after(*by_prompt(graded), policy)
    found = grades.quality
    assert found is not None
    return {
        "grades": grades,
        "quality": found.mean,
        "quality_variance": found.variance,
        "quality_mass": found.prompts,
    }


def _usual(before: Evidence, success: float, policy: ExplorationPolicy) -> dict[str, Any]:
    """A target that fails may come back: what it was before is remembered for `slow_rounds` rounds."""
    usual, rounds = before.usual_success, before.failing_rounds + 1
    if usual is not None and success < policy.success_below <= usual and rounds <= policy.slow_rounds:
        return {"failing_rounds": rounds}
    return {"usual_success": success, "failing_rounds": 0}


def _pace(known: Evidence, latencies_ms: Sequence[float], policy: ExplorationPolicy) -> dict[str, Any]:
    """The baseline, and what it was before the target became slow; remembered for `slow_rounds` rounds."""
    if not latencies_ms:
        return {}
    mean, baseline = sum(latencies_ms) / len(latencies_ms), known.baseline_ms
    formerly, rounds = known.formerly_ms, known.slow_rounds + 1
    if became_slow(mean, baseline, policy):
        formerly, rounds = min(filter(None, (formerly, baseline))), 0
    if formerly is not None and (rounds > policy.slow_rounds or mean < policy.recovered_ratio * formerly):
        formerly = None
    decay = policy.baseline_decay
    return {
        "baseline_ms": mean if baseline is None else decay * baseline + (1 - decay) * mean,
        "formerly_ms": formerly,
        "slow_rounds": rounds,
        "nearer_count": 0,
        "nearer_ms": 0.0,
    }


def became_slow(latency_ms: float, baseline_ms: float | None, policy: ExplorationPolicy) -> bool:
    """A round's mean against the smoothed mean of the rounds before it."""
    return baseline_ms is not None and latency_ms > policy.latency_ratio * baseline_ms
