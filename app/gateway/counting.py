"""How many tokens the prompt of a request has: counted by who would answer, where it counts, else estimated."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from app.domain.catalog import Target, WireFormat
from app.errors import NoTarget, ProviderError
from app.gateway import choice
from app.gateway.calls import Call
from app.gateway.gateway import Gateway
from app.providers import token_counts
from app.providers.base import ChatRequest

log = structlog.get_logger()

#: a count is free and quick, and whoever waits for it has not begun yet
TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class Count:
    tokens: int
    target: Target
    #: counted by the target's own provider
    exact: bool


def count(gateway: Gateway, call: Call) -> Count:
    """Raises as Gateway.chat does where nobody could answer, and the refusal of a target that would be asked."""
    target = _first(gateway, call)
    endpoint = gateway.services.endpoints[target.provider]
    asked = ChatRequest(
        messages=call.messages, extra=call.extra, dialect=call.dialect, omitted=call.omitted, **call.parameters
    )
    if endpoint.provider.format is WireFormat.ANTHROPIC:
        try:
            tokens = token_counts.counted(
                gateway.services.client.pool, endpoint, target.model, asked, timeout_ms=TIMEOUT_MS
            )
        except ProviderError as error:  # some servers of the format have no such route
            log.warning("tokens not counted", target=str(target), reason=error.kept)
        else:
            return Count(tokens, target, exact=True)
    return Count(token_counts.estimated(asked), target, exact=False)


def _first(gateway: Gateway, call: Call) -> Target:
    """Who would be asked first."""
    request = gateway.route(call, stream=False)
    for target in request.route.order:
        if not choice.passes_over(request, target):
            return target
    reasons = [each.error for each in request.passed_over if each.error is not None]
    raise reasons[0] if reasons else NoTarget("no provider can answer")
