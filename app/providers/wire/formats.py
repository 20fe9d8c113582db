"""The wire formats we speak: one file each, one line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from app.domain.catalog import WireFormat
from app.errors import ProviderError
from app.providers.base import ChatRequest, Delta, Endpoint
from app.providers.http.sse import Event
from app.providers.wire import anthropic, gemini, openai
from app.providers.wire.content import Outgoing
from app.providers.wire.draft import Draft
from app.providers.wire.problem import Problem


class Wire(Protocol):
    """What the file of a wire format holds."""

    def build(self, endpoint: Endpoint, model: str, request: ChatRequest, stream: bool, /) -> Outgoing:
        """Raises BadRequest for what the format cannot say."""

    def auth(self, endpoint: Endpoint, /) -> dict[str, str]:
        """The headers that every request needs, the key among them."""

    def models_url(self, endpoint: Endpoint, /) -> str:
        """Where the provider lists its models, as many as it gives at once."""

    def read_answer(self, data: bytes, draft: Draft, /) -> None:
        """A whole answer into the draft. Raises UnusableAnswer, ContentFiltered or what an error inside means,
        nothing else, for any bytes."""

    def read_event(self, event: Event, draft: Draft, /) -> Iterable[Delta]:
        """One event of a stream into the draft, and what a reader wants to know of it; raises as read_answer."""

    def error_class(self, status: int, problem: Problem, /) -> type[ProviderError]:
        """What an HTTP status that is no success means, with what its body says."""


FORMATS: Mapping[WireFormat, Wire] = {
    WireFormat.OPENAI: openai,
    WireFormat.ANTHROPIC: anthropic,
    WireFormat.GEMINI: gemini,
}
