"""Which targets a key may use, and what a request may cost there at most: reserved of the key's budget beforehand."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from app.domain.catalog import Target
from app.domain.key_limits import KeyLimits
from app.domain.routing.router import Route
from app.errors import ModelNotAllowed
from app.gateway.calls import Call
from app.gateway.needs import prompt_tokens
from app.providers.base import Usage
from app.providers.conversation import Text
from app.providers.prices import cost_usd
from app.providers.wire.estimate import CHARACTERS_PER_TOKEN
from app.services import Services

#: tokens of an image, a file or a piece of sound, which nobody here counts
TOKENS_OF_A_BLOCK = 1000


def within(services: Services, limits: KeyLimits, targets: Sequence[Target], now: datetime) -> tuple[Target, ...]:
    """Those that the key may use. Raises ModelNotAllowed where there is none."""
    if not limits.models and not limits.priced:
        return tuple(targets)
    allowed = tuple(target for target in targets if limits.allow(target))
    if targets and not allowed:
        raise ModelNotAllowed(
            f"this key may use {', '.join(limits.models)} alone, and not {_named(targets)}", field="model"
        )
    if not limits.priced:
        return allowed
    priced = tuple(target for target in allowed if _cost_usd(services, target, Usage(1, 0), now) is not None)
    if allowed and not priced:
        raise ModelNotAllowed(
            f"no price is known of {_named(allowed)}, and this key has a budget that is not to be passed: state the"
            " price in config/providers.toml, or let the budget warn alone (hard: false)",
            field="model",
        )
    return priced


def narrowed(services: Services, limits: KeyLimits, route: Route, now: datetime) -> Route:
    """The same for a request that names where it goes."""
    if not limits.models and not limits.priced:
        return route
    return replace(route, order=within(services, limits, route.order, now))


def reserve(services: Services, call: Call, targets: Iterable[Target], now: datetime) -> None:
    """What the request may cost at the dearest of them. Raises as Allowance.reserve does."""
    asked = call.allowance
    if asked is None or not asked.limits.by_size:
        return
    prompt, completion = size(call, services.policy.gateway.assumed_tokens)
    costs = [_cost_usd(services, target, Usage(prompt, completion), now) for target in targets]
    asked.reserve(prompt + completion, max((cost for cost in costs if cost is not None), default=None))


def size(call: Call, assumed: int) -> tuple[int, int]:
    """Tokens of the prompt, about, and of the longest answer; `assumed` where the request does not bound it."""
    if call.embedding is not None:
        return math.ceil(sum(map(_length, call.embedding.inputs))), 0
    said = call.parameters
    tools = sum(len(json.dumps(dict(tool))) for tool in said.get("tools") or ())
    blocks = sum(
        not isinstance(block, Text)
        for message in call.messages
        if not isinstance(message.content, str)
        for block in message.content or ()
    )
    prompt = prompt_tokens(call.messages) + tools / CHARACTERS_PER_TOKEN + blocks * TOKENS_OF_A_BLOCK
    longest = assumed if said.get("max_tokens") is None else said["max_tokens"]
    return math.ceil(prompt), longest * (said.get("n") or 1)


def _length(given: str | Sequence[int]) -> float:
    return len(given) / CHARACTERS_PER_TOKEN if isinstance(given, str) else len(given)


def _cost_usd(services: Services, target: Target, usage: Usage, now: datetime) -> float | None:
    return cost_usd(services.endpoints[target.provider].provider, target.model, usage, at=now)


def _named(targets: Sequence[Target]) -> str:
    return ", ".join(map(str, targets[:5])) + (" and others" if len(targets) > 5 else "")
