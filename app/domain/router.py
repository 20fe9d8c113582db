"""The SmartRouter: which target is called first, which next, and why.

`plan` ranks all targets from config, scorecard and breakers; it is made when one of those changes. `route` draws one
request's order from it: near ties share the traffic, exploration looks where evidence is old and could pay.
The formulas are those of docs/routing.md.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.breaker import Breaker, State
from app.domain.catalog import Target
from app.domain.policy import Objective, Policy
from app.domain.runtime_config import RuntimeConfig, Weights
from app.domain.scorecard import Evidence, Scorecard

#: share of cost_ref_usd below which calls cost the same: a free model is not infinitely cheaper than a cheap one
FREE = 0.001

Features = tuple[float, float, float]


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
    states: dict[Target, State] = {t: breakers.get(t, Breaker()).allows(now) for t in usable}
    evidence = {t: card.evidence[t] for t in usable if t in card.evidence and card.evidence[t].mass > 0}
    if not (config.global_.enabled and config.features.smart_routing) or not evidence:
        return _by_priority(config, usable, states, evidence)
    return _by_evidence(config, usable, states, evidence, policy, now, segment)


def _priority(config: RuntimeConfig, target: Target) -> int:
    mine = config.providers.get(target.provider)
    return mine.priority if mine is not None else 10_000


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


def _by_evidence(
    config: RuntimeConfig,
    usable: Sequence[Target],
    states: Mapping[Target, State],
    evidence: Mapping[Target, Evidence],
    policy: Policy,
    now: datetime,
    segment: str | None,
) -> Plan:
    refused = _gate(evidence, states, policy)
    eligible = [t for t in evidence if t not in refused] or list(evidence)
    shares = features({t: evidence[t] for t in eligible}, policy.objective)
    weights = _weights(config, segment)
    scores = {t: score(_own(config, t, weights), shares[t]) for t in eligible}
    utilities = {t: utility(known, policy.objective) for t, known in evidence.items()}
    ranked = sorted(eligible, key=lambda t: -scores[t])
    unseen = [t for t in usable if t not in evidence]
    behind = sorted((t for t in evidence if t not in scores), key=lambda t: -evidence[t].success)
    order = sorted([*ranked, *unseen, *behind], key=lambda t: states[t] == "open")
    candidates = [
        Candidate(
            target=t,
            score=scores.get(t),
            utility=utilities.get(t),
            eligible=t in scores and t not in refused,
            breaker=states[t],
            reasons=_said("no evidence yet" if t in unseen else refused.get(t, ""), states[t]),
            evidence=evidence.get(t),
        )
        for t in order
    ]
    ties = tuple(t for t in ranked if scores[ranked[0]] - scores[t] <= policy.score.near_tie)
    explorable = [t for t in unseen if states[t] != "open"]
    explorable += _worth_a_look([t for t in ranked if t not in ties], ranked[0], evidence, utilities, policy, now)
    rate = config.effective_exploration_rate
    return Plan(tuple(candidates), ties, tuple(explorable) if rate > 0 else (), rate)


def _weights(config: RuntimeConfig, segment: str | None) -> Weights:
    mine = config.segments.get(segment) if segment and config.features.user_segmentation else None
    return mine.weights if mine is not None and mine.weights is not None else config.global_.provider_weights


def _own(config: RuntimeConfig, target: Target, weights: Weights) -> Weights:
    mine = config.providers.get(target.provider)
    return mine.weights if mine is not None and mine.weights is not None else weights


def _gate(evidence: Mapping[Target, Evidence], states: Mapping[Target, State], policy: Policy) -> dict[Target, str]:
    """Who may not be first, and why: a dead or wrong target must not win by being cheap and formerly fast."""
    gate = policy.gate
    refused = {t: f"breaker {states[t]}" for t in evidence if states[t] == "open"}
    closed = [known for t, known in evidence.items() if t not in refused]
    if not closed:
        return refused
    success = min(gate.success_floor, max(known.success for known in closed) - gate.success_slack)
    quality = gate.quality_share * max((known.quality for known in closed if known.quality is not None), default=0.0)
    for target, known in evidence.items():
        if target in refused:
            continue
        if known.success < success:
            refused[target] = f"success {known.success:.2f} is below {success:.2f}"
        elif known.quality is not None and _at_best(known) < quality:
            refused[target] = f"quality {known.quality:.2f} is below {quality:.2f}"
    return refused


def _at_best(known: Evidence) -> float:
    """Upper end of the interval in which the mean quality lies."""
    assert known.quality is not None
    return known.quality + 2 * math.sqrt(known.quality_variance / max(known.quality_mass, 1e-9))


def features(evidence: Mapping[Target, Evidence], objective: Objective) -> dict[Target, Features]:
    """min L / L, min C / C and S·Q per target, each 0..1; unknown speed is 0, an unknown price the dearest known."""
    latencies = [known.latency_ms for known in evidence.values() if known.latency_ms]
    costs = [known.cost_usd for known in evidence.values() if known.cost_usd is not None]
    floor = FREE * objective.cost_ref_usd
    fastest, cheapest, dearest = (
        min(latencies, default=1.0),
        max(min(costs, default=0.0), floor),
        max(costs, default=0.0),
    )
    return {
        target: (
            min(1.0, fastest / known.latency_ms) if known.latency_ms else 0.0,
            cheapest / max(dearest if known.cost_usd is None else known.cost_usd, cheapest),
            known.success * (1.0 if known.quality is None else known.quality),
        )
        for target, known in evidence.items()
    }


def score(weights: Weights, shares: Features) -> float:
    """w_lat·(min L / L) + w_cost·(min C / C) + w_rel·S·Q"""
    return weights.latency * shares[0] + weights.cost * shares[1] + weights.reliability * shares[2]


def utility(known: Evidence, objective: Objective) -> float:
    """U = S·Q − a·min(1, L / L_ref) − b·min(1, C / C_ref)"""
    latency = min(1.0, (known.latency_ms or 0.0) / objective.latency_ref_ms)
    cost = min(1.0, (known.cost_usd or 0.0) / objective.cost_ref_usd)
    good = known.success * (1.0 if known.quality is None else known.quality)
    return good - objective.latency * latency - objective.cost * cost


def _worth_a_look(
    others: Iterable[Target],
    best: Target,
    evidence: Mapping[Target, Evidence],
    utilities: Mapping[Target, float],
    policy: Policy,
    now: datetime,
) -> list[Target]:
    """Those that may have become the best one since they were last seen; the longest unseen first."""
    exploration, ages = policy.exploration, {}
    for target in others:
        seen = evidence[target].last_observed_at
        ages[target] = age = policy.rounds.interval_s if seen is None else max(0.0, (now - seen).total_seconds())
        margin = exploration.margin + exploration.age_margin * math.sqrt(min(1.0, age / policy.rounds.interval_s))
        if utilities[target] <= utilities[best] - margin:
            del ages[target]
    return sorted(ages, key=lambda target: -ages[target])


def _said(why: str, state: State) -> tuple[str, ...]:
    return tuple(filter(None, (why, "" if state == "closed" or "breaker" in why else f"breaker {state}")))


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
