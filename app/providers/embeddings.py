"""One call for vectors: one HTTP attempt, with the same errors as a chat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from app.domain.catalog import WireFormat
from app.errors import ProviderError, Unsupported
from app.providers import rate_limits
from app.providers.base import BEAT, Answer, ChatRequest, Delta, Embedding, Endpoint, Finish
from app.providers.exchange import REQUEST_IDS, blamed, stated_cost
from app.providers.http import framing
from app.providers.http.clock import Call
from app.providers.http.connections import Pool
from app.providers.http.framing import Response
from app.providers.own import added
from app.providers.wire import gemini_embeddings, openai_embeddings, problem, surrogates, vectors
from app.providers.wire.content import Outgoing
from app.providers.wire.draft import Draft
from app.providers.wire.formats import FORMATS
from app.providers.wire.vectors import Embedded

#: bytes of the longest answer: two thousand large vectors, written as numbers
MOST = 128 * 1024 * 1024


class EmbeddingWire(Protocol):
    """What a wire format holds that has embeddings."""

    def build(self, endpoint: Endpoint, model: str, request: ChatRequest, asked: Embedding, /) -> Outgoing:
        """Raises Unsupported for what the format cannot say."""

    def read(self, data: bytes, /) -> Embedded:
        """Raises UnusableAnswer, or what an error inside means, nothing else, for any bytes."""


WIRES: Mapping[WireFormat, EmbeddingWire] = {
    WireFormat.OPENAI: openai_embeddings,
    WireFormat.GEMINI: gemini_embeddings,
}


def embed(
    pool: Pool, endpoint: Endpoint, model: str, request: ChatRequest, call: Call, on_silence: Callable[[], None] | None
) -> Answer:
    """The vectors. Raises a ProviderError whose `timing` says how long it took."""
    asked = request.embedding
    assert asked is not None
    wire = WIRES.get(endpoint.provider.format)
    if wire is None:
        raise Unsupported("this provider has no embeddings")
    outgoing = added(endpoint, wire.build(endpoint, model, request, asked))
    response: Response | None = None
    try:
        response = framing.begin(pool, call, "POST", outgoing.url, outgoing.headers, outgoing.body, endpoint.way)
        for delta in _arriving(response, call):
            if delta is BEAT and on_silence is not None:
                on_silence()
        body = _whole(response, endpoint)
        call.note_content()
        call.end()
        found = wire.read(body)
        vectors.check(found.vectors, asked)
    except ProviderError as error:
        raise blamed(error, endpoint, call) from None
    finally:
        if response is not None:
            response.close()
    return _answer(endpoint, model, request, found, response.headers, outgoing, call)


def _arriving(response: Response, call: Call) -> Iterator[Delta]:
    """A BEAT where the head does not come."""
    while not response.status:
        if not response.receive():
            yield BEAT


def _whole(response: Response, endpoint: Endpoint) -> bytes:
    if 200 <= response.status < 300:
        return b"".join(response.pieces(most=MOST))
    body = b""
    with suppress(ProviderError):  # the status says enough, should the body be cut
        body = b"".join(response.pieces())
    found = problem.read(body)
    kind = FORMATS[endpoint.provider.format].error_class(response.status, found)
    error = problem.raised(kind, response.status, found, response.headers, datetime.now(UTC))
    error.rate_limits = rate_limits.of(response.headers)
    raise error


def _answer(
    endpoint: Endpoint,
    model: str,
    request: ChatRequest,
    found: Embedded,
    headers: Mapping[str, str],
    outgoing: Outgoing,
    call: Call,
) -> Answer:
    return Answer(
        text="",
        finish=Finish.STOP,
        usage=found.usage or Draft().usage_of(request),
        timing=call.timing(),
        model=surrogates.whole(found.model) or model,
        provider_request_id=next((headers[name] for name in REQUEST_IDS if headers.get(name)), None),
        rate_limits=rate_limits.of(headers),
        dropped=outgoing.dropped,
        reported_cost_usd=stated_cost(headers, endpoint.provider.cost_header),
        asked_model=model,
        vectors=found.vectors,
    )
