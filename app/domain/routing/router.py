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

from app.domain.catalog import Target, TaskType
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.evidence.evidence import Evidence
from app.domain.evidence.scorecard import Scorecard
from app.domain.policy import Policy
from app.domain.routing.affinity import REASONS, Stay
from app.domain.routing.breaker import Breaker, State
from app.domain.routing.ranking import Candidate, Plan, Ranking, said

__all__ = ["Candidate", "Plan", "Route", "affine", "candidates_json", "explanation_json", "plan", "route"]

_CLOSED: State = "closed"


@dataclass(frozen=True, slots=True)
class Route:
    """One request's targets in the order they are tried; `propensity`: probability of this first target."""

    order: tuple[Target, ...]
    explored: bool
    propensity: float
    reason: str
    #: of a request that goes on with a conversation: where that is, and whether it stays there
    stay: Stay | None = None


def plan(
    config: RuntimeConfig,
    targets: Sequence[Target],
    card: Scorecard,
    breakers: Mapping[Target, Breaker],
    policy: Policy,
    now: datetime,
    segment: str | None = None,
    task: TaskType = TaskType.DEFAULT,
) -> Plan:
    """Rank every target of an enabled provider, by what is known of it at this task type."""
    usable = [t for t in targets if t.provider not in config.providers or config.providers[t.provider].enabled]
    usable.sort(key=lambda target: _priority(config, target))
    states = {t: _state(breakers[t], card, t, policy, now) if t in breakers else _CLOSED for t in usable}
    known = card.at_task(task, policy)
    evidence = {t: known[t] for t in usable if t in known and known[t].mass > 0}
    if not (config.global_.enabled and config.features.smart_routing) or not evidence:
        return _by_priority(config, usable, states, evidence, now)
    return Ranking(config, usable, states, evidence, policy, card, segment, task).plan(now)


def _priority(config: RuntimeConfig, target: Target) -> int:
    mine = config.providers.get(target.provider)
    return mine.priority if mine is not None else 10_000


def _state(breaker: Breaker, card: Scorecard, target: Target, policy: Policy, now: datetime) -> State:
    """The breaker's state, in the light of what else is known.

    A success since it opened (in a round, say) closes it. In a long outage the next trial waits for traffic too: where
    a call comes every few minutes, every one of them would be a trial.
    """
    state = breaker.allows(now)
    known = card.evidence.get(target)
    if state == "closed" or known is None:
        return state
    if breaker.opened_at and known.last_success_at and known.last_success_at > breaker.opened_at:
        return "closed"
    since, opened_at = breaker.since, breaker.opened_at
    long = since and opened_at and (opened_at - since).total_seconds() >= policy.breaker.open_max_s
    return "open" if long and card.calls - known.seen_at_call < policy.breaker.trial_calls else state


def _by_priority(
    config: RuntimeConfig,
    usable: Sequence[Target],
    states: Mapping[Target, State],
    evidence: Mapping[Target, Evidence],
    now: datetime,
) -> Plan:
    rate = config.effective_exploration_rate
    why = "priority order: no evidence yet" if rate > 0 else "priority order"
    order = sorted(usable, key=lambda target: states[target] == "open")
    candidates = [
        Candidate(t, None, None, states[t] != "open", states[t], said(why, states[t]), evidence.get(t)) for t in order
    ]
    closed = [target for target in order if states[target] != "open"]
    return Plan(
        candidates=tuple(candidates),
        ties=tuple(order[:1]),
        explorable=tuple(closed[1:]) if rate > 0 else (),
        exploration_rate=rate,
        at=now,
        lead="priority order" if order[:1] == usable[:1] else "priority order, past open breakers",
        explores="explores: next in the priority order",
    )


def route(plan: Plan, rng: random.Random, now: datetime) -> Route:
    """Draw one request's order; with no candidate at all, an empty one."""
    if not plan.candidates:
        return Route((), explored=False, propensity=1.0, reason="no target")
    rate = plan.exploration_rate if plan.explorable else 0.0
    if rate > 0 and rng.random() < rate:
        return Route(plan.order(plan.explorable[0]), explored=True, propensity=rate, reason=plan.explores)
    ties = plan.ties
    first = ties[int(rng.random() * len(ties))] if len(ties) > 1 else ties[0]
    return Route(plan.order(first), explored=False, propensity=(1.0 - rate) / len(ties), reason=plan.lead)


def affine(plan: Plan, route: Route, stay: Stay) -> Route:
    """The route of a request that goes on with a conversation: nothing is explored in one."""
    if stay.stays:
        first, reason = stay.session.target, REASONS[stay.why]
    else:
        first, reason = stay.rival or route.order[0], f"{plan.lead}; {REASONS[stay.why]}"
    order = (first, *(target for target in route.order if target != first))
    return Route(order, explored=False, propensity=1.0, reason=reason, stay=stay)


def explanation_json(plan: Plan, route: Route) -> dict[str, Any]:
    """Why this request went where it went, JSON-safe and compact, to be stored with it.

    `candidates` in route order with score, gate and breaker reasons, and the evidence of the moment with count and age;
    what is the same for all requests of a plan is shared between their explanations: read it, do not change it.
    """
    written = plan.written
    if "candidates" not in written:
        written["candidates"] = candidates_json(plan)
        written["at"] = int(plan.at.timestamp() * 1000)
    order = route.order
    if not order:
        return _explained(plan, route, [])
    held = written.get(order[0])
    if held is None or held[0] is not order:  # orders of a plan are made once; who names a provider has one of its own
        held = written[order[0]] = (order, [str(target) for target in order])
    return _explained(plan, route, held[1])


def _explained(plan: Plan, route: Route, order: list[str]) -> dict[str, Any]:
    return {
        "at": plan.written["at"],
        "taskType": plan.task.value,
        "segment": plan.segment,
        "order": order,
        "reason": route.reason,
        "explored": route.explored,
        "propensity": route.propensity,
        "explorationRate": plan.exploration_rate,
        "candidates": plan.written["candidates"],
        **({} if route.stay is None else {"affinity": route.stay.to_json()}),
    }


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
            "evidence": None if candidate.evidence is None else _evidence_json(candidate, candidate.evidence, plan.at),
        }
        for candidate in plan.candidates
    ]


def _evidence_json(candidate: Candidate, known: Evidence, now: datetime) -> dict[str, Any]:
    seen, task, said = known.last_observed_at, candidate.task, candidate.feedback
    return {
        "latencyMs": _rounded(known.latency_ms, 1),
        "success": _rounded(known.success),
        "quality": _rounded(known.quality),
        "qualityInterval": None
        if (interval := known.quality_interval) is None
        else [_rounded(end) for end in interval],
        "qualityPrompts": _rounded(known.quality_mass, 1),
        "costUsd": known.cost_usd,
        "mass": _rounded(known.mass, 1),
        "benchmarkCount": known.benchmark_count,
        "liveCount": known.live_count,
        "refusedCount": known.refused_count,
        "lastObservedAt": None if seen is None else int(seen.timestamp() * 1000),
        "ageS": None if seen is None else max(0, round((now - seen).total_seconds())),
        "task": None if task is None else {"benchmarkCount": task.benchmark_count, "liveCount": task.live_count},
        "feedback": None
        if said is None
        else {
            "count": said.count,
            "score": _rounded(said.score.mean),
            "lastAt": None if said.last_at is None else int(said.last_at.timestamp() * 1000),
        },
    }


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)
