"""The SmartRouter: which target is called first, which next, and why.

`plan` ranks all targets from config, scorecard and breakers; it is made when one of those changes. `route` draws one
request's order from it: near ties share the traffic, exploration looks where evidence is old and could pay.
The formulas are those of docs/routing.md.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.domain.catalog import Target, TaskType
from app.domain.config.runtime_config import RuntimeConfig
from app.domain.evidence.evidence import Evidence
from app.domain.evidence.scorecard import Scorecard
from app.domain.policy import Policy
from app.domain.routing import ceiling
from app.domain.routing.affinity import REASONS, Stay
from app.domain.routing.breaker import Breaker, State
from app.domain.routing.candidates import candidates_json
from app.domain.routing.plan import Candidate, Plan
from app.domain.routing.ranking import Ranking, said

__all__ = ["Candidate", "Plan", "Route", "affine", "candidates_json", "explanation_json", "plan", "route", "within"]

_CLOSED: State = "closed"
#: candidates that are written down with a request
MOST_EXPLAINED = 24


@dataclass(frozen=True, slots=True)
class Route:
    """One request's targets in the order they are tried; `propensity`: probability of this first target."""

    order: tuple[Target, ...]
    explored: bool
    propensity: float
    reason: str
    #: of a request that goes on with a conversation: where that is, and whether it stays there
    stay: Stay | None = None
    #: targets that are used up to their quota, and what that is
    used_up: Mapping[Target, str] | None = None
    #: nothing was drawn: the request, or its conversation, names who is first
    is_settled: bool = False


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
    policy = card.in_force(policy)
    usable = [t for t in targets if t.provider not in config.providers or config.providers[t.provider].enabled]
    usable.sort(key=lambda target: _priority(config, target))
    states = {t: _state(breakers[t], card, t, policy, now) if t in breakers else _CLOSED for t in usable}
    known = card.at_task(task, policy)
    evidence = {t: known[t] for t in usable if t in known and known[t].mass > 0}
    if not (config.global_.enabled and config.features.smart_routing) or not evidence:
        return _by_priority(config, usable, states, evidence, now)
    return _ranked(config, usable, states, card, policy, segment, task, now).plan(now)


def _ranked(
    config: RuntimeConfig,
    usable: Sequence[Target],
    states: Mapping[Target, State],
    card: Scorecard,
    policy: Policy,
    segment: str | None,
    task: TaskType,
    now: datetime,
) -> Ranking:
    """By what is known at the task type; within the ceiling in money, which all task types have in common."""

    def at(each: TaskType) -> Ranking:
        known = card.at_task(each, policy)
        evidence = {t: known[t] for t in usable if t in known and known[t].mass > 0}
        return Ranking(config, usable, states, evidence, policy, card, segment, each)

    mine, most = at(task), policy.objective.max_cost_usd
    if most is None:
        return mine
    if all(known.cost_usd is None for known in mine.evidence.values()):
        return mine.within(ceiling.Pacing(most, 0, 0.0, most, can_be_held=False))
    others = {each for hour in card.spending.of_the_day(now) for each in hour.by_task} - {task}
    menus = {task: mine.menu(most), **{each: at(each).menu(most) for each in sorted(others)}}
    return mine.within(ceiling.pace(most, card.spending, task, menus, now, policy.ceiling))


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
    if plan.pacing is not None and plan.pacing.binds:
        first, share = plan.pacing.draw(rng.random())
        return Route(plan.order(first), explored=False, propensity=(1.0 - rate) * share, reason=plan.lead)
    first = ties[int(rng.random() * len(ties))] if len(ties) > 1 else ties[0]
    return Route(plan.order(first), explored=False, propensity=(1.0 - rate) / len(ties), reason=plan.lead)


def affine(plan: Plan, route: Route, stay: Stay) -> Route:
    """The route of a request that goes on with a conversation: nothing is explored in one."""
    if stay.stays:
        first, reason = stay.session.target, REASONS[stay.why]
    else:
        first, reason = stay.rival or route.order[0], f"{plan.lead}; {REASONS[stay.why]}"
    order = (first, *(target for target in route.order if target != first))
    return Route(order, explored=False, propensity=1.0, reason=reason, stay=stay, is_settled=True)


def within(plan: Plan, route: Route, used_up: Mapping[Target, str]) -> Route:
    """The route past targets that are used up to their quota: they come behind those that may be asked.

    The propensity is that of all draws that end at the same first target. Where nobody else may be asked the order
    stays: it is for the provider to say no.
    """
    if not used_up:
        return route
    open_ = {each.target for each in plan.candidates if each.breaker == "open"}
    shut = open_.union(used_up)
    room = tuple(target for target in route.order if target not in shut)
    if not room:
        return replace(route, used_up=used_up)
    first, drawn = room[0], route.order[0]
    order = (*room, *(target for target in route.order if target in shut))
    spills = first != drawn and drawn in used_up
    return replace(
        route,
        order=order,
        explored=route.explored and not spills,
        propensity=route.propensity if route.is_settled else _chance(plan, first, shut),
        reason=f"{route.reason}, but not {drawn}: {used_up[drawn]}" if spills else route.reason,
        used_up=used_up,
    )


def _chance(plan: Plan, first: Target, shut: Set[Target]) -> float:
    """That a draw ends at this target, where these are passed by."""
    rate = plan.exploration_rate if plan.explorable else 0.0
    draws = [(each, (1.0 - rate) / len(plan.ties)) for each in plan.ties]
    if rate > 0:
        draws.append((plan.explorable[0], rate))
    return sum(share for each, share in draws if first == _past(plan.order(each), shut))


def _past(order: Sequence[Target], shut: Set[Target]) -> Target:
    return next((target for target in order if target not in shut), order[0])


def explanation_json(plan: Plan, route: Route) -> dict[str, Any]:
    """Why this request went where it went, JSON-safe and compact, to be stored with it.

    `candidates` in route order with the parts of each score, gate and breaker reasons, and the evidence of the moment
    with count and age; of many the first ones, so that it stays small however many there are. What is the same for
    all requests of a plan is shared between their explanations: read it, do not change it.
    """
    written = plan.written
    if "candidates" not in written:
        written["candidates"] = candidates_json(plan)[:MOST_EXPLAINED]
        written["at"] = int(plan.at.timestamp() * 1000)
        written["weights"] = None if plan.weights is None else plan.weights.model_dump()
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
        "weights": plan.written["weights"],
        "candidates": plan.written["candidates"],
        "candidatesLeftOut": max(0, len(plan.candidates) - MOST_EXPLAINED),
        **({} if route.stay is None else {"affinity": route.stay.to_json()}),
        **({"quota": {str(t): why for t, why in route.used_up.items()}} if route.used_up else {}),
        **({} if plan.pacing is None else {"ceiling": plan.pacing.to_json()}),
    }
