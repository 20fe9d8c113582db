"""The spans there are, and what each of them says: names of OpenTelemetry's conventions, else ours under `tooloo.`

An API request → a request of the gateway → each call of a provider; a message → the task that takes it → the calls of
its probes. Numbers, names and ids: nothing that was asked or answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import gen_ai
from app.domain.catalog import Provider
from app.errors import Hedged, ProviderError
from app.providers.base import Endpoint, Usage

#: W3C's; no baggage, which would go on to whoever is called
_W3C = TraceContextTextMapPropagator()
#: tasks that beat asks for every few seconds, for no round: nobody looks for these
QUIET = frozenset({"tooloo.ingest", "tooloo.reap"})
_SYSTEM = {"messaging.system": "celery"}

Value = str | int | float | bool
Attributes = Mapping[str, Value]


class Tracing:
    """Of one process."""

    def __init__(self, tracer: Tracer, stop: Callable[[], None], *, tells_providers: bool) -> None:
        self.stop = stop
        self._tracer = tracer
        self._tells = tells_providers

    def served(self, method: str, sent: Mapping[str, str], attributes: Attributes) -> ServerSpan:
        """A request to the API, in the trace that its headers name; the current one of this thread until its end."""
        parent = _W3C.extract(sent, context=Context())
        span = self._tracer.start_span(method, parent, SpanKind.SERVER, dict(attributes))
        return ServerSpan(span, contexts.attach(trace.set_span_in_context(span, parent)))

    def request(self, name: str, attributes: Attributes) -> RequestSpan:
        """A request of the gateway, within the current span of this thread."""
        return RequestSpan(self, self._tracer.start_span(name, attributes=dict(attributes)))

    def call(self, provider: Provider, model: str, operation: str, within: Context | None = None) -> CallSpan:
        """A call of a provider, begun now; by default within the current span of this thread."""
        place = urlsplit(provider.base_url)
        attributes: dict[str, Value] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": gen_ai.provider(provider.name),
            "gen_ai.request.model": model,
            "server.address": place.hostname or "",
            "server.port": place.port or (443 if place.scheme == "https" else 80),
        }
        span = self._tracer.start_span(f"{operation} {model}", within, SpanKind.CLIENT, attributes)
        headers: dict[str, str] = {}
        if self._tells:
            _W3C.inject(headers, trace.set_span_in_context(span))
        return CallSpan(span, headers)

    @contextmanager
    def sent(self, task: str, queue: str) -> Iterator[dict[str, str]]:
        """While a message is sent: the headers that carry the trace to who takes it."""
        attributes = _SYSTEM | {"messaging.operation.name": "send", "messaging.destination.name": queue}
        with self._tracer.start_as_current_span(f"send {task}", kind=SpanKind.PRODUCER, attributes=attributes):
            headers: dict[str, str] = {}
            _W3C.inject(headers)
            yield headers

    @contextmanager
    def run(self, task: str, headers: Mapping[str, Any]) -> Iterator[None]:
        """While a task runs, in the trace of who sent its message."""
        parent = _W3C.extract({name: value for name, value in headers.items() if isinstance(value, str)}, Context())
        if task in QUIET and not trace.get_current_span(parent).get_span_context().is_valid:
            yield
            return
        attributes = _SYSTEM | {"messaging.operation.name": "process", "tooloo.task": task}
        with self._tracer.start_as_current_span(f"process {task}", parent, SpanKind.CONSUMER, attributes):
            yield


class ServerSpan:
    __slots__ = ("_span", "_token")

    def __init__(self, span: Span, token: Any) -> None:
        self._span = span
        self._token = token

    def end(self, status: int | None) -> None:
        """In the thread in which it began. None: no answer was begun."""
        self._span.set_attribute("http.response.status_code", status or 500)
        if status is None or status >= 500:
            self._span.set_attribute("error.type", str(status or 500))
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
        contexts.detach(self._token)


def name_route(method: str, route: str) -> None:
    """Of the API request that this thread serves, when its route is known."""
    span = trace.get_current_span()
    span.update_name(f"{method} {route}")
    span.set_attribute("http.route", route)


class RequestSpan:
    """A request of the gateway: its attempts may be made in other threads."""

    __slots__ = ("_context", "_span", "_tracing")

    def __init__(self, tracing: Tracing, span: Span) -> None:
        self._tracing = tracing
        self._span = span
        self._context = trace.set_span_in_context(span)

    def attempt(self, provider: Provider, model: str, operation: str) -> CallSpan:
        return self._tracing.call(provider, model, operation, self._context)

    def end(self, status: str, served: str | None, *, failed: bool) -> None:
        """`status` as in the request log; `served`: the target, where one did."""
        self._span.set_attribute("tooloo.outcome", status)
        if served is not None:
            self._span.set_attribute("tooloo.target", served)
        if failed:
            self._span.set_attribute("error.type", status)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class CallSpan:
    """A call of a provider."""

    __slots__ = ("_headers", "_span")

    def __init__(self, span: Span, headers: Mapping[str, str]) -> None:
        self._span = span
        #: for the provider; empty: it is told nothing
        self._headers = headers

    def told(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint with what the provider is to know of the trace; its block's own headers go before that."""
        return replace(endpoint, headers={**self._headers, **endpoint.headers}) if self._headers else endpoint

    def answered(self, model: str, usage: Usage | None, first_token_ms: float | None) -> None:
        self._use(usage)
        if model:
            self._span.set_attribute("gen_ai.response.model", model)
        if first_token_ms is not None:
            self._span.set_attribute("gen_ai.response.time_to_first_chunk", first_token_ms / 1000)
        self._span.end()

    def failed(self, code: str, error: ProviderError | None, usage: Usage | None = None) -> None:
        """None: no error of anybody's, but no answer either: its client went away."""
        self._use(usage)
        self._span.set_attribute("error.type", code)
        if error is not None and not isinstance(error, Hedged):
            if error.status_code is not None:
                self._span.set_attribute("http.response.status_code", error.status_code)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()

    def _use(self, usage: Usage | None) -> None:
        if usage is not None:
            self._span.set_attribute("gen_ai.usage.input_tokens", usage.prompt)
            self._span.set_attribute("gen_ai.usage.output_tokens", usage.completion)
