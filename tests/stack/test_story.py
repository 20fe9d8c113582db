"""The story of the README on real servers: measure, degrade, move, recover, return."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests

from app.domain.config.config_history import CHECKSUM
from tests.support.stack import Stack, stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

#: of 40 requests, at least this many go to the best provider: exploration takes at most 15 %
CLEAR_MAJORITY = 28


def latest(running: Stack) -> Any:
    return running.get("/api/v1/system/benchmark-results?limit=1")["latest"]


def exploration(running: Stack) -> float:
    return float(running.tooloo("config", "get", "global.explorationRate"))


def measured_round(running: Stack) -> Any:
    shown = running.tooloo("benchmark", "--wait", "--beside")
    assert (shown["status"], shown["summary"]["providersAttempted"]) == ("done", 40)
    return shown


def test_the_loop_closes(tmp_path: Path) -> None:
    with stack(tmp_path) as running:
        first = wait_until(lambda: latest(running), 60, "the first round, that nobody asked for, is finished")
        assert first["summary"]["providersAttempted"] == 40
        assert {result["provider"] for result in first["results"]} == {"deepseek", "gemini", "anthropic", "openai"}
        assert first["simulated"] is True
        assert exploration(running) == pytest.approx(0.10)

        two_good_providers(running)
        measured_round(running)
        assert Counter(running.chat_targets(40))["deepseek"] >= CLEAR_MAJORITY

        running.tooloo("lab", "set", "deepseek", "latency=450")
        slower = measured_round(running)
        assert exploration(running) == pytest.approx(0.15)
        assert any("deepseek latency" in line and "→ .15" in line for line in slower["summary"]["improvements"])

        running.tooloo("lab", "set", "deepseek", "latency=900")
        measured_round(running)
        assert Counter(running.chat_targets(40))["gemini"] >= CLEAR_MAJORITY

        running.tooloo("lab", "reset")
        two_good_providers(running)
        measured_round(running)
        measured_round(running)
        assert Counter(running.chat_targets(40))["deepseek"] >= CLEAR_MAJORITY

        flower_lists_workers_and_tasks(running)
        a_scrape_counts_the_requests_of_all_processes(running, 120)
        snapshot_file_is_the_live_document(running)
    assert running.process.returncode == 0
    assert not running.pids("")


def two_good_providers(running: Stack) -> None:
    """One of ten probes that fails by chance is worth more than the milliseconds between the simulated providers."""
    running.tooloo("lab", "set", "deepseek", "latency=120", "error_rate=0")
    running.tooloo("lab", "set", "gemini", "error_rate=0")


def flower_lists_workers_and_tasks(running: Stack) -> None:
    workers = requests.get(f"{running.flower}/workers?json=1", timeout=10).json()["data"]
    assert any("probes" in worker["hostname"] for worker in workers)
    assert any("control" in worker["hostname"] for worker in workers)
    # what the tasks page fetches to fill its table
    table = {"draw": 1, "start": 0, "length": 200, "search[value]": "", "order[0][column]": 0, "order[0][dir]": "asc"}
    shown = requests.get(
        f"{running.flower}/tasks/datatable", params={**table, "columns[0][data]": "name"}, timeout=10
    ).json()["data"]
    assert {"tooloo.probe", "tooloo.optimize"} <= {task["name"] for task in shown}


def a_scrape_counts_the_requests_of_all_processes(running: Stack, count: int) -> None:
    scraped = requests.get(f"{running.url}/metrics", timeout=10).text
    assert (
        sum(float(line.split()[-1]) for line in scraped.splitlines() if line.startswith("tooloo_requests_total{"))
        == count
    )


def snapshot_file_is_the_live_document(running: Stack) -> None:
    file = Path(running.environment["TOOLOO_CONFIG_DIR"]) / "runtime.json"

    def held() -> Any:
        return {name: value for name, value in json.loads(file.read_text()).items() if name != CHECKSUM}

    wait_until(lambda: held() == running.get("/api/v1/system/runtime-config"), 10)
