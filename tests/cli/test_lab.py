"""tooloo lab, as it is typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli.lab import lab as command
from app.config_files import load_prompts
from tests.lab import traces
from tests.lab.calls import OPENAI, raw_request
from tests.support.lab import CONFIG, RunningLab, running_lab
from tests.support.ports import free_port
from tests.support.waiting import wait_until


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningLab]:
    with running_lab(instant=False) as running:
        monkeypatch.setenv("TOOLOO_LAB_URL", running.url)
        yield running


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, terminal_width=200)


def test_set_changes_figures_and_show_marks_them(lab: RunningLab) -> None:
    done = run("set", "deepseek", "latency=450", "error_rate=0.1", "error_kind=overloaded", "prompt_quality.poem=0.3")
    assert done.exit_code == 2  # there is no prompt of that name
    done = run("set", "deepseek", "latency=450", "error_rate=0.1", "error_kind=overloaded")
    assert (done.exit_code, done.output) == (
        0,
        "deepseek: latency = 450.0, error_rate = 0.1, error_kind = overloaded\n",
    )
    shown = run("show").output
    (row,) = [line for line in shown.splitlines() if "deepseek" in line]
    assert "SIMULATED" in shown
    assert row.split()[:5] == ["deepseek", "*450", "5000", "*0.1", "*overloaded"]


def test_show_as_json_holds_figures_and_counters(lab: RunningLab) -> None:
    lab.set("openai", error_rate=0, latency=0)
    OPENAI.call(lab)
    shown = json.loads(run("show", "--json").output)
    assert shown["simulated"] is True
    assert shown["providers"]["openai"]["quality"] == 0.91
    assert shown["requests"]["openai"]["calls"] == 1


def test_reset_undoes_changes_or_switches_the_profile(lab: RunningLab) -> None:
    run("set", "deepseek", "latency=450")
    assert run("reset").exit_code == 0
    assert json.loads(run("show", "--json").output)["providers"]["deepseek"]["latency"] == 240
    assert json.loads(run("reset", "--profile", "realistic", "--json").output)["profile"] == "realistic"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("set", "openai", "latency"), "write FIGURE=VALUE"),
        (("set", "openai", "latency=fast"), "latency: Input should be a valid number"),
        (("set", "openai", "latency=NaN"), "latency: Input should be a valid number"),
        (("set", "openai", "speed=1"), "it has: latency, sigma"),
        (("set", "nobody", "latency=1"), "deepseek, gemini, anthropic, openai"),
        (("reset", "--profile", "fantastic"), "standard, realistic"),
        (("fly",), "No such command"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_is_right(
    lab: RunningLab, arguments: tuple[str, ...], part: str
) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert part in done.output


@pytest.mark.parametrize("arguments", [("show",), ("set", "openai", "latency=1"), ("reset",)])
def test_without_a_lab_the_exit_code_is_3(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.setenv("TOOLOO_LAB_URL", f"http://127.0.0.1:{free_port()}")
    done = run(*arguments)
    assert done.exit_code == 3
    assert "no lab answers" in done.output


@pytest.mark.parametrize("arguments", [(), ("show",), ("set",), ("reset",), ("serve",), ("config",)])
def test_every_help_holds_an_example(arguments: tuple[str, ...]) -> None:
    assert "Example:  tooloo lab" in run(*arguments, "--help").output


def test_config_writes_the_folder_of_a_trace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOOLOO_CONFIG_DIR", str(CONFIG))
    arguments = ("config", str(traces.write(tmp_path)), "--output", str(tmp_path / "new"), "--speed", "50", "--json")
    done = run(*arguments)
    assert json.loads(done.output)["speed"] == 50
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "policy.toml",
        "prompts.toml",
        "providers.toml",
    ]
    assert run(*arguments).exit_code == 1


def serve(*arguments: str, **environment: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """`tooloo lab serve`, and what it says as soon as it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli.main", "lab", "serve", "--json", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=CONFIG.parent,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_on_a_signal_though_calls_hang(ending: signal.Signals) -> None:
    process, said = serve("--port", str(free_port()))
    with process:
        lab = RunningLab(said["url"])
        lab.set("openai", error_rate=1, error_kind="timeout")
        with raw_request(lab, json.dumps(dict(OPENAI.body)).encode()):
            wait_until(lambda: lab.get("/lab/requests")["providers"]["openai"]["inProgress"])
            process.send_signal(ending)
            assert process.wait(10) == 0


def test_serve_plays_a_trace(tmp_path: Path) -> None:
    process, said = serve("--port", str(free_port()), "--trace", str(traces.write(tmp_path)), "--speed", "10")
    with process:
        assert said["providers"] == ["azure.west", "groq"]
        assert RunningLab(said["url"]).get("/lab/trace")["speed"] == 10
        process.terminate()


def test_a_seed_repeats_which_calls_fail_whatever_they_ask() -> None:
    def failures(question: str) -> list[bool]:
        process, said = serve("--port", str(free_port()), TOOLOO_LAB_SEED="5")
        with process:
            lab = RunningLab(said["url"])
            lab.set("openai", latency=0, fail_latency=0, tokens_per_s=1e9, error_rate=0.5)
            asked = [{"role": "user", "content": question}]
            statuses = [OPENAI.call(lab, messages=asked).status_code for _ in range(20)]
            process.terminate()
        return [status != 200 for status in statuses]

    graded = next(prompt.text for prompt in load_prompts(CONFIG) if prompt.id == "simple-qa")
    drawn = failures("What is 2 + 2?")
    assert drawn == failures(graded)
    assert 0 < sum(drawn) < 20


def test_serve_records_the_bodies_it_gets_and_no_key(tmp_path: Path) -> None:
    file = tmp_path / "bodies.jsonl"
    process, said = serve("--port", str(free_port()), TOOLOO_LAB_RECORD=str(file))
    with process:
        OPENAI.call(RunningLab(said["url"]), max_tokens=7)
        process.terminate()
    (line,) = map(json.loads, file.read_text().splitlines())
    assert (line["path"], json.loads(line["body"])["max_tokens"]) == ("/openai/chat/completions", 7)
    assert sorted(line) == ["body", "client", "path"]


def test_serve_says_where_it_cannot_record(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["serve"], env={"TOOLOO_LAB_RECORD": str(tmp_path / "none" / "file")})
    assert done.exit_code == 1
    assert "TOOLOO_LAB_RECORD" in str(done.exception or done.output)


def test_serve_says_in_one_line_that_its_port_is_taken(lab: RunningLab) -> None:
    port = lab.url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "app.cli.main", "lab", "serve", "--port", port],
        capture_output=True,
        text=True,
        cwd=CONFIG.parent,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"port {port}" in done.stderr
