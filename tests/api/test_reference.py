"""/openapi.json, /docs and /metrics."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from app import bootstrap
from app.api import create_app
from app.api.openapi import UNLISTED, path_of
from app.errors import BadKey
from tests.gateway.test_gateway import fails_with
from tests.support.system import System


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def test_every_route_of_the_app_is_in_the_reference(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]

    for rule in client.application.url_map.iter_rules():
        if rule.endpoint.startswith(UNLISTED):
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert paths[path_of(rule)][method.lower()]["summary"], rule
    assert "/v1/chat/completions" in paths
    assert "/api/v1/requests/{request_id}" in paths


def test_what_the_reference_refers_to_is_in_it(client: FlaskClient) -> None:
    text = client.get("/openapi.json").get_data(as_text=True)
    schemas = client.get("/openapi.json").get_json()["components"]["schemas"]

    names = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert {"ChatBody", "ChatCompletionRequest"} <= names
    assert names <= set(schemas)


def test_the_page_needs_nothing_from_outside(client: FlaskClient) -> None:
    with client.get("/docs") as page:
        assert page.status_code == 200
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        parts = re.findall(r'(?:src|href)="([^"]+)"', page.get_data(as_text=True))
    for part in parts:
        with client.get(part) as found:
            assert found.status_code == 200, part


def samples(client: FlaskClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = client.get("/metrics").get_data(as_text=True)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_tells_requests_attempts_and_breakers(client: FlaskClient, system: System) -> None:
    client.post("/api/v1/system/runtime-config", json={"explorationRate": 0})
    system.client.behaviours["deepseek"] = fails_with(BadKey)
    client.post("/api/v1/chat", json={"message": "x"})

    found = samples(client)

    def value(name: str, **labels: str) -> float:
        (number,) = [v for (n, at), v in found.items() if n == name and set(labels.items()) <= at]
        return number

    assert value("tooloo_requests_total", outcome="ok", stream="false") == 1
    assert value("tooloo_attempts_total", provider="deepseek", outcome="bad_key") == 1
    assert value("tooloo_attempts_total", provider="gemini", outcome="ok") == 1
    assert value("tooloo_request_seconds_count", provider="gemini") == 1
    assert value("tooloo_cost_usd_total", provider="gemini") == 0.001
    assert value("tooloo_breaker_state", provider="deepseek") == 2
    assert value("tooloo_breaker_state", provider="gemini") == 0
    assert value("tooloo_config_version") >= 1
    assert value("tooloo_outcomes_dropped_total") == 0
    assert client.get("/readyz").get_json()["data"]["breakers"] == {"deepseek/deepseek-chat": "open"}


def test_processes_that_share_a_folder_count_together_and_beyond_their_death(tmp_path: Path) -> None:
    code = "from app.gateway.metrics import Metrics; m = Metrics(); m.request('ok', stream=False)"
    scrape = "from app.gateway.metrics import Metrics; print(Metrics().render(lambda: iter(())).decode())"

    def run(program: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program], env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}, capture_output=True,
            text=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout

    run(code)
    run(code)

    assert 'tooloo_requests_total{outcome="ok",stream="false"} 2.0' in run(scrape)
