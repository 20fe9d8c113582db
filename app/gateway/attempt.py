"""An attempt: one call of one target, how it is made and stopped, and what it came to.

It counts nothing: app.gateway.request does, in one place, when an attempt has ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog

from app.domain.catalog import Provider, Target
from app.domain.targets.limits import Limits
from app.errors import Hedged, ProviderError, RateLimited
from app.gateway import believable
from app.gateway.calls import AttemptResult, Begun
from app.gateway.metrics import OK
from app.live import live_config
from app.providers import rate_limits
from app.providers.base import BEAT, Answer, ChatRequest, Delta, Endpoint, Timing, Usage
from app.providers.http.clock import CancelToken
from app.providers.prices import answer_cost, cost_usd, saved_usd
from app.providers.wire.draft import Draft
from app.providers.wire.estimate import CHARACTERS_PER_TOKEN
from app.services import Services

if TYPE_CHECKING:
    from app.tracing.spans import CallSpan

log = structlog.get_logger()

#: status of an attempt whose client went away before its end; counts for and against nobody
CLIENT_GONE = "client_gone"

R = TypeVar("R", Answer, Begun)
#: makes the call of an attempt: `complete`, `embed` or `begin`
Send = Callable[["Attempt[R]"], R]


@dataclass(eq=False, slots=True, repr=False)
class Attempt(Generic[R]):
    """Begun by Request, run by a strategy, ended by one of the methods that say how."""

    services: Services
    target: Target
    request: ChatRequest
    limits: Limits
    send: Send[R]
    #: what the call gave; unset until it has given something
    result: R = field(init=False)
    #: set where it runs in a thread of its own
    future: Future[R] = field(init=False)
    in_thread: bool = False
    started_s: float = field(default_factory=time.perf_counter)
    cancel_token: CancelToken | None = None
    #: s since the epoch, when its quota was spent, and for how many tokens of its prompt
    sent_s: float = 0.0
    prompt_tokens: float = 0.0
    #: x-ratelimit-* and their likes, as they came
    rate_limits: Mapping[str, str] = field(default_factory=dict)
    #: called where a plain answer does not come for `silence_ms`, again and again
    on_silence: Callable[[], None] | None = None
    silence_ms: int | None = None
    #: how it ended; None: not yet
    summary: AttemptResult | None = None
    #: ok, the code of its error, or CLIENT_GONE
    status: str = ""
    timing: Timing | None = None
    #: what it used and cost, as far as is known
    usage: Usage | None = None
    cost_usd: float | None = None
    #: what the provider's cache saved of it
    saved_usd: float | None = None
    #: the model that answered, as its provider names it
    answered_model: str = ""
    #: None: traces are off
    span: CallSpan | None = None

    def run(self) -> R:
        """Make the call and wait for what it gives; raises its ProviderError."""
        self.result = result = self.send(self)
        return result

    def start(self, threads: Executor) -> None:
        """The same in a thread, from where it can be cancelled."""
        self.cancel_token = self.cancel_token or CancelToken()
        self.started_s, self.in_thread = time.perf_counter(), True
        self.future = threads.submit(self.run)

    def cancel(self) -> None:
        """Stop a started one where it is; its thread closes the connection."""
        if self.cancel_token is not None:
            self.cancel_token.cancel()
            self.future.add_done_callback(_discard)

    def stop(self) -> None:
        """End its call, from another thread than the one that makes it, which gets ConnectionLost."""
        if self.cancel_token is not None:
            self.cancel_token.cancel()

    def elapsed_ms(self) -> float:
        """Since it was made, or started in a thread."""
        return (time.perf_counter() - self.started_s) * 1000

    @property
    def provider(self) -> Provider:
        return self.services.endpoints[self.target.provider].provider

    @property
    def endpoint(self) -> Endpoint:
        """As it is called."""
        endpoint = self.services.endpoints[self.target.provider]
        return endpoint if self.span is None else self.span.told(endpoint)

    def succeed(self, answer: Answer) -> None:
        usage = believable.bounded(answer.usage, self.request, self.provider, self.target)
        if usage is not answer.usage:
            answer = replace(answer, usage=usage)
        del self.request  # needed no more, and larger than all else an attempt holds
        self.usage, self.rate_limits, self.answered_model = answer.usage, answer.rate_limits, answer.model
        self.cost_usd = answer_cost(self.provider, answer, live_config.utc_now())
        if answer.usage.cached or answer.usage.cache_written:
            self.saved_usd = saved_usd(self.provider, answer, live_config.utc_now())
        self._end(OK, answer.timing.total_ms, answer.timing)

    def fail(self, error: ProviderError) -> None:
        """By what it took and told until then; where nothing came, nothing is paid for."""
        self.rate_limits = error.rate_limits
        self._end(error.code, error.timing.total_ms if error.timing else 0.0, error.timing, error)

    def cut(self, error: ProviderError, characters: int) -> None:
        """A stream that failed after its first token: paid for as far as it came, as far as anybody knows."""
        self._spend(self._estimate(characters))
        self.fail(error)

    def hedge(self) -> None:
        """Another one's answer made it needless: paid for as far as is known. What it took is what it took at least."""
        took_ms = self.elapsed_ms()
        self._spend(self._usage_all_the_same() or self._estimate())
        self._end(Hedged.code, took_ms, None, Hedged())

    def abandon(self, characters: int, timing: Timing) -> None:
        """Its client went away: paid for as far as it came."""
        self._spend(self._estimate(characters))
        self._end(CLIENT_GONE, timing.total_ms, timing)

    def spend_quota(self, prompt_tokens: float) -> None:
        """It is about to be sent."""
        self.prompt_tokens = prompt_tokens
        self.sent_s = self.services.quotas.spend(self.target, prompt_tokens)

    def give_back(self) -> None:
        """It was not sent after all."""
        self.services.quotas.spend(self.target, self.prompt_tokens, -1.0)

    def tell_quota(self) -> None:
        """What the provider said of what is left, and what was used of it."""
        error = None if self.summary is None else self.summary.error
        left = rate_limits.readings(self.rate_limits, live_config.utc_now())
        quotas, target, expected = self.services.quotas, self.target, self.prompt_tokens
        if isinstance(error, RateLimited):
            quotas.limited(target, self.sent_s, error.retry_after_s, left, expected)
        elif self.status == OK and self.usage is not None:
            quotas.answered(target, self.sent_s, left, expected, self.usage.prompt, self.usage.completion)
        else:
            quotas.read(target, self.sent_s, left)

    def _end(self, status: str, latency_ms: float, timing: Timing | None, error: ProviderError | None = None) -> None:
        self.status, self.timing = status, timing
        self.summary = AttemptResult(self.target, status == OK, latency_ms, error)
        if self.span is not None:
            self._end_span(self.span, error)

    def _end_span(self, span: CallSpan, error: ProviderError | None) -> None:
        if self.status == OK:
            span.answered(self.answered_model, self.usage, self.timing.first_token_ms if self.timing else None)
        else:
            span.failed(self.status, error, self.usage)

    def _spend(self, usage: Usage) -> None:
        """Of a call that came to no end."""
        self.usage = usage
        self.cost_usd = cost_usd(self.provider, self.target.model, usage, at=live_config.utc_now())

    def _estimate(self, characters: int = 0) -> Usage:
        """Of a call that came to no end: its prompt, and what had come of the answer."""
        prompt = Draft().usage_of(self.request).prompt
        return Usage(prompt, -(-characters // CHARACTERS_PER_TOKEN), estimated=True)

    def _usage_all_the_same(self) -> Usage | None:
        """Known where a plain answer came, if too late."""
        if not self.in_thread or not self.future.done() or self.future.exception() is not None:
            return None
        result = self.future.result()
        return result.usage if isinstance(result, Answer) else None


def complete(attempt: Attempt[Answer]) -> Answer:
    """A whole answer at once."""
    assert attempt.limits.plain_ms is not None
    return attempt.services.client.complete(
        attempt.endpoint,
        attempt.target.model,
        attempt.request,
        timeout_ms=attempt.limits.plain_ms,
        silence_ms=attempt.silence_ms,
        on_silence=attempt.on_silence,
        cancel=attempt.cancel_token,
    )


def embed(attempt: Attempt[Answer]) -> Answer:
    """Vectors."""
    assert attempt.limits.plain_ms is not None
    return attempt.services.client.embed(
        attempt.endpoint,
        attempt.target.model,
        attempt.request,
        timeout_ms=attempt.limits.plain_ms,
        silence_ms=attempt.silence_ms,
        on_silence=attempt.on_silence,
        cancel=attempt.cancel_token,
    )


def open_stream(attempt: Attempt[Begun]) -> Begun:
    """A stream of which nothing has been read."""
    limits = attempt.limits
    assert limits.stream_ms is not None
    upstream = attempt.services.client.stream(
        attempt.endpoint,
        attempt.target.model,
        attempt.request,
        timeout_ms=limits.stream_ms,
        first_token_ms=limits.first_token_ms,
        idle_ms=limits.idle_ms,
        beat_ms=attempt.services.policy.gateway.heartbeat_ms,
        cancel=attempt.cancel_token,
    )
    return Begun(upstream, without_leading_blanks(iter(upstream)))


def begin(attempt: Attempt[Begun]) -> Begun:
    """A stream as far as its first token."""
    begun = open_stream(attempt)
    first = next((delta for delta in begun.deltas if delta is not BEAT), None)
    return begun if first is None else replace(begun, deltas=chain((first,), begun.deltas))


def without_leading_blanks(deltas: Iterator[Delta]) -> Iterator[Delta]:
    """Blanks are held back until there is something to see: until then another target may take over unseen."""
    blanks: list[Delta] = []
    for delta in deltas:
        if delta.is_visible:
            blanks.append(delta)
            break
        if delta.words:
            blanks.append(delta)
        else:
            yield delta
    yield from blanks
    yield from deltas


def _discard(ended: Future[Any]) -> None:
    """What a cancelled attempt gave all the same."""
    error = ended.exception()
    if error is None:
        result = ended.result()
        if isinstance(result, Begun):
            result.upstream.close()
    elif not isinstance(error, ProviderError):
        log.error("a call that nobody waited for broke", exc_info=error)
