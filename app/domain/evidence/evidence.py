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

from app.domain.evidence.lengths import Lengths
from app.domain.evidence.level import Level, Rate
from app.domain.evidence.quality import Draws, Grades, by_prompt
from app.domain.outcome import Outcome
from app.domain.policy import EvidencePolicy, ExplorationPolicy, Objective, Policy


@dataclass(frozen=True, slots=True)
class Evidence:
    """Masses are effective counts: an old outcome weighs less than one."""

    #: mean of successes; a failure that took longer counts at the time it cost
    latency_ms: float | None = None
    latency_mass: float = 0.0
    #: share of calls that succeeded: the mean of `served`, and how many calls are behind it
    success: float = 1.0
    mass: float = 0.0
    served: Rate = field(default_factory=Rate)
    #: mean of successes; None: no price is known
    cost_usd: float | None = None
    cost_mass: float = 0.0
    #: of min(1, latency / latency_ref_ms), call by call: of successes, and the mean of failures
    late: Level = field(default_factory=Level)
    late_failed: float = 0.0
    late_failed_mass: float = 0.0
    #: share of successes beyond p95_ms, where the objective asks for it
    slow: Rate = field(default_factory=Rate)
    #: of min(1, cost / cost_ref_usd) of successes, call by call
    dear: Level = field(default_factory=Level)
    #: cost / cost_ref_usd of successes, unclipped: what a ceiling in money reckons with
    price: Level = field(default_factory=Level)
    #: of prompts and answers, and what they cost in time
    lengths: Lengths = field(default_factory=Lengths)
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
    #: why only a person can mend it: the class of its last error, if no success came since
    needs_person: str | None = None
    #: since when, as far as errors tell; None: nothing to mend, or found by an earlier release
    needs_person_since: datetime | None = None
    last_observed_at: datetime | None = None
    last_success_at: datetime | None = None
    #: `Scorecard.calls` when it was last seen: how much traffic has passed it by since
    seen_at_call: int = 0
    #: live failures since the last success or round, and what stood before them
    failure_run: int = 0
    served_before: Rate = field(default_factory=Rate)
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
            **_to_mend(self, [outcome]),
        }
        if outcome.refused:
            return replace(self, **seen, **self._after_refusal(policy))
        if not outcome.success:
            return replace(self, **seen, **self._after_failure(outcome, policy))
        seen["last_success_at"] = _latest(self.last_success_at, outcome.at)
        seen["lengths"] = self.lengths.with_call(outcome)
        outcome = self.lengths.as_probe(outcome)
        passed_by = calls - self.seen_at_call > policy.breaker.trial_calls
        known = replace(self, **seen, **self._after_success(outcome, policy))
        return replace(known, **known._look(outcome, policy)) if passed_by or self.good_looks else known

    def _after_failure(self, outcome: Outcome, policy: Policy) -> dict[str, Any]:
        run = self.failure_run + 1
        changes: dict[str, Any] = {"failure_run": run, "good_looks": 0, "good_looks_ms": 0.0}
        if run == 1:
            changes |= {"served_before": self._rate}
        if run > policy.breaker.failures:
            return changes  # the breaker keeps traffic away: its trials are one event, not evidence one by one
        changes |= _served(self._rate, 0.0, policy.evidence)
        changes |= _failed_late(self, outcome, policy)
        if self._took_longer(outcome):
            changes |= _latency(self, outcome, policy.evidence.latency_mass_cap)
        return changes

    def _after_refusal(self, policy: Policy) -> dict[str, Any]:
        """No part of an outage, since no breaker keeps it away: each one counts, also in the time between outages."""
        changes: dict[str, Any] = {"refused_count": self.refused_count + 1, "good_looks": 0, "good_looks_ms": 0.0}
        if self.failure_run:
            changes |= {"served_before": _with_call(self.served_before, 0.0, policy.evidence)}
        return changes | _served(self._rate, 0.0, policy.evidence)

    def _took_longer(self, failed: Outcome) -> bool:
        """A failure is censored: it says something about speed where it cost more time than an answer does."""
        slower = self.latency_ms is not None and failed.latency_ms > self.latency_ms
        return slower and not failed.needs_person

    def _after_success(self, outcome: Outcome, policy: Policy) -> dict[str, Any]:
        over = self.failure_run > policy.breaker.failures  # an outage is: `success` speaks of the time between outages
        before = self.served_before if over else self._rate
        changes: dict[str, Any] = {"failure_run": 0} | _served(before, 1.0, policy.evidence)
        recovered = self._recovery(outcome, policy)
        if "latency_ms" not in recovered:
            recovered |= _latency(self, outcome, policy.evidence.latency_mass_cap)
            most = (policy.evidence.latency_mass_cap, policy.evidence.level_mass_cap)
            recovered |= {"late": self.late.with_value(late(outcome, policy.objective), *most)}
            if policy.objective.p95:
                recovered |= {"slow": self.slow.with_value(slow(outcome, policy.objective), *most)}
        return changes | recovered | self._priced(outcome, policy)

    def _priced(self, outcome: Outcome, policy: Policy) -> dict[str, Any]:
        limits = policy.evidence
        cost = _cost(self, outcome, limits.latency_mass_cap)
        return cost | _dear(self, outcome, policy.objective, limits.latency_mass_cap, limits.level_mass_cap)

    def _recovery(self, outcome: Outcome, whole: Policy) -> dict[str, Any]:
        """Some answers in a row as fast as it formerly was are believed: the slow ones before them are forgotten."""
        policy = whole.exploration
        if self.formerly_ms is None or self.latency_ms is None:
            return {}
        if outcome.latency_ms >= math.sqrt(self.formerly_ms * self.latency_ms):
            return {"nearer_count": 0, "nearer_ms": 0.0}
        count, total = self.nearer_count + 1, self.nearer_ms + outcome.latency_ms
        if count < policy.recovered_after:
            return {"nearer_count": count, "nearer_ms": total}
        return {"nearer_count": 0, "nearer_ms": 0.0} | self._is_now(total / count, count, whole.objective)

    def _is_now(self, latency_ms: float, count: int, objective: Objective) -> dict[str, Any]:
        share = min(1.0, latency_ms / objective.latency_ref_ms)
        return {"latency_ms": latency_ms, "latency_mass": float(count), "late": self.late.at(share, float(count))}

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
            changes |= self._is_now(total / count, count, policy.objective)
        if self.success < usual:
            mass = min(self.mass, limits.recovered_mass)
            changes |= {"success": usual, "mass": mass, "served": self.served.at(usual, mass)}
        return changes

    def with_round(self, outcomes: Sequence[Outcome], policy: Policy) -> Evidence:
        """A round's outcomes of this target, in full, over what is left of the older ones."""
        if not outcomes:
            return self
        known = self._faded(outcomes, policy)
        for outcome in outcomes:
            if outcome.success or known._took_longer(outcome):
                known = replace(known, **_latency(known, outcome, math.inf))
            if outcome.success:
                known = replace(known, **_cost(known, outcome, math.inf), lengths=known.lengths.with_call(outcome))
        answered = [outcome for outcome in outcomes if outcome.success]
        return replace(
            known,
            benchmark_count=self.benchmark_count + len(outcomes),
            last_observed_at=_latest(self.last_observed_at, *(outcome.at for outcome in outcomes)),
            last_success_at=_latest(self.last_success_at, *(outcome.at for outcome in answered)),
            **_to_mend(self, outcomes),
            failure_run=0,
            good_looks=0,
            good_looks_ms=0.0,
            **_usual(self, known.success, policy.exploration),
            **_graded(known, outcomes, policy.evidence),
            **_pace(known, [outcome.latency_ms for outcome in answered], policy.exploration),
        )

    def measured_by(self, old: Objective, new: Objective) -> Evidence:
        """The shares, of other references. What lay beyond an old one counts as if it lay at it."""
        late, dear = old.latency_ref_ms / new.latency_ref_ms, old.cost_ref_usd / new.cost_ref_usd
        return replace(
            self,
            late=self.late.scaled(late),
            late_failed=min(1.0, self.late_failed * late),
            dear=self.dear.scaled(dear),
            price=self.price.scaled(dear, math.inf),
        )

    @property
    def _rate(self) -> Rate:
        """Of what an earlier release has counted, two numbers are known."""
        return self.served if self.served.mass or not self.mass else self.served.at(self.success, self.mass)

    def _faded(self, outcomes: Sequence[Outcome], policy: Policy) -> Evidence:
        """As a round counts: rates and shares with it, all else about to."""
        limits, objective = policy.evidence, policy.objective
        fast, slow_decay = limits.latency_round_decay, limits.level_round_decay
        answered = [outcome for outcome in outcomes if outcome.success]
        slow_ones = [slow(outcome, objective) for outcome in answered] if objective.p95 else []
        prices = [o.cost_usd / objective.cost_ref_usd for o in answered if o.cost_usd is not None]
        known = replace(
            self,
            **_of_rate(
                self._rate.with_counts(
                    [float(outcome.success) for outcome in outcomes],
                    fast, limits.success_round_decay, limits.success_reset_sigma,
                )
            ),
            late=self.late.with_round([late(o, objective) for o in answered], fast, slow_decay),
            slow=self.slow.with_round(slow_ones, fast, slow_decay),
            dear=self.dear.with_round([min(1.0, price) for price in prices], fast, slow_decay),
            price=self.price.with_round(prices, fast, slow_decay),
            late_failed_mass=self.late_failed_mass * fast,
            latency_mass=self.latency_mass * fast,
            cost_mass=self.cost_mass * fast,
        )  # fmt: skip
        for outcome in outcomes:
            if not outcome.success:
                known = replace(known, **_failed_late(known, outcome, policy))
        return known


def _to_mend(before: Evidence, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A key that is refused once is refused until it has served again."""
    failed = [outcome for outcome in outcomes if outcome.needs_person]
    if failed:
        since = before.needs_person_since if before.needs_person else min(outcome.at for outcome in failed)
        return {"needs_person": failed[-1].error_class, "needs_person_since": since}
    if any(outcome.success for outcome in outcomes):
        return {"needs_person": None, "needs_person_since": None}
    return {}


def _mean(old: float | None, mass: float, value: float) -> float:
    return value if old is None else old + (value - old) / (mass + 1)


def _with_call(rate: Rate, value: float, policy: EvidencePolicy) -> Rate:
    return rate.with_value(value, policy.latency_mass_cap, policy.live_mass_cap)


def _served(rate: Rate, value: float, policy: EvidencePolicy) -> dict[str, Any]:
    return _of_rate(_with_call(rate, value, policy))


def _of_rate(rate: Rate) -> dict[str, Any]:
    return {"served": rate, "success": rate.mean, "mass": rate.effective_mass}


def _latency(known: Evidence, outcome: Outcome, cap: float) -> dict[str, Any]:
    mass = min(known.latency_mass, cap - 1)
    return {"latency_ms": _mean(known.latency_ms, mass, outcome.latency_ms), "latency_mass": mass + 1}


def _cost(known: Evidence, outcome: Outcome, cap: float) -> dict[str, Any]:
    if outcome.cost_usd is None:
        return {}
    mass = min(known.cost_mass, cap - 1)
    return {"cost_usd": _mean(known.cost_usd, mass, outcome.cost_usd), "cost_mass": mass + 1}


def late(outcome: Outcome, objective: Objective) -> float:
    """0..1: what the call cost in time, as a share of what is too slow."""
    return min(1.0, outcome.latency_ms / objective.latency_ref_ms)


def slow(outcome: Outcome, objective: Objective) -> float:
    """1: beyond where five calls in a hundred may be."""
    return float(outcome.latency_ms > objective.p95_ms)


def _failed_late(known: Evidence, outcome: Outcome, policy: Policy) -> dict[str, Any]:
    if outcome.needs_person:
        return {}
    mass = min(known.late_failed_mass, policy.evidence.latency_mass_cap - 1)
    value = _mean(known.late_failed, mass, late(outcome, policy.objective))
    return {"late_failed": value, "late_failed_mass": mass + 1}


def _dear(known: Evidence, outcome: Outcome, objective: Objective, *most: float) -> dict[str, Any]:
    if outcome.cost_usd is None:
        return {}
    share = outcome.cost_usd / objective.cost_ref_usd
    return {"dear": known.dear.with_value(min(1.0, share), *most), "price": known.price.with_value(share, *most)}


def mean_cost_usd(known: Evidence, objective: Objective) -> float | None:
    """Of a call, over as many as tell the same: single calls of a model differ by a factor of ten and more."""
    return known.price.mean * objective.cost_ref_usd if known.price.mass else known.cost_usd


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
