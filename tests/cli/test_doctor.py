"""tooloo doctor, as it is typed."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli.main import cli
from tests.providers.server import Server, whole
from tests.support.forward_proxy import ForwardProxy
from tests.support.lab import CONFIG, RunningLab, running_lab

KEYS = ("DEEPSEEK_API_KEY", "GEMINI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY")


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no server, no .env, no lab."""
    monkeypatch.chdir(tmp_path)
    for name in (*KEYS, "DATABASE_URL", "REDIS_URL", "TOOLOO_LAB_URL"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("TOOLOO_LAB_PORT", str(free.getsockname()[1]))
        monkeypatch.setenv("TOOLOO_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setenv("TOOLOO_CONFIG_DIR", str(CONFIG))


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(cli, ["doctor", *arguments], terminal_width=200)


def checks(result: Result) -> dict[tuple[str, str], Any]:
    return {(each["subject"], each["check"]): each for each in json.loads(result.output)["checks"]}


@pytest.mark.usefixtures("nowhere")
def test_machine_without_keys_is_told_what_to_set_and_fails_nothing() -> None:
    result = run("--json")
    assert result.exit_code == 0, result.output
    found = checks(result)
    assert {found[name, "key"]["status"] for name in ("deepseek", "gemini", "anthropic", "openai")} == {"warning"}
    assert "OPENAI_API_KEY" in found["openai", "key"]["fix"]
    assert found["servers", "postgres"]["status"] == found["servers", "redis"]["status"] == "skipped"
    assert "process of its own" in found["graders", "jail"]["detail"] or sys.platform != "linux"


@pytest.mark.usefixtures("nowhere")
def test_lab_is_looked_over_where_no_key_is_set() -> None:
    with running_lab() as lab:
        result = run("--json", "--call", TOOLOO_LAB_PORT=lab.url.rpartition(":")[2])
    document = json.loads(result.output)
    assert (result.exit_code, document["ok"], document["simulated"]) == (0, True, True)
    per_provider = [each for each in document["checks"] if each["subject"] == "gemini"]
    assert {each["check"]: each["status"] for each in per_provider} == dict.fromkeys(
        ("key", "reachable", "model", "clock", "price", "call"), "ok"
    )


def real(lab: RunningLab, folder: Path) -> str:
    """A config folder whose openai is a "real" one, at the lab's address; its path."""
    for file in ("prompts.toml", "policy.toml"):
        (folder / file).write_bytes((CONFIG / file).read_bytes())
    block = f'[openai]\nformat = "openai"\nbase_url = "{lab.url}/openai"\nkey_env = "OPENAI_API_KEY"\n'
    (folder / "providers.toml").write_text(block + 'models = ["gpt-4.1-mini"]\n', encoding="utf-8")
    return str(folder)


@pytest.mark.usefixtures("nowhere")
def test_failed_call_is_shown_with_its_fix_and_never_with_the_key(tmp_path: Path) -> None:
    key = "sk-secret-0123456789abcdef"
    with running_lab() as lab:
        lab.set("openai", error_rate=1, error_kind="bad_key")
        result = run("--call", TOOLOO_CONFIG_DIR=real(lab, tmp_path), OPENAI_API_KEY=key)
    assert result.exit_code == 1
    assert "✗" in result.output
    assert "OPENAI_API_KEY" in result.output.partition("✗")[2]
    assert key not in result.output


@pytest.mark.usefixtures("nowhere")
def test_placeholder_is_not_taken_for_a_key() -> None:
    result = run("--json", OPENAI_API_KEY="your-key-here")
    assert result.exit_code == 1
    assert checks(result)["openai", "key"]["status"] == "failed"


@pytest.mark.usefixtures("nowhere")
def test_broken_file_is_named(tmp_path: Path) -> None:
    with running_lab() as lab:
        folder = real(lab, tmp_path)
    (tmp_path / "providers.toml").write_text('[openai]\nformat = "morse"\n', encoding="utf-8")
    result = run("--json", TOOLOO_CONFIG_DIR=folder)
    assert result.exit_code == 1
    assert "openai.format" in checks(result)["config", "providers"]["detail"]


@pytest.mark.usefixtures("nowhere")
def test_servers_that_are_named_and_away_fail() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = checks(
        run(
            "--json",
            DATABASE_URL=f"postgresql://user:secret-word@127.0.0.1:{port}/db",
            REDIS_URL=f"redis://127.0.0.1:{port}/0",
        )
    )
    assert found["servers", "postgres"]["status"] == found["servers", "redis"]["status"] == "failed"
    assert "secret-word" not in str(found)


@pytest.mark.usefixtures("nowhere")
def test_provider_that_is_not_configured_is_a_wrong_usage() -> None:
    result = run("--provider", "nobody")
    assert result.exit_code == 2
    assert "deepseek, gemini, anthropic, openai" in result.output


@pytest.mark.usefixtures("nowhere")
def test_what_refusals_taught_a_running_gateway_is_shown() -> None:
    said = "it refused vision that another target served: no images"
    ready = {"ready": True, "refusals": {"deepseek/deepseek-chat": [said]}}
    with Server(lambda _: whole(200, {"content-type": "application/json"}, json.dumps(ready).encode())) as gateway:
        found = checks(run("--json", TOOLOO_URL=gateway.url))
        other = checks(run("--json", "--provider", "gemini", TOOLOO_URL=gateway.url))
    learned = found["deepseek/deepseek-chat", "refusals"]
    assert (learned["status"], learned["detail"]) == ("warning", said)
    assert other["gateway", "refusals"]["status"] == "ok"
    assert checks(run("--json"))["gateway", "refusals"]["status"] == "skipped"


@pytest.mark.usefixtures("nowhere")
def test_older_words_of_a_block_are_named_with_the_new_ones(tmp_path: Path) -> None:
    shutil.copytree(CONFIG, tmp_path / "config")
    block = '[some]\nformat = "openai"\nbase_url = "http://127.0.0.1:1"\nkey_env = "A_KEY"\nmodels = ["m"]\n'
    (tmp_path / "config" / "providers.toml").write_text(block + "prefill = true\n")
    found = checks(run("--json", TOOLOO_CONFIG_DIR=str(tmp_path / "config")))["some", "block"]
    assert (found["status"], 'capabilities = { prefill = "continued" }' in found["detail"]) == ("warning", True)


@pytest.mark.usefixtures("nowhere")
def test_a_reference_that_most_answers_of_the_latest_round_lie_beyond_is_a_warning() -> None:
    said = "30 of 40 answers took longer than 1000 ms, …"
    data = {"name": "latency_ref_ms", "reference": 1000.0, "beyond": 30}
    learned = {"kind": "reference", "text": "…", "data": {"name": "cost_ref_usd", "reference": 0.004}}
    insights = {"insights": [learned, {"kind": "reference", "text": said, "data": data}]}
    answer = json.dumps({"success": True, "data": insights}).encode()
    with Server(lambda _: whole(200, {"content-type": "application/json"}, answer)) as gateway:
        found = checks(run("--json", TOOLOO_URL=gateway.url))
    assert (found["config", "latency_ref_ms"]["status"], found["config", "latency_ref_ms"]["detail"]) == (
        "warning",
        said,
    )
    assert ("config", "cost_ref_usd") not in found
    assert ("config", "latency_ref_ms") not in checks(run("--json"))


@pytest.mark.usefixtures("nowhere")
def test_doctor_goes_the_way_the_block_says_and_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    shutil.copytree(CONFIG, config)
    answer = json.dumps({"data": [{"id": "m"}]}).encode()
    with Server(lambda _: whole(200, {}, answer)) as server:
        port = int(server.url.rpartition(":")[2])
        with ForwardProxy({"provider.invalid": port}, authorization="Basic dTpoaWRkZW4=") as proxy:
            (config / "providers.toml").write_text(
                '[behind]\nformat = "openai"\nbase_url = "http://provider.invalid/v1"\nmodels = ["m"]\n'
                'proxy = { env = "WAY_OUT" }\n'
            )
            monkeypatch.setenv("TOOLOO_CONFIG_DIR", str(config))

            result = run("--json", WAY_OUT=f"http://u:hidden@127.0.0.1:{proxy.port}")

    reached = checks(result)["behind", "reachable"]
    assert reached["status"] == "ok", result.output
    assert reached["detail"] == f"http://provider.invalid/v1 (through the proxy 127.0.0.1:{proxy.port})"
    assert proxy.first_lines[0].startswith("GET http://provider.invalid/v1/models")
    assert "hidden" not in result.output
