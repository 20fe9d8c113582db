"""GET /metrics, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint, Response
from prometheus_client.metrics_core import Metric

from app.api.current import gateway, watch
from app.domain.catalog import Target
from app.gateway.metrics import CONTENT_TYPE, gauge
from app.live import live_config
from app.operations import processes
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
    evidence = services.scorecard.value.evidence.items()
    ages = [(t, (now - known.last_observed_at).total_seconds()) for t, known in evidence if known.last_observed_at]
    yield gauge(
        "tooloo_evidence_age_seconds",
        "Since a target was last seen, by a benchmark or by traffic.",
        [(_labels(target), age) for target, age in ages],
    )
    success = [(t, known.success) for t, known in evidence if known.success is not None]
    yield gauge(
        "tooloo_target_success",
        "Share of calls that succeeded, as the router sees it.",
        [(_labels(target), share) for target, share in success],
    )


def _operations(services: Services) -> Iterator[Metric]:
    """What an alarm needs, as it was last seen; nothing of what cannot be seen now: /readyz says why."""
    vitals = watch().vitals
    if (age_s := vitals.benchmark_age_s) is not None:
        yield gauge("tooloo_benchmark_age_seconds", "Since a round ended that measured something.", [({}, age_s)])
    if (pulse := vitals.ingest) is not None:
        yield gauge("tooloo_ingest_waiting", "Outcomes that wait in Redis.", [({}, pulse.waiting)])
        dropped = [({"reason": reason}, count) for reason, count in pulse.dropped_by.items()]
        yield gauge("tooloo_ingest_dropped", "Rows that did not go in, since Redis was new.", dropped)
        if pulse.age_s is not None:
            yield gauge("tooloo_ingest_age_seconds", "Since outcomes were last taken in.", [({}, pulse.age_s)])
    found = processes.read(services.settings.processes_file)
    missing = {name for name, _ in found.absent}
    yield gauge(
        "tooloo_process_up",
        "1: a process of `tooloo up` runs, 0: it is missing.",
        [({"process": name}, int(name not in missing)) for name in found.names],
    )


def _labels(target: Target) -> dict[str, str]:
    return {"provider": target.provider, "model": target.model}
