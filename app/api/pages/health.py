"""/health: what this depends on, what does the work, and what waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from flask import Response, get_template_attribute, request

from app.api.current import gateway, watch
from app.api.pages.asked import Asked
from app.api.pages.blueprint import live, page, pages
from app.live import live_config
from app.settings import LOOPBACK


@pages.get("/health")
def health() -> Response:
    """Dependencies, queues, and the way to Flower."""
    return page("health", "Health", **_values(), flower=_flower())


@live("health")
def rows(_: Asked) -> Iterator[tuple[str, str]]:
    values = _values()
    for name in ("checks", "breakers", "figures"):
        yield name, str(get_template_attribute("health_rows.html", name)(values[name])).strip()


def _values() -> dict[str, Any]:
    now = live_config.utc_now()
    return {
        "checks": watch().states(),
        "breakers": {str(target): state for target, state in gateway().breakers.states(now).items()},
        "figures": _figures(),
    }


def _figures() -> dict[str, Any]:
    """None: not known at the moment."""
    services, vitals = gateway().services, watch().vitals
    pulse = vitals.ingest
    return {
        "benchmarkAgeS": vitals.benchmark_age_s,
        "ingest": None
        if pulse is None
        else {"ageS": pulse.age_s, "oldestS": pulse.oldest_s, "waiting": pulse.waiting, "dropped": pulse.dropped},
        "diskFreeMb": vitals.disk_free_mb,
        "queues": vitals.queues,
        "config": services.config.value.version,
        "scorecard": services.scorecard.version,
    }


def _flower() -> str | None:
    """Where the browser finds Flower; None: on a loopback that is not the browser's."""
    settings = gateway().services.settings
    host = urlsplit(f"//{request.host}").hostname or ""
    if settings.flower_host in LOOPBACK and host not in LOOPBACK:
        return None
    return f"http://{host if ':' not in host else f'[{host}]'}:{settings.flower_port}/"
