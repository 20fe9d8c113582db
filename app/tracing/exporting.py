"""Spans on their way out: a bounded queue, a thread that empties it, and one line in the log where they are lost."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from app import http_calls
from app.trace_settings import ENDPOINTS, TraceSettings
from app.tracing.spans import Tracing

log = structlog.get_logger()

#: what a trace is found by, where nobody has named the service
SERVICE = "tooloo"
#: s that the end of a process waits for its last spans
LAST_SPANS_S = 2.0


def tracing(wanted: TraceSettings, role: str) -> Tracing:
    _hand_over(wanted)
    # what the library would say of each batch, ours says once
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    provider = TracerProvider(
        resource=Resource.create({"tooloo.role": role, "process.pid": os.getpid()}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(Told(OTLPSpanExporter(session=_session(wanted)))))
    return Tracing(provider.get_tracer("tooloo"), _stopping(provider), tells_providers=wanted.tells_providers)


def _hand_over(wanted: TraceSettings) -> None:
    """The SDK reads the environment; ours may be in a file, and what is empty in either is not set."""
    for name in [name for name, value in os.environ.items() if name.startswith("OTEL_") and not value]:
        del os.environ[name]
    os.environ.update(wanted.variables)
    if "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        os.environ.setdefault("OTEL_SERVICE_NAME", SERVICE)


def _session(wanted: TraceSettings) -> requests.Session:
    """A collector on this machine is not behind the proxy that the shell names."""
    session = requests.Session()
    session.trust_env = not any(http_calls.is_loopback(wanted.variables.get(name, "")) for name in ENDPOINTS)
    return session


def _stopping(provider: TracerProvider) -> Callable[[], None]:
    """It would wait for as long as a dead collector is tried."""

    def stop() -> None:
        ending = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
        ending.start()
        ending.join(LAST_SPANS_S)

    return stop


class Told(SpanExporter):
    """Says when spans begin to be lost, and when they are taken again."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            if not self._lost:
                log.warning("spans are lost: the collector does not take them", variable="OTEL_EXPORTER_OTLP_ENDPOINT")
            self._lost += len(spans)
        elif self._lost:
            log.info("the collector takes spans again", lost=self._lost)
            self._lost = 0
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)
