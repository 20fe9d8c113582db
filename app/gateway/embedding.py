"""Where a request for vectors goes: to those that have the very model it names, by priority."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.domain.catalog import Target
from app.domain.evidence.scorecard import Scorecard
from app.domain.routing import router
from app.domain.routing.breaker import Breaker
from app.domain.routing.plan import Plan
from app.domain.routing.router import Route
from app.errors import NoTarget
from app.gateway.calls import Call
from app.services import Services


def targets_of(services: Services, model: str, provider: str | None = None) -> tuple[Target, ...]:
    """Who has the model (of one provider where it is named), by priority, whether they can be called or not.

    The same name is the same model; a block says what its provider calls one that others have by that name.
    """
    if provider is None:
        name = _name(services, model)
        found = (dict(each.embeddings).get(name) for each in services.providers)
        return tuple(Target(p.name, calls) for p, calls in zip(services.providers, found, strict=True) if calls)
    found_there = (each.embedding(model) for each in services.providers if each.name == provider)
    return tuple(target for target in found_there if target is not None)


def _name(services: Services, model: str) -> str:
    """Of one that is asked for by what a provider calls it, where that is but one; a name comes first."""
    pairs = [pair for each in services.providers for pair in each.embeddings]
    if any(name == model for name, _ in pairs):
        return model
    meant = {name for name, calls in pairs if calls == model}
    return meant.pop() if len(meant) == 1 else model


def route(services: Services, breakers: Mapping[Target, Breaker], call: Call, now: datetime) -> tuple[Plan, Route]:
    """By priority, and behind whoever can be called those with open breakers. Raises NoTarget."""
    config, left_out = services.config.value, services.left_out(services.config.value)
    having = targets_of(services, call.model or "", call.provider)
    targets = [target for target in having if target.provider not in left_out]
    if not targets:
        reasons = "; ".join(f"{target.provider}: {left_out[target.provider]}" for target in having)
        raise NoTarget(f"no provider can answer ({reasons})")
    plan = router.plan(config, targets, Scorecard.empty(), breakers, services.policy, now)
    order = tuple(candidate.target for candidate in plan.candidates)
    reason = f"the request names the model {call.asked}"
    return plan, Route(order, explored=False, propensity=1.0, reason=reason, is_settled=True)
