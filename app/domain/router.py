"""The SmartRouter: which target is called first, which next, and why.

`plan` ranks all targets from config, scorecard and breakers; it is made when one of those changes. `route` draws one
request's order from it: near ties share the traffic, exploration looks where evidence is old and could pay.
The formulas are those of docs/routing.md.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.breaker import Breaker, State
from app.domain.catalog import Target
from app.domain.evidence import Evidence
from app.domain.policy import Policy
from app.domain.ranking import Candidate, Plan, Ranking, said
from app.domain.runtime_config import RuntimeConfig
from app.domain.scorecard import Scorecard

_CLOSED: State = "closed"


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
    return Ranking(config, usable, states, evidence, policy, segment, card.calls).plan(card.calls_per_round, now)


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
        Candidate(t, None, None, states[t] != "open", states[t], said(why, states[t]), evidence.get(t)) for t in order
    ]
    closed = [target for target in order if states[target] != "open"]
    return Plan(tuple(candidates), tuple(order[:1]), tuple(closed[1:]) if rate > 0 else (), rate)


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
