"""The calls to providers: one HTTP attempt each, plain or streamed, with the same answer and the same errors.

No retry hides in here: a call is one attempt, so that its latency and its failure are the provider's own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Self

from app.errors import ProviderError
from app.providers import embeddings
from app.providers.base import BEAT, WAIT, Answer, ChatRequest, Delta, Endpoint, Usage
from app.providers.exchange import Exchange
from app.providers.http import framing
from app.providers.http.clock import Call, CancelToken
from app.providers.http.connections import Connection
from app.providers.http.connections import Pool as Pool


@dataclass(frozen=True, slots=True)
class Client:
    """Calls providers over one pool per process. Safe for threads."""

    pool: Pool

    def complete(
        self,
        endpoint: Endpoint,
        model: str,
        request: ChatRequest,
        *,
        timeout_ms: int,
        first_token_ms: int | None = None,
        silence_ms: int | None = None,
        on_silence: Callable[[], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> Answer:
        """A whole answer at once.

        Raises a ProviderError whose `timing` says how long it took. `timeout_ms` bounds everything; `first_token_ms`
        too, because the first token of a plain answer arrives with the last: leave it out where answers may be long.
        `on_silence` is called after each `silence_ms` in which nothing came. `cancel` ends it with ConnectionLost.
        """
        call = _call(timeout_ms, first_token_ms, cancel)
        call.beat_ms = silence_ms
        exchange = Exchange(endpoint, model, request, call, stream=False)
        try:
            exchange.send(self.pool)
            for delta in exchange.deltas():
                if delta is BEAT and on_silence is not None:
                    on_silence()
            return exchange.answer()
        except ProviderError as error:
            exchange.blame(error)
            raise
        finally:
            exchange.close()

    def embed(
        self,
        endpoint: Endpoint,
        model: str,
        request: ChatRequest,
        *,
        timeout_ms: int,
        silence_ms: int | None = None,
        on_silence: Callable[[], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> Answer:
        """The vectors of `request.embedding`; else as `complete`."""
        call = _call(timeout_ms, None, cancel)
        call.beat_ms = silence_ms
        return embeddings.embed(self.pool, endpoint, model, request, call, on_silence)

    def stream(
        self,
        endpoint: Endpoint,
        model: str,
        request: ChatRequest,
        *,
        timeout_ms: int,
        first_token_ms: int | None = None,
        idle_ms: int | None = None,
        beat_ms: int | None = None,
        cancel: CancelToken | None = None,
    ) -> AnswerStream:
        """An answer as it comes. Raises as `complete` does, here or while it is read.

        `timeout_ms` bounds everything; `first_token_ms` the time until the answer begins, if only with reasoning;
        `idle_ms` the silence after that. While it waits it yields a BEAT every `beat_ms`.
        `cancel` ends it with ConnectionLost, or StreamCut where it has begun.
        """
        call = _call(timeout_ms, first_token_ms, cancel)
        call.idle_ms, call.beat_ms = idle_ms, beat_ms
        exchange = Exchange(endpoint, model, request, call, stream=True)
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
            response = framing.send(self.pool, call, "HEAD", endpoint.provider.base_url, {}, None, endpoint.way)
            for _ in response.pieces():
                pass
        except ProviderError as error:
            error.timing = call.timing()
            return error
        return None


def _call(timeout_ms: int, first_token_ms: int | None, cancel: CancelToken | None) -> Call:
    call = Call(timeout_ms, first_token_ms)
    if cancel is not None:
        cancel.bind(call)
    return call


class AnswerStream:
    """Iterate over it for the Deltas; then `answer` is what Client.complete would have given.

    A context manager: leaving it early stops the call, as `close` does.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._answer: Answer | None = None
        self._deltas = self._read()

    @property
    def dropped(self) -> tuple[str, ...]:
        """Parameters of the request that were not sent."""
        return self._exchange.dropped

    @property
    def usage(self) -> Usage:
        """So far; what the provider has not told yet is estimated."""
        return self._exchange.usage

    @property
    def native_facts(self) -> Mapping[str, Any]:
        """So far: see Answer."""
        return self._exchange.native_facts

    @property
    def answer(self) -> Answer:
        if self._answer is None:
            raise RuntimeError("the stream has not been read to its end")
        return self._answer

    def wait(self, *, waits: bool) -> bool:
        """Shall a reader wait for what has not come (as it does at first), or be given a WAIT?

        False where nothing changes: nothing is waited for any more, or it is so already.
        """
        return self._exchange.wait(waits=waits)

    @property
    def waits_for(self) -> Connection | None:
        """After a WAIT: what is to be polled; None: what follows may wait after all, and wants a thread."""
        return self._exchange.waits_for

    def __iter__(self) -> Iterator[Delta]:
        return self._deltas

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the call; another thread that waits for it gets StreamCut. Harmless when it is over."""
        self._exchange.call.interrupt()
        with suppress(ValueError):  # another thread is inside: it wakes up, and closes when it leaves
            self._deltas.close()
            self._exchange.close()  # for a stream nobody has begun to read

    def _read(self) -> Generator[Delta]:
        exchange = self._exchange
        try:
            ends_s = exchange.call.started_s + exchange.call.timeout_ms / 1000
            away_s = 0.0
            for delta in exchange.deltas():
                if delta is WAIT:  # the time until it is asked again is nobody's
                    yield delta
                    continue
                handed_s = perf_counter()
                yield delta
                back_s = perf_counter()
                away_s += back_s - handed_s
                if back_s > ends_s:
                    exchange.call.check_reader(away_s)
            self._answer = exchange.answer()
        except ProviderError as error:
            exchange.blame(error)
            raise
        finally:
            exchange.close()
