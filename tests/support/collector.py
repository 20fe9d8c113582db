"""A small OTLP collector: it takes what a real one would, by the published protobuf, and keeps the spans."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent

from tests.providers.server import Received, Server, whole
from tests.support.waiting import wait_until

#: s; a batch goes out after 5 s where nobody says otherwise
COLLECTED_S = 30.0


@dataclass(frozen=True)
class Span:
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    failed: bool
    began_ns: int
    ended_ns: int


class Collector:
    def __init__(self) -> None:
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._server = Server(self._take)
        self._spans: list[Span] = []

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def spans(self) -> list[Span]:
        return list(self._spans)

    def wait_for(self, found: Callable[[list[Span]], bool], what: str, within_s: float = COLLECTED_S) -> list[Span]:
        """All spans, once those that are looked for are among them."""
        wait_until(lambda: found(self.spans), within_s, what)
        return self.spans

    def __enter__(self) -> Collector:
        self._server.__enter__()
        return self

    def __exit__(self, *what: Any) -> None:
        self._server.__exit__(*what)

    def _take(self, request: Received) -> Iterable[bytes]:
        self.paths.append(request.path)
        self.headers.append(dict(request.headers))
        body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        told = ExportTraceServiceRequest.FromString(body)
        for group in told.resource_spans:
            resource = _values(group.resource.attributes)
            self._spans += [_span(span, resource) for scope in group.scope_spans for span in scope.spans]
        return whole(200, {"content-type": "application/x-protobuf"}, b"")


@contextmanager
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def _span(span: Sent, resource: dict[str, Any]) -> Span:
    return Span(
        span.name,
        Sent.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _values(span.attributes),
        resource,
        span.status.code == 2,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
    )


def _values(attributes: Iterable[Any]) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
