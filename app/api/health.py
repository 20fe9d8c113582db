"""Is it alive, is it ready: /healthz watches progress, /readyz dependencies."""

from __future__ import annotations

from typing import Any

import redis
from flask import Blueprint, Response

from app import live_config
from app.api.current import gateway
from app.api.envelope import ok
from app.errors import DependencyUnavailable
from app.services import Services
from app.store import database, rounds

#: a benchmark that has been silent for this many intervals is not alive, whatever its processes say
SILENT_INTERVALS = 1.25


health = Blueprint("health", __name__)


@health.get("/healthz")
def alive() -> Response:
    """200 while the API serves; `benchmark` says whether rounds still come."""
    services = gateway().services
    return ok({"status": "ok", "simulated": services.simulated, "benchmark": _benchmark(services)})


@health.get("/readyz")
def ready() -> Response:
    """503 only where no request could be answered: chat goes on without Postgres and without Redis."""
    services = gateway().services
    checks = {"postgres": _postgres(services), "redis": _redis(services), "providers": _providers(services)}
    degraded = [name for name, state in checks.items() if state != "ok"]
    status = "ok" if not degraded else "degraded"
    return ok({"status": status, "checks": checks}, 503 if "providers" in degraded else 200)


def _benchmark(services: Services) -> dict[str, Any]:
    try:
        with database.transaction(services.sessions) as session:
            last, now = rounds.latest_start(session), database.now(session)
    except DependencyUnavailable:
        return {"status": "unknown", "lastRound": None}
    interval_s = services.policy.rounds.interval_s
    silent = last is None or (now - last).total_seconds() > SILENT_INTERVALS * interval_s
    return {"status": "silent" if silent else "ok", "lastRound": None if last is None else live_config.to_ms(last)}


def _postgres(services: Services) -> str:
    try:
        with database.transaction(services.sessions) as session:
            database.now(session)
    except DependencyUnavailable as error:
        return str(error)
    return "ok"


def _redis(services: Services) -> str:
    try:
        services.redis.ping()
    except redis.RedisError as error:
        return f"Redis is not reachable: {error}"
    return "ok"


def _providers(services: Services) -> str:
    left_out = services.left_out(services.config.value)
    if any(target.provider not in left_out for target in services.targets):
        return "ok"
    return "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
