"""The SmartRouter: which target is called first, which next, and why.

`plan` ranks all targets from config, scorecard and breakers; it is made when one of those changes. `route` draws one
request's order from it: near ties share the traffic, exploration looks where evidence is old and could pay.
The formulas are those of docs/routing.md.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain import scoring
from app.domain.breaker import Breaker, State
from app.domain.catalog import Target
from app.domain.evidence import Evidence
from app.domain.policy import Policy
from app.domain.runtime_config import RuntimeConfig, Weights
from app.domain.scorecard import Scorecard

_CLOSED: State = "closed"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target's place in the ranking, with what put it there."""

    target: Target
    #: None: not comparable (no evidence, not eligible, or routing by priority)
    score: float | None
    utility: float | None
    eligible: bool
    breaker: State
    reasons: tuple[str, ...]
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class Plan:
    """`candidates` in route order; `ties` share first place; `explorable` may take it, the longest unseen first."""

    candidates: tuple[Candidate, ...]
    ties: tuple[Target, ...]
    explorable: tuple[Target, ...]
    exploration_rate: float


@dataclass(frozen=True, slots=True)
class Route:
    """One request's targets in the order they are tried; `propensity`: probability of this first target."""

    order: tuple[Target, ...]
    explored: bool
    propensity: float
    reason: str


def plan(
    config: RuntimeConfig,
    targets: Sequence[Target],
    card: Scorecard,
    breakers: Mapping[Target, Breaker],
    policy: Policy,
    now: datetime,
    segment: str | None = None,
) -> Plan:
    """Rank every target of an enabled provider."""
    usable = [t for t in targets if t.provider not in config.providers or config.providers[t.provider].enabled]
    usable.sort(key=lambda target: _priority(config, target))
    states = {t: _state(breakers[t], card, t, policy, now) if t in breakers else _CLOSED for t in usable}
    evidence = {t: card.evidence[t] for t in usable if t in card.evidence and card.evidence[t].mass > 0}
    if not (config.global_.enabled and config.features.smart_routing) or not evidence:
        return _by_priority(config, usable, states, evidence)
    return _Ranking(config, usable, states, evidence, policy, segment).plan(card.calls_per_round, now)


def _priority(config: RuntimeConfig, target: Target) -> int:
    mine = config.providers.get(target.provider)
    return mine.priority if mine is not None else 10_000


def _state(breaker: Breaker, card: Scorecard, target: Target, policy: Policy, now: datetime) -> State:
    """The breaker's state, in the light of what else is known.

    A success since it opened (in a round, say) closes it. Once a trial has failed the next one waits for traffic too:
    where a call comes every few minutes, every one of them would be a trial.
    """
    state = breaker.allows(now)
    known = card.evidence.get(target)
    if state == "closed" or known is None:
        return state
    if breaker.opened_at and known.last_success_at and known.last_success_at > breaker.opened_at:
        return "closed"
    tried = breaker.failures > policy.breaker.failures
    return "open" if tried and card.calls - known.seen_at_call < policy.breaker.trial_calls else state


def _by_priority(
    config: RuntimeConfig, usable: Sequence[Target], states: Mapping[Target, State], evidence: Mapping[Target, Evidence]
) -> Plan:
    rate = config.effective_exploration_rate
    why = "priority order: no evidence yet" if rate > 0 else "priority order"
    order = sorted(usable, key=lambda target: states[target] == "open")
    candidates = [
        Candidate(t, None, None, states[t] != "open", states[t], _said(why, states[t]), evidence.get(t)) for t in order
    ]
    closed = [target for target in order if states[target] != "open"]
    return Plan(tuple(candidates), tuple(order[:1]), tuple(closed[1:]) if rate > 0 else (), rate)


class _Ranking:
    """The usable targets, ranked by what is known of them."""

    def __init__(
        self,
        config: RuntimeConfig,
        usable: Sequence[Target],
        states: Mapping[Target, State],
        evidence: Mapping[Target, Evidence],
        policy: Policy,
        segment: str | None,
    ) -> None:
        self.config, self.states, self.evidence, self.policy = config, states, evidence, policy
        self.weights = _weights(config, segment)
        closed = {t: known for t, known in evidence.items() if states[t] != "open"}
        self.refused = scoring.gate(closed, policy)
        eligible = [t for t in closed if t not in self.refused] or list(closed or evidence)
        figures = scoring.figures(evidence, policy.objective)
        self.figures = figures
        self.utilities = {t: scoring.utility(known, policy.objective) for t, known in figures.items()}
        shares = scoring.features(figures, eligible, policy.objective)
        self.scores = {t: scoring.score(self._own(t), shares[t]) for t in eligible}
        by_score = sorted(eligible, key=lambda t: -self.scores[t])
        self.ties = self._leaders(by_score)
        self.ranked = [*self.ties, *(t for t in by_score if t not in self.ties)]
        self.unseen = [t for t in usable if t not in evidence]
        behind = sorted((t for t in evidence if t not in self.scores), key=lambda t: -evidence[t].success)
        self.order = sorted([*self.ranked, *self.unseen, *behind], key=lambda t: states[t] == "open")

    def _own(self, target: Target) -> Weights:
        mine = self.config.providers.get(target.provider)
        return mine.weights if mine is not None and mine.weights is not None else self.weights

    def _leaders(self, by_score: Sequence[Target]) -> list[Target]:
        """Those that share first place: among scores closer than the noise the objective decides, as far as it can."""
        limits, utilities = self.policy.score, self.utilities
        close = [t for t in by_score if self.scores[by_score[0]] - self.scores[t] <= limits.noise]
        best = max(close, key=utilities.__getitem__)
        return [best, *(t for t in close if t != best and utilities[best] - utilities[t] <= limits.near_tie)]

    def plan(self, calls_per_round: int | None, now: datetime) -> Plan:
        rate = self.config.effective_exploration_rate
        ties = [t for t in self.ties if self.states[t] != "open"] or self.order[:1]
        explorable = [t for t in self.unseen if self.states[t] != "open" and t not in ties]
        if calls_per_round is None or calls_per_round * rate >= self.policy.exploration.least_per_round:
            explorable += self._worth_a_look(rate, now)
        candidates = tuple(self._candidate(t) for t in self.order)
        return Plan(candidates, tuple(ties), tuple(explorable) if rate > 0 else (), rate)

    def _candidate(self, target: Target) -> Candidate:
        known, state = self.evidence.get(target), self.states[target]
        why = "no evidence yet" if known is None else self.refused.get(target, "")
        return Candidate(
            target=target,
            score=self.scores.get(target),
            utility=self.utilities.get(target),
            eligible=target in self.scores and target not in self.refused and state != "open",
            breaker=state,
            reasons=_said(why, state),
            evidence=known,
        )

    def _worth_a_look(self, rate: float, now: datetime) -> list[Target]:
        """Those that may have become the best one since they were last seen; the longest unseen first.

        How far behind a target may be grows with the age of what is known of it, as a share of what choosing well is
        worth here (U_best − U_mean): where that is little, looking around costs as much as it can bring. Who asks for
        more exploration than the optimizer ever does, asks for targets that are further behind.
        """
        limits, best = self.policy.exploration, self.utilities[self.ties[0]]
        reach = max(1.0, rate / limits.raised)
        stake = best - sum(self.utilities[t] for t in self.scores) / len(self.scores)
        ages: dict[Target, float] = {}
        for target in self.ranked[len(self.ties) :]:
            seen = self.evidence[target].last_observed_at
            interval_s = self.policy.rounds.interval_s
            age = interval_s if seen is None else max(0.0, (now - seen).total_seconds())
            margin = limits.margin + limits.age_margin * math.sqrt(min(1.0, age / interval_s))
            if best - self.utilities[target] < stake * margin * reach or self._would_lead_if_back(target):
                ages[target] = age
        return sorted(ages, key=lambda target: -ages[target])

    def _would_lead_if_back(self, target: Target) -> bool:
        """Would a target that became slow lead if it were as fast as it formerly was?"""
        formerly_ms, leader = self.evidence[target].formerly_ms, self.ties[0]
        if formerly_ms is None:
            return False
        pair = {leader: self.figures[leader], target: self.figures[target]._replace(latency_ms=formerly_ms)}
        shares = scoring.features(pair, pair, self.policy.objective)
        return scoring.score(self._own(target), shares[target]) > scoring.score(self._own(leader), shares[leader])


def _weights(config: RuntimeConfig, segment: str | None) -> Weights:
    mine = config.segments.get(segment) if segment and config.features.user_segmentation else None
    return mine.weights if mine is not None and mine.weights is not None else config.global_.provider_weights


def _said(why: str, state: State) -> tuple[str, ...]:
    return tuple(filter(None, (why, "" if state == "closed" else f"breaker {state}")))


def route(plan: Plan, rng: random.Random, now: datetime) -> Route:
    """Draw one request's order; with no candidate at all, an empty one."""
    order = tuple(candidate.target for candidate in plan.candidates)
    if not order:
        return Route((), explored=False, propensity=1.0, reason="no target")
    rate = plan.exploration_rate if plan.explorable else 0.0
    if rate > 0 and rng.random() < rate:
        first = plan.explorable[0]
        return Route(_with_first(first, order), explored=True, propensity=rate, reason="explores: longest unseen")
    ties = plan.ties or order[:1]
    first = ties[int(rng.random() * len(ties))] if len(ties) > 1 else ties[0]
    reason = "best score" if len(ties) == 1 else f"one of {len(ties)} near ties"
    return Route(_with_first(first, order), explored=False, propensity=(1.0 - rate) / len(ties), reason=reason)


def _with_first(first: Target, order: tuple[Target, ...]) -> tuple[Target, ...]:
    return order if order[0] == first else (first, *(target for target in order if target != first))


def candidates_json(plan: Plan) -> list[dict[str, Any]]:
    """The ranking as the API shows it."""
    return [
        {
            "provider": candidate.target.provider,
            "model": candidate.target.model,
            "score": _rounded(candidate.score),
            "utility": _rounded(candidate.utility),
            "eligible": candidate.eligible,
            "breaker": candidate.breaker,
            "sharesFirstPlace": candidate.target in plan.ties,
            "mayBeExplored": candidate.target in plan.explorable,
            "reasons": list(candidate.reasons),
            "evidence": None if candidate.evidence is None else _evidence_json(candidate.evidence),
        }
        for candidate in plan.candidates
    ]


def explanation_json(plan: Plan, route: Route) -> dict[str, Any]:
    """Why one request went where it went."""
    return {
        "order": [str(target) for target in route.order],
        "reason": route.reason,
        "explored": route.explored,
        "propensity": route.propensity,
        "candidates": candidates_json(plan),
    }


def _evidence_json(known: Evidence) -> dict[str, Any]:
    seen = known.last_observed_at
    return {
        "latencyMs": _rounded(known.latency_ms, 1),
        "success": _rounded(known.success),
        "quality": _rounded(known.quality),
        "costUsd": known.cost_usd,
        "mass": _rounded(known.mass, 1),
        "benchmarkCount": known.benchmark_count,
        "liveCount": known.live_count,
        "lastObservedAt": None if seen is None else int(seen.timestamp() * 1000),
    }


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)
