"""GET /metrics, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from flask import Blueprint, Response
from prometheus_client.metrics_core import Metric

from app.api.current import gateway, watch
from app.api.system.attention import present
from app.domain.catalog import Target
from app.domain.evidence.evidence import Evidence
from app.gateway.metrics import CONTENT_TYPE, counter, gauge
from app.live import live_config
from app.operations import processes
from app.operations.vitals import Vitals
from app.services import Services

STATES = {"closed": 0, "half_open": 1, "open": 2}

metrics = Blueprint("metrics", __name__)


@metrics.get("/metrics")
def scrape() -> Response:
    """Counters and histograms of all API processes of this host, gauges of what they hold in memory."""
    return Response(gateway().metrics.render(_gauges), content_type=CONTENT_TYPE)


def _gauges() -> Iterator[Metric]:
    services, breakers = gateway().services, gateway().breakers
    now = live_config.utc_now()
    states = breakers.states(now)
    yield gauge(
        "tooloo_breaker_state",
        "0 closed, 1 half open, 2 open.",
        [(_labels(target), STATES[states.get(target, "closed")]) for target in services.targets],
    )
    yield gauge("tooloo_config_version", "Revision of the runtime config.", [({}, services.config.value.revision)])
    yield from _operations(services)
    yield gauge(
        "tooloo_exploration_ratio",
        "Share of requests that may explore, as the runtime config has it now.",
        [({}, services.config.value.effective_exploration_rate)],
    )
    yield from _targets(services, now)
    yield from _attention()


def _targets(services: Services, now: datetime) -> Iterator[Metric]:
    """What the router knows of each; nothing of what it does not."""
    evidence = services.scorecard.value.evidence
    for name, meaning, value in KNOWN:
        rows = [(_labels(each), value(evidence[each], now)) for each in services.targets if each in evidence]
        yield gauge(name, meaning, [(labels, number) for labels, number in rows if number is not None])


#: of a target: gauge, meaning, and where it is read from
KNOWN: tuple[tuple[str, str, Callable[[Evidence, datetime], float | None]], ...] = (
    (
        "tooloo_evidence_age_seconds",
        "Since a target was last seen, by a benchmark or by traffic.",
        lambda known, now: None if known.last_observed_at is None else (now - known.last_observed_at).total_seconds(),
    ),
    ("tooloo_target_success", "Share of calls that succeeded, as the router sees it.", lambda known, _: known.success),
    (
        "tooloo_target_latency_seconds",
        "Mean latency of a target, as the router sees it.",
        lambda known, _: None if known.latency_ms is None else known.latency_ms / 1000,
    ),
    ("tooloo_target_quality_ratio", "Mean grade of its answers, 0 to 1.", lambda known, _: known.quality),
    ("tooloo_target_cost_usd", "Mean USD of a call, where a price is known.", lambda known, _: known.cost_usd),
)


def _attention() -> Iterator[Metric]:
    rows = [({"kind": each.kind, "severity": each.severity.value, "subject": each.subject}, 1.0) for each in present()]
    yield gauge("tooloo_attention", "1 for each thing that needs a person: GET /api/v1/system/attention.", rows)


def _operations(services: Services) -> Iterator[Metric]:
    """What an alarm needs, as it was last seen; nothing of what cannot be seen now: /readyz says why."""
    vitals = watch().vitals
    if (age_s := vitals.benchmark_age_s) is not None:
        yield gauge("tooloo_benchmark_age_seconds", "Since a round ended that measured something.", [({}, age_s)])
    if (pulse := vitals.ingest) is not None:
        yield gauge("tooloo_ingest_waiting", "Outcomes that wait in Redis.", [({}, pulse.waiting)])
        dropped = [({"reason": reason}, count) for reason, count in pulse.dropped_by.items()]
        yield gauge("tooloo_ingest_dropped", "As tooloo_ingest_dropped_rows_total; kept for older dashboards.", dropped)
        yield counter("tooloo_ingest_dropped_rows", "Rows that did not go in, since Redis was new.", dropped)
        if pulse.age_s is not None:
            yield gauge("tooloo_ingest_age_seconds", "Since outcomes were last taken in.", [({}, pulse.age_s)])
    yield from _rounds(services, vitals)
    found = processes.read(services.settings.processes_file)
    missing = {name for name, _ in found.absent}
    yield gauge(
        "tooloo_process_up",
        "1: a process of `tooloo up` runs, 0: it is missing.",
        [({"process": name}, int(name not in missing)) for name in found.names],
    )


def _rounds(services: Services, vitals: Vitals) -> Iterator[Metric]:
    if vitals.queues is not None:
        waiting = [({"queue": name}, float(count)) for name, count in vitals.queues.items()]
        yield gauge("tooloo_queue_messages", "Messages of Celery that wait, by queue.", waiting)
    if vitals.disk_free_mb is not None:
        yield gauge("tooloo_disk_free_bytes", "Left on the disk of our own files.", [({}, vitals.disk_free_mb * 1e6)])
    if (seen := vitals.seen) is None:
        return
    left = max(0.0, services.policy.budget.day_usd - seen.spent_usd)
    yield gauge("tooloo_budget_spent_usd", "USD of rounds in the last 24 hours.", [({}, seen.spent_usd)])
    yield gauge("tooloo_budget_left_usd", "USD that rounds may still cost today: budget.day_usd.", [({}, left)])
    if services.settings.alert_url is not None:
        count = 0 if seen.undelivered is None else seen.undelivered.count
        yield gauge("tooloo_alerts_undelivered", "Alerts that TOOLOO_ALERT_URL does not take.", [({}, count)])
    if seen.measurement_error_ms is not None:
        error_s = seen.measurement_error_ms / 1000
        meaning = "p95 of how far the latest round's measurements of a known delay were off."
        yield gauge("tooloo_measurement_error_seconds", meaning, [({}, error_s)])


def _labels(target: Target) -> dict[str, str]:
    return {"provider": target.provider, "model": target.model}
