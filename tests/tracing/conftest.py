"""An API in front of three providers over real HTTP, whose spans go to a collector over real HTTP."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from app import settings
from app.api import create_app
from app.tracing import begin
from app.tracing.spans import Tracing
from tests.support.collector import Collector, collector
from tests.support.upstreams import Upstreams, upstreams


@dataclass(frozen=True)
class Traced:
    url: str
    collected: Collector
    up: Upstreams


@pytest.fixture
def collected() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture
def tracing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Tracing]]:
    """Makes one of these variables; the environment and the library's log are as before at the end."""
    made: list[Tracing] = []
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    logger = logging.getLogger("opentelemetry")
    level, before = logger.level, dict(os.environ)

    def make(**variables: str) -> Tracing:
        given = {"OTEL_BSP_SCHEDULE_DELAY": "50", **variables}
        found = begin(settings.load(given, dotenv=None), "api")
        assert found is not None
        made.append(found)
        return found

    yield make
    for each in made:
        each.stop()
    logger.setLevel(level)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def traced(
    collected: Collector, tracing: Callable[..., Tracing], database_url: str, redis_url: str, tmp_path: Path
) -> Callable[..., object]:
    """A context: an API with these variables of the environment, and its providers."""

    @contextmanager
    def make(**variables: str) -> Iterator[Traced]:
        with upstreams(database_url, redis_url, tmp_path) as up:
            gateway = up.running.gateway
            spans = tracing(OTEL_EXPORTER_OTLP_ENDPOINT=collected.url, **variables)
            gateway.services = replace(gateway.services, tracing=spans)
            server = make_server("127.0.0.1", 0, create_app(up.running), threaded=True)
            threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.02}).start()
            try:
                yield Traced(f"http://127.0.0.1:{server.port}", collected, up)
            finally:
                server.shutdown()
                server.server_close()

    return make
