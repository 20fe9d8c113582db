"""/metrics and deploy/prometheus, deploy/grafana: names, rules and expressions, by Prometheus itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from app.errors import ServerError
from app.evidence import ingest
from app.store import database
from tests.support.ports import free_port
from tests.support.rounds import run_round
from tests.support.served import served
from tests.support.system import ROOT, System, answer
from tests.support.waiting import wait_until

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus"
DASHBOARD = json.loads((DEPLOY / "grafana" / "tooloo.json").read_text())

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: apt install prometheus"
)


def expressions() -> list[str]:
    """Of the dashboard, as Prometheus gets them."""
    shown = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    noted = [each["expr"] for each in DASHBOARD["annotations"]["list"]]
    return [each.replace("$__rate_interval", "5m") for each in shown + noted]


@pytest.fixture
def page(system: System) -> Iterator[str]:
    """The base URL of an API that has seen a round, answers and a failure."""
    with served(system) as url:
        run_round(system)
        system.client.behaviours["deepseek"] = lambda model, request: (_ for _ in ()).throw(ServerError())
        for _ in range(2):
            assert requests.post(f"{url}/api/v1/chat", json={"message": "hello"}, timeout=20).ok
        system.client.behaviours["deepseek"] = lambda model, request: answer()
        ingest.ingest(system.services)
        looked_at = ("tooloo_measurement_error_seconds", "tooloo_ingest_age_seconds")
        wait_until(lambda: all(name in text_of(url) for name in looked_at), what="a look at rounds and ingest")
        yield url


def text_of(url: str) -> str:
    return requests.get(f"{url}/metrics", timeout=20).text


def families(url: str) -> dict[str, Any]:
    return {family.name: family for family in text_string_to_metric_families(text_of(url))}


def test_every_gauge_that_an_operator_asks_for_is_there(page: str, system: System) -> None:
    found = families(page)

    def value(name: str) -> float:
        (sample,) = found[name].samples
        return float(sample.value)

    assert value("tooloo_exploration_ratio") == 0.1
    assert 0 <= value("tooloo_benchmark_age_seconds") < 60
    assert value("tooloo_measurement_error_seconds") == 0.0005
    assert value("tooloo_budget_spent_usd") == pytest.approx(0.04)
    assert value("tooloo_budget_left_usd") == pytest.approx(9.96)
    assert value("tooloo_disk_free_bytes") > 0
    queues = {sample.labels["queue"] for sample in found["tooloo_queue_messages"].samples}
    assert {"control", "optimizer", "probe.deepseek"} <= queues


def test_a_message_that_waits_is_counted_in_its_queue(page: str, system: System) -> None:
    system.services.redis.rpush("tooloo:celery:probe.gemini", "{}")

    wait_until(lambda: 'tooloo_queue_messages{queue="probe.gemini"} 1.0' in text_of(page), what="the next look")


def test_calls_have_the_names_of_opentelemetry_by_target(page: str) -> None:
    found = families(page)
    took = {
        (sample.labels["gen_ai_provider_name"], sample.labels["gen_ai_request_model"], sample.labels["error_type"])
        for sample in found["gen_ai_client_operation_duration_seconds"].samples
    }
    assert ("deepseek", "deepseek-chat", "server_error") in took
    assert ("gcp.gemini", "gemini-2.5-flash", "") in took
    tokens = found["gen_ai_client_token_usage"].samples
    assert {sample.labels["gen_ai_token_type"] for sample in tokens} == {"input", "output"}
    assert {sample.labels["gen_ai_operation_name"] for sample in tokens} == {"chat"}


def test_dashboard_and_rules_name_metrics_that_there_are(page: str) -> None:
    text = text_of(page)
    known = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    known |= {f"{name}_{part}" for name in known for part in ("bucket", "sum", "count")}
    used = {
        name
        for expression in [*expressions(), (RULES / "rules.yml").read_text()]
        for name in re.findall(r"\b(?:tooloo|gen_ai)_\w+(?=[\[{) ])", expression)
        if name not in {"gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"}
    }
    assert used - known == set()
    assert len(used) > 20


def test_every_panel_has_a_title_a_unit_and_a_place() -> None:
    places = [tuple(panel["gridPos"].values()) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@needs_promtool
@pytest.mark.parametrize("check", [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")])
def test_promtool_takes_config_and_rules(check: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *check], cwd=RULES, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_has_nothing_to_say_of_names(page: str) -> None:
    text = text_of(page)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def prometheus(folder: Path, api: str) -> Iterator[str]:
    """A real one with our rules, that scrapes this API every second."""
    port = free_port()
    config = (RULES / "prometheus.yml").read_text().replace("127.0.0.1:4000", api.partition("://")[2])
    (folder / "prometheus.yml").write_text(config.replace("_interval: 15s", "_interval: 1s"))
    shutil.copy(RULES / "rules.yml", folder)
    command = [
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: _ready(f"http://127.0.0.1:{port}/-/ready"), 30, what=(folder / "log").read_text())
        yield f"http://127.0.0.1:{port}/api/v1"
    finally:
        process.terminate()
        process.wait(20)


def _ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


@needs_promtool
def test_a_real_prometheus_scrapes_loads_the_rules_and_answers_the_dashboard(
    page: str, system: System, tmp_path: Path
) -> None:
    with prometheus(tmp_path, page) as api:

        def ask(query: str) -> list[dict[str, Any]]:
            answered = requests.get(f"{api}/query", params={"query": query}, timeout=20).json()
            assert answered["status"] == "success", (query, answered)
            found: list[dict[str, Any]] = answered["data"]["result"]
            return found

        wait_until(lambda: [each["value"][1] for each in ask("up")] == ["1"], 30, what="a scrape")
        wait_until(lambda: ask("tooloo_exploration_ratio"), 30, what="a sample")
        for expression in expressions():
            ask(expression)
        (group,) = requests.get(f"{api}/rules", timeout=20).json()["data"]["groups"]
        assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
        assert not any(rule.get("lastError") for rule in group["rules"])

        with database.transaction(system.services.sessions) as session:
            session.connection().exec_driver_sql("UPDATE rounds SET status = 'partial'")
        wait_until(
            lambda: (
                [each["metric"]["subject"] for each in ask('tooloo_attention{kind="round_partial"}')] == ["benchmark"]
            ),
            30,
            what="what needs a person",
        )
