"""Is it alive, is it ready: /healthz watches progress, /readyz dependencies. Neither waits for what it reports on."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from app.api.current import gateway, watch
from app.api.envelope import ok
from app.live import live_config
from app.operations.attention import accounts
from app.operations.health import BENCHMARK, OK, ROUNDS
from app.services import Services

health = Blueprint("health", __name__)


@health.get("/healthz")
def alive() -> Response:
    """200 while the API serves; `benchmark.status` says whether rounds with results still come.

    It is `ok`, `no round yet`, `silent` or `unknown`; `benchmark.reason` says more of the last two.
    """
    status, _, reason = watch().states()[BENCHMARK].partition(": ")
    benchmark = {"status": status, **({"reason": reason} if reason else {})}
    return ok({"status": "ok", "simulated": gateway().services.simulated, "benchmark": benchmark})


@health.get("/readyz")
def ready() -> Response:
    """503 only where no request could be answered: chat goes on without Postgres and without Redis.

    `breakers` names the targets whose breaker is not closed, `refusals` what targets are not asked for, and why;
    `needsPerson` what a provider holds against a key or an account, and the cure.
    """
    services = gateway().services
    dependencies = {name: state for name, state in watch().states().items() if name not in (BENCHMARK, ROUNDS)}
    checks = {**dependencies, "providers": _providers(services)}
    to_mend = [f"{item.text}: {item.cure}" for item in accounts(services)]
    status = "ok" if set(checks.values()) == {OK} and not to_mend else "degraded"
    states = gateway().breakers.states(live_config.utc_now())
    open_ones = {str(target): states[target] for target in services.targets if target in states}
    facts: dict[str, Any] = {"status": status, "checks": checks, "breakers": open_ones}
    if to_mend:
        facts["needsPerson"] = to_mend
    known = {str(target) for target in services.targets}
    lessons = gateway().lessons.shown(live_config.utc_now())
    if refusals := {target: told for target, told in lessons.items() if target in known}:
        facts["refusals"] = refusals
    return ok(facts, 200 if checks["providers"] == OK else 503)


def _providers(services: Services) -> str:
    left_out = services.left_out(services.config.value)
    if any(target.provider not in left_out for target in services.targets):
        return OK
    return "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
