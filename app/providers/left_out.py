"""What of a request its provider does not get."""

from __future__ import annotations

from app.domain.catalog import WireFormat
from app.providers.base import ChatRequest
from app.providers.wire import openai_completions
from app.providers.wire.content import Outgoing


def left_out(request: ChatRequest, outgoing: Outgoing, wire: WireFormat) -> tuple[str, ...]:
    """Names of all that the caller sent and the provider does not get."""
    dialect = request.dialect
    elsewhere = () if wire is dialect.format else (*request.extra, *dialect.beside)
    if request.completion is not None and not outgoing.completes:
        elsewhere += openai_completions.untold(request.completion)
    missed = (name for name in request.hints if name not in outgoing.hints and _is_missed(name, request))
    return (*request.omitted, *elsewhere, *missed, *(name for name in outgoing.dropped if name not in request.defaults))


def _is_missed(hint: str, request: ChatRequest) -> bool:
    """A prediction is there for speed; without `store` nothing comes of metadata anywhere."""
    return hint == "prediction" or (hint == "metadata" and bool(request.extra.get("store")))
