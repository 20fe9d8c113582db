"""What Prometheus is told, at GET /metrics.

Counters and histograms are those of all processes of one `tooloo api` together, whichever of them answers: it names a
folder (FOLDER_VARIABLE) in which each process keeps its numbers in a file, and a scrape adds the files up. They go on
counting over the death of a process. Gauges are read from what the answering process holds
in memory, which is the same in all of them within a second.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app import gen_ai
from app.domain.catalog import Target

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: names the folder; prometheus_client reads it at import
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
#: s; from a cached answer to the longest reasoning
LATENCIES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0, 60.0)
OK = "ok"

#: buckets that OpenTelemetry's conventions for generative AI name
GEN_AI_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
GEN_AI_TOKENS = tuple(4**n for n in range(14))
#: … and an attempt that succeeded: its error.type stays empty
NO_ERROR = ""

Family = TypeVar("Family", Counter, Histogram)
Gauges = Callable[[], Iterator[Metric]]


class Metrics:
    """The numbers of this process."""

    def __init__(self) -> None:
        self._own = CollectorRegistry()
        self._requests = Counter(
            "tooloo_requests",
            "Requests of chat and for embeddings, by how they ended.",
            ("outcome", "stream"),
            registry=self._own,
        )
        self._latency = Histogram(
            "tooloo_request_seconds",
            "Chat requests that were answered, from arrival to the last token.",
            ("provider",),
            buckets=LATENCIES_S,
            registry=self._own,
        )
        self._embedding = Histogram(
            "tooloo_embedding_seconds",
            "Requests for embeddings that were answered, from arrival to the answer.",
            ("provider",),
            buckets=LATENCIES_S,
            registry=self._own,
        )
        self._first_token = Histogram(
            "tooloo_first_token_seconds",
            "Streamed requests, from arrival to the first token.",
            ("provider",),
            buckets=LATENCIES_S,
            registry=self._own,
        )
        self._attempts = Counter(
            "tooloo_attempts",
            "Calls to providers on behalf of requests.",
            ("provider", "model", "outcome"),
            registry=self._own,
        )
        self._operations = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "Calls to providers, by target and error: gen_ai.client.operation.duration of OpenTelemetry.",
            ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type"),
            buckets=GEN_AI_SECONDS,
            registry=self._own,
        )
        self._usage = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of calls to providers, by target: gen_ai.client.token.usage of OpenTelemetry.",
            ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"),
            buckets=GEN_AI_TOKENS,
            registry=self._own,
        )
        self._spilled = Counter(
            "tooloo_spilled",
            "Requests that went to another target, as the first one was used up to its quota.",
            ("provider", "model"),
            registry=self._own,
        )
        self._cost = Counter(
            "tooloo_cost_usd", "USD spent on requests, where a price is known.", ("provider",), registry=self._own
        )
        self._tokens = Counter("tooloo_tokens", "Tokens of requests.", ("provider", "kind"), registry=self._own)
        self._hedges = Counter(
            "tooloo_hedges",
            "Second calls beside a first one that was late: won where the second answered first.",
            ("outcome",),
            registry=self._own,
        )
        self._passed = Counter(
            "tooloo_passthrough",
            "Requests passed through, by how they ended.",
            ("provider", "outcome"),
            registry=self._own,
        )
        self._dropped = Counter(
            "tooloo_outcomes_dropped", "Outcomes lost to a full buffer while Redis was away.", registry=self._own
        )

    def request(self, outcome: str, *, stream: bool) -> None:
        """`outcome`: ok, or the code of the error."""
        _of(self._requests, outcome, "true" if stream else "false").inc()

    def answered(self, provider: str, latency_ms: float, *, embedding: bool = False) -> None:
        _of(self._embedding if embedding else self._latency, provider).observe(latency_ms / 1000)

    def began(self, provider: str, after_ms: float) -> None:
        _of(self._first_token, provider).observe(after_ms / 1000)

    def attempt(self, target: Target, outcome: str, latency_ms: float, *, operation: str) -> None:
        """`outcome`: ok, or the code of the error. `operation`: chat or embeddings."""
        _of(self._attempts, target.provider, target.model, outcome).inc()
        error = NO_ERROR if outcome == OK else outcome
        _of(self._operations, operation, gen_ai_provider(target), target.model, error).observe(latency_ms / 1000)

    def spilled(self, target: Target) -> None:
        """`target`: who would have been first."""
        _of(self._spilled, target.provider, target.model).inc()

    def hedge(self, *, won: bool) -> None:
        """A request that had two calls at once: did the second serve it?"""
        _of(self._hedges, "won" if won else "lost").inc()

    def used(self, target: Target, prompt: int, completion: int, *, operation: str) -> None:
        """Tokens of one call."""
        provider = gen_ai_provider(target)
        _of(self._usage, operation, provider, target.model, "input").observe(prompt)
        _of(self._usage, operation, provider, target.model, "output").observe(completion)

    def spent(self, provider: str, cost_usd: float | None, prompt: int, completion: int) -> None:
        """On a call, whether it came to its end or not."""
        _of(self._tokens, provider, "prompt").inc(prompt)
        _of(self._tokens, provider, "completion").inc(completion)
        if cost_usd is not None:
            _of(self._cost, provider).inc(cost_usd)

    def passed(self, provider: str, outcome: str) -> None:
        """A request that was passed through. `outcome`: ok, http_STATUS, or the code of the error."""
        _of(self._passed, provider, outcome).inc()

    def dropped(self) -> None:
        self._dropped.inc()

    def render(self, gauges: Gauges) -> bytes:
        """The text a scrape gets."""
        if os.environ.get(FOLDER_VARIABLE):
            counted = CollectorRegistry()
            MultiProcessCollector(counted)  # type: ignore[no-untyped-call]  # the library does not say
        else:
            counted = self._own
        now = CollectorRegistry()
        now.register(_Gauges(gauges))
        return bytes(generate_latest(counted)) + bytes(generate_latest(now))


def gen_ai_provider(target: Target) -> str:
    """gen_ai.provider.name"""
    return gen_ai.provider(target.provider)


@cache
def _of(family: Family, *labels: str) -> Family:
    """labels() checks and locks at every call, which is most of what counting costs."""
    return family.labels(*labels)


class _Gauges(Collector):
    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        return self._gauges()


def counter(name: str, help_text: str, values: Iterable[tuple[dict[str, str], float]]) -> Metric:
    """A counter family of what is counted elsewhere; `name` without its _total."""
    rows = list(values)
    names = list(rows[0][0]) if rows else []
    family = CounterMetricFamily(name, help_text, labels=names)
    for labels, value in rows:
        family.add_metric([labels[each] for each in names], value)
    return family


def gauge(name: str, help_text: str, values: Iterable[tuple[dict[str, str], float]]) -> Metric:
    """A gauge family; `values`: labels and number."""
    rows = list(values)
    names = list(rows[0][0]) if rows else []
    family = GaugeMetricFamily(name, help_text, labels=names)
    for labels, value in rows:
        family.add_metric([labels[each] for each in names], value)
    return family
