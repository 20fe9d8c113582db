"""Does a request stay where its conversation is? app.domain.routing.affinity, given what is known of both targets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.domain.catalog import Target
from app.domain.routing import scoring
from app.domain.routing.affinity import Session, Side, Stay, weigh
from app.domain.routing.plan import Plan
from app.domain.routing.router import Route
from app.domain.routing.scoring import Figures
from app.gateway.calls import Call
from app.gateway.sessions import in_tool_loop
from app.providers.prices import prompt_rates
from app.services import Services


def stay(services: Services, session: Session, plan: Plan, route: Route, call: Call, now: datetime) -> Stay:
    """Where it goes, and why. The rival is who would have it without exploration."""
    here, rival = session.target, route.order[0]
    if route.explored:
        rival = plan.ties[0]
    candidate = next((each for each in plan.candidates if each.target == here), None)
    if here not in route.order or candidate is None or candidate.breaker == "open":
        return Stay(session, "gone", rival)
    if in_tool_loop(call.messages):
        return Stay(session, "tools", rival)
    if here == rival or (here in plan.ties and rival in plan.ties):
        return Stay(session, "best", rival)
    if not candidate.eligible:
        return Stay(session, "gone", rival)
    known = _figures(plan, services)
    mine, theirs = (_side(services, known.get(target), target, session.tokens, now) for target in (here, rival))
    objective = services.objective
    if plan.pacing is not None:
        objective = plan.pacing.priced(objective)
    return weigh(session, rival, mine, theirs, objective, services.policy.affinity.token_ms)


def _figures(plan: Plan, services: Services) -> Mapping[Target, Figures]:
    evidence = {each.target: each.evidence for each in plan.candidates if each.evidence is not None}
    return scoring.figures(evidence, services.objective)


def _side(services: Services, known: Figures | None, target: Target, tokens: int, now: datetime) -> Side:
    rates = prompt_rates(services.endpoints[target.provider].provider, target.model, tokens, now)
    full, cached = rates or (None, None)
    return Side(known, full, cached)
