"""`tooloo requests` and `tooloo usage`, in front of the API itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from app.cli.main import cli
from app.operations import rolling
from app.store import database, requests
from tests.api.test_request_list import attempt, entry, log
from tests.support.rounds import run_round
from tests.support.served import served
from tests.support.system import System

Tooloo = Callable[..., Result]
LONG = f"req-{'0' * 31}1"


@pytest.fixture
def tooloo(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tooloo]:
    monkeypatch.chdir(tmp_path)
    with served(system) as url, capture_logs():

        def run(*arguments: str) -> Result:
            variables = {"TOOLOO_URL": url, "TOOLOO_ADMIN_KEY": "", "TOOLOO_API_KEY": "", "COLUMNS": "80"}
            return CliRunner().invoke(cli, arguments, env=variables)

        yield run


def test_requests_are_listed_within_80_columns(tooloo: Tooloo, system: System) -> None:
    fell = {"attempts": [attempt("openai", "overloaded"), attempt("deepseek")], "model": "deepseek-chat"}
    log(system, entry(LONG, **fell), entry("b", 5, status="all_attempts_failed", provider=None, model=None))

    shown = tooloo("requests")

    lines = shown.stdout.splitlines()
    assert lines[0][20:] == f"  {LONG}  ok"
    assert lines[1] == "  deepseek/deepseek-chat · 100 ms · $0.500000 · fell over"
    assert lines[2].endswith("Z  b  all_attempts_failed")
    assert lines[3].startswith("  nobody · 100 ms")
    assert lines[4].startswith("2 of 2 from 20")
    assert max(map(len, lines)) <= 80


def test_requests_are_filtered_and_paged(tooloo: Tooloo, system: System) -> None:
    log(system, *(entry(f"r{n}", n + 1) for n in range(5)), entry("ci", 90, key="ci", latency_ms=9000))

    assert "ci  ok" in tooloo("requests", "--key", "ci", "--min-ms", "5000").stdout
    assert "no requests" in tooloo("requests", "--key", "ci", "--since", "1h").stdout
    assert "no requests" in tooloo("requests", "--fell-over").stdout
    first = tooloo("requests", "--since", "1h", "-n", "3").stdout.splitlines()
    assert first[-2].startswith("3 of 5 from")
    cursor = first[-1].removeprefix("more: --before ")
    second = json.loads(tooloo("requests", "--since", "1h", "-n", "3", "--before", cursor, "--json").stdout)
    assert [each["requestId"] for each in second["requests"]] == ["r3", "r4"]


def test_what_the_api_refuses_is_said(tooloo: Tooloo) -> None:
    refused = tooloo("requests", "--task", "poetry")

    assert refused.exit_code == 2
    assert "taskType must be one of default, creative, code, analysis: got 'poetry'" in refused.stderr


def test_usage_adds_rounds_and_traffic_within_80_columns(tooloo: Tooloo, system: System) -> None:
    run_round(system)
    probes = len(system.services.targets) * len(system.services.prompts)
    failed = {"provider": None, "model": None, "status": "x", "cost_usd": None, "failed_provider": "openai"}
    with database.transaction(system.services.sessions) as session:
        rows = [entry("a", simulated=True), entry("b", simulated=True, **failed, failed_model="gpt-4.1-mini")]
        requests.store(session, rows)
    rolling.roll_up(system.services)

    shown = tooloo("usage")

    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["day", "provider", "requests", "failed", "live", "USD", "rounds", "USD", "USD"]
    assert max(map(len, lines)) <= 80
    total = next(line for line in lines if line.startswith("all, SIMULATED"))
    assert total.split()[-5:] == ["2", "1", "0.5000", f"{0.001 * probes:.4f}", f"{0.5 + 0.001 * probes:.4f}"]
    assert lines[-1] == f"rounds: ${0.001 * probes:.4f} of $10 in 24 h, ${10 - 0.001 * probes:.4f} left"
    by_key = json.loads(tooloo("usage", "--by", "key", "--since", "7d", "--json").stdout)
    assert by_key["by"] == ["key"]
