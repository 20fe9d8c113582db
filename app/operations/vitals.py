"""Figures of the latest looks at what this process depends on: for /metrics, and for what needs a person."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import redis

from app.broker import CONTROL, OPTIMIZER, PREFIX, queues
from app.evidence.ingest import Pulse
from app.services import Services
from app.store import alerts, database, measured, troubles
from app.store.alerts import Undelivered
from app.store.troubles import Ended

DAY = timedelta(days=1)
#: over which our own failures are counted
LATELY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Seen:
    """Of rounds and calls, as PostgreSQL has them."""

    #: the latest that is over
    last: Ended | None
    #: by rounds of the last 24 hours, what running ones are expected to cost included
    spent_usd: float
    #: a running round waits, and nobody has worked on it since
    idle_since: datetime | None
    #: calls that failed by our own network or machine, of LATELY
    local_failures: int
    local_since: datetime | None
    #: p95 of how far the latest round's canary calls were off; None: none came back
    measurement_error_ms: float | None
    #: alerts that their webhook does not take
    undelivered: Undelivered | None
    #: by the clock of the database
    at: datetime


@dataclass
class Vitals:
    """None: not known at the moment."""

    #: s since a round with results ended
    benchmark_age_s: float | None = None
    ingest: Pulse | None = None
    seen: Seen | None = None
    #: messages that wait, by queue of Celery
    queues: Mapping[str, int] | None = None
    #: MB that the disk of our own files has left
    disk_free_mb: float | None = None


def look(services: Services) -> Seen:
    """Raises DependencyUnavailable."""
    names = [provider.name for provider in services.providers]
    with database.transaction(services.sessions) as session:
        count, since = troubles.local_failures(session, LATELY)
        return Seen(
            last=troubles.latest_round(session),
            spent_usd=measured.spent_usd(session, names, DAY, simulated=services.simulated),
            idle_since=troubles.idle_since(session),
            local_failures=count,
            local_since=since,
            measurement_error_ms=troubles.measurement_error_ms(session),
            undelivered=alerts.undelivered(session, timedelta(seconds=services.policy.alerts.retry_s)),
            at=database.now(session),
        )


def waiting(services: Services) -> dict[str, int] | None:
    """None where Redis is away."""
    names = [CONTROL, OPTIMIZER, *queues(provider.name for provider in services.providers)]
    try:
        return {name: int(services.redis.llen(f"{PREFIX}{name}")) for name in names}
    except redis.RedisError:
        return None


def free_mb(folder: Path) -> float | None:
    """None where it cannot be known."""
    try:
        return shutil.disk_usage(folder).free / 1e6
    except OSError:
        return None
