"""A call of a provider outside of the gateway, within a span where there are spans."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from app import gen_ai
from app.errors import ProviderError
from app.providers.base import Answer, Endpoint

if TYPE_CHECKING:
    from app.tracing.spans import Tracing


def traced(tracing: Tracing | None, endpoint: Endpoint, model: str, call: Callable[[Endpoint], Answer]) -> Answer:
    """What `call` gives or raises; it is handed the endpoint as it is to be called."""
    if tracing is None:
        return call(endpoint)
    span = tracing.call(endpoint.provider, model, gen_ai.CHAT)
    try:
        answer = call(span.told(endpoint))
    except ProviderError as error:
        span.failed(error.code, error)
        raise
    span.answered(answer.model, answer.usage, answer.timing.first_token_ms)
    return answer
