"""The calls to providers: one HTTP attempt each, plain or streamed, with the same answer and the same errors.

No retry hides in here: a call is one attempt, so that its latency and its failure are the provider's own.
"""

from __future__ import annotations

import math
import re
import socket
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import urllib3

from app.errors import ProviderError, StreamCut, UnusableAnswer
from app.providers import http, problem
from app.providers.base import Answer, ChatRequest, Delta, Endpoint
from app.providers.clock import Call
from app.providers.connections import DeadlineSocket
from app.providers.connections import new_pool as new_pool
from app.providers.draft import Draft
from app.providers.formats import FORMATS, Wire
from app.providers.sse import EventParser

#: for the end of a stream's HTTP after its last event, so that its connection can be used again
DRAIN_S = 0.1
#: a shorter key is a word such as "none", and to blank it would spoil messages
SHORTEST_KEY = 8

#: blank lines and comments in front of an answer
KEEP_ALIVES = re.compile(rb"(?:\s++|:[^\n]*+\n)*+")

RATE_LIMITS = ("x-ratelimit-", "anthropic-ratelimit-", "ratelimit-", "retry-after")
REQUEST_IDS = ("x-request-id", "request-id", "x-goog-request-id")


@dataclass(frozen=True, slots=True)
class Client:
    """Calls providers over one pool (new_pool) per process. Safe for threads."""

    pool: urllib3.PoolManager

    def complete(
        self,
        endpoint: Endpoint,
        model: str,
        request: ChatRequest,
        *,
        timeout_ms: int,
        first_token_ms: int | None = None,
    ) -> Answer:
        """A whole answer at once.

        Raises a ProviderError whose `timing` says how long it took. `timeout_ms` bounds everything; `first_token_ms`
        too, because the first token of a plain answer arrives with the last: leave it out where answers may be long.
        """
        exchange = Exchange(endpoint, model, request, Call(timeout_ms, first_token_ms), stream=False)
        try:
            exchange.send(self.pool)
            for _ in exchange.deltas():
                pass
            return exchange.answer()
        except ProviderError as error:
            exchange.blame(error)
            raise
        finally:
            exchange.close()

    def stream(
        self,
        endpoint: Endpoint,
        model: str,
        request: ChatRequest,
        *,
        timeout_ms: int,
        first_token_ms: int | None = None,
    ) -> AnswerStream:
        """An answer as it comes. Raises as `complete` does, here or while it is read.

        `timeout_ms` bounds everything; `first_token_ms` the time until the answer begins, if only with reasoning.
        """
        exchange = Exchange(endpoint, model, request, Call(timeout_ms, first_token_ms), stream=True)
        try:
            exchange.send(self.pool)
        except ProviderError as error:
            exchange.blame(error)
            exchange.close()
            raise
        return AnswerStream(exchange)

    def warm_up(self, endpoint: Endpoint, *, timeout_ms: int = 5_000) -> ProviderError | None:
        """Leave an open connection to the provider in the pool, with a request that costs nothing and names no key.

        Best effort: what went wrong is returned, not raised.
        """
        call = Call(timeout_ms)
        try:
            response = http.send(self.pool, call, "HEAD", endpoint.provider.base_url, {}, None)
            for _ in http.pieces(response, call):
                pass
        except ProviderError as error:
            error.timing = call.timing()
            return error
        return None


class AnswerStream:
    """Iterate over it for the Deltas; then `answer` is what Client.complete would have given.

    A context manager: leaving it early stops the call, as `close` does.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._answer: Answer | None = None
        self._deltas = self._read()

    @property
    def answer(self) -> Answer:
        if self._answer is None:
            raise RuntimeError("the stream has not been read to its end")
        return self._answer

    def __iter__(self) -> Iterator[Delta]:
        return self._deltas

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the call; another thread that waits for it gets StreamCut. Harmless when it is over."""
        self._exchange.close()

    def _read(self) -> Generator[Delta]:
        exchange = self._exchange
        try:
            for delta in exchange.deltas():
                yield delta
                exchange.call.check_reader()
            self._answer = exchange.answer()
        except ProviderError as error:
            exchange.blame(error)
            raise
        finally:
            exchange.close()


class Exchange:
    """One request and its response."""

    def __init__(self, endpoint: Endpoint, model: str, request: ChatRequest, call: Call, *, stream: bool) -> None:
        self.call = call
        self._endpoint = endpoint
        self._model = model
        self._request = request
        self._stream = stream
        self._wire: Wire = FORMATS[endpoint.provider.format]
        self._draft = Draft()
        self._dropped: tuple[str, ...] = ()
        self._headers: Mapping[str, str] = {}
        self._response: urllib3.HTTPResponse | None = None

    def send(self, pool: urllib3.PoolManager) -> None:
        """Send the request and read the head of the response. Raises a ProviderError for one that is no success."""
        outgoing = self._wire.build(self._endpoint, self._model, self._request, self._stream)
        self._dropped = outgoing.dropped
        response = http.send(pool, self.call, "POST", outgoing.url, outgoing.headers, outgoing.body)
        self._response, self._headers = response, response.headers
        if not 200 <= response.status < 300:
            raise self._refusal(response)

    def _refusal(self, response: urllib3.HTTPResponse) -> ProviderError:
        body = b""
        with suppress(ProviderError):  # the status says enough, should the body be cut
            body = b"".join(http.pieces(response, self.call))
        found = problem.read(body)
        kind = self._wire.error_class(response.status, found)
        return problem.raised(kind, response.status, found, self._headers, datetime.now(UTC))

    def deltas(self) -> Iterator[Delta]:
        """The body of the response, read to its end."""
        assert self._response is not None
        if self._stream and "json" not in self._headers.get("content-type", ""):
            yield from self._events(self._response)
        else:
            yield from self._whole(self._response)

    def _whole(self, response: urllib3.HTTPResponse) -> Iterator[Delta]:
        body = b"".join(http.pieces(response, self.call))
        self.call.note_content()
        self.call.end()
        self._wire.read_answer(_without_keep_alives(body), self._draft)
        if self._stream:  # the provider ignored that it was asked for one
            yield Delta(text="".join(self._draft.text), reasoning="".join(self._draft.reasoning))
            for place, tool in enumerate(self._draft.tool_calls()):
                yield Delta(tool_index=place, tool_id=tool.id, tool_name=tool.name, tool_arguments=tool.arguments)

    def _events(self, response: urllib3.HTTPResponse) -> Iterator[Delta]:
        call, draft, wire = self.call, self._draft, self._wire
        parser = EventParser()
        for piece in http.pieces(response, call, stream=True):
            for event in parser.feed(piece):
                for delta in wire.read_event(event, draft):
                    self._note(delta)
                    yield delta
            if draft.done:
                call.end()
                self._drain(response)
                return
        yield from self._last_event(parser)
        call.end()
        if not draft.complete:
            raise StreamCut("the stream ended before its end")

    def _last_event(self, parser: EventParser) -> Iterator[Delta]:
        try:
            for event in parser.end():
                for delta in self._wire.read_event(event, self._draft):
                    self._note(delta)
                    yield delta
        except UnusableAnswer as error:
            if error.provider_code is None and not self._draft.complete:  # half an event is no JSON
                raise StreamCut("the stream ended in the middle of an event") from None
            raise

    def _note(self, delta: Delta) -> None:
        self.call.begin()
        if delta.text or delta.tool_index is not None:
            self.call.note_content()

    def _drain(self, response: urllib3.HTTPResponse) -> None:
        """Read what HTTP still has to say behind the last event; a connection that does not end there is closed."""
        self.call.drain(DRAIN_S)
        with suppress(ProviderError):
            for _ in http.pieces(response, self.call):
                pass

    def answer(self) -> Answer:
        """Raises UnusableAnswer or ContentFiltered where the response holds nothing a caller can use."""
        draft = self._draft
        draft.check()
        headers = {name.lower(): value for name, value in self._headers.items()}
        return Answer(
            text="".join(draft.text),
            finish=draft.finish_class(),
            usage=draft.usage_of(self._request),
            timing=self.call.timing(),
            model=draft.model or self._model,
            reasoning="".join(draft.reasoning),
            tool_calls=draft.tool_calls(),
            provider_request_id=next((headers[name] for name in REQUEST_IDS if headers.get(name)), draft.id or None),
            rate_limits={name: value for name, value in headers.items() if name.startswith(RATE_LIMITS)},
            dropped=self._dropped,
            reported_cost_usd=_cost(headers, self._endpoint.provider.cost_header),
            asked_model=self._model,
        )

    def blame(self, error: ProviderError) -> None:
        """Give the error its timing, and take the key out of it: some providers repeat it."""
        error.timing = self.call.timing()
        key = self._endpoint.key
        if len(key) >= SHORTEST_KEY:
            error.args = tuple(str(part).replace(key, "[key]") for part in error.args)

    def close(self) -> None:
        """Stop the exchange unless it is over; its connection is not used again then."""
        response = self._response
        if response is None or response.connection is None:
            return
        if isinstance(self.call.sock, DeadlineSocket):
            with suppress(OSError):  # wakes a thread that waits for bytes; it may be closed already
                self.call.sock.shutdown(socket.SHUT_RDWR)
        response.close()
        response.release_conn()


def _without_keep_alives(body: bytes) -> bytes:
    """DeepSeek sends blank lines, others comments, in front of an answer that has to queue."""
    found = KEEP_ALIVES.match(body)
    return body[found.end() :] if found else body


def _cost(headers: Mapping[str, str], name: str | None) -> float | None:
    try:
        cost = float(headers.get(name.lower(), "")) if name else math.nan
    except ValueError:
        return None
    return cost if math.isfinite(cost) and cost >= 0 else None
