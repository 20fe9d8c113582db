"""SIGHUP to `tooloo api`: new processes take over, the old ones end what they have begun."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
import requests

from tests.support.commands import serving
from tests.support.lab import SENTENCE, running_lab
from tests.support.ports import free_port
from tests.support.stack import TOOLOO
from tests.support.system import ROOT
from tests.support.waiting import wait_until

CALLERS = 6


@pytest.fixture
def api(
    request: pytest.FixtureRequest, database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`tooloo api` with two processes (or `param`), in front of a lab whose answers take a while."""
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config, ignore=shutil.ignore_patterns("runtime.json"))
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    with running_lab() as lab:
        for name in ("deepseek", "gemini", "anthropic", "openai"):
            lab.set(name, latency=200, tokens_per_s=100)
        environment = {
            **clean,
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "TOOLOO_LAB_URL": lab.url,
            "TOOLOO_CONFIG_DIR": str(config),
            "TOOLOO_DATA_DIR": str(tmp_path / "data"),
            "TOOLOO_PORT": str(free_port()),
            "TOOLOO_API_PROCESSES": str(getattr(request, "param", 2)),
        }
        url = f"http://127.0.0.1:{environment['TOOLOO_PORT']}"
        with (tmp_path / "api.log").open("wb") as log:
            process = subprocess.Popen([*TOOLOO, "api"], env=environment, cwd=tmp_path, stdout=log, stderr=log)
        try:
            wait_until(lambda: _answers(url), 60, "the API answers")
            yield url, process
        finally:
            process.terminate()
            process.wait(30)


def test_a_reload_under_load_loses_no_request(api: tuple[str, subprocess.Popen[bytes]]) -> None:
    url, process = api
    before = serving(process.pid)
    over = Event()

    def caller(number: int) -> list[str]:
        """Every second one streams; each request has a connection of its own."""
        got = []
        while not over.is_set():
            got.append(_ask(url, stream=number % 2 == 0))
        return got

    with ThreadPoolExecutor(CALLERS) as pool:
        asked = [pool.submit(caller, number) for number in range(CALLERS)]
        try:
            process.send_signal(signal.SIGHUP)
            wait_until(
                lambda: len(serving(process.pid) - before) == 2 and not serving(process.pid) & before, 60, "reloaded"
            )
            said = {_ask(url, stream=stream) for stream in (False, True)}
        finally:
            over.set()
        got = [text for each in asked for text in each.result()]

    assert said == {SENTENCE}
    assert len(got) >= CALLERS
    assert set(got) == {SENTENCE}


@pytest.mark.parametrize("api", [1], indirect=True)  # one that answers has read its files
def test_a_reload_that_could_not_start_leaves_all_as_it_is(
    api: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    url, process = api
    before = serving(process.pid)
    (tmp_path / "config" / "policy.toml").write_text("[gateway]\nhedge_share = 7.0\n")
    printed = tmp_path / "api.log"

    process.send_signal(signal.SIGHUP)
    wait_until(lambda: "not reloaded" in printed.read_text(), 60, "the reload is refused")

    assert "gateway.hedge_share: must be a share" in printed.read_text()
    assert serving(process.pid) == before
    assert _ask(url, stream=False) == SENTENCE


@pytest.mark.timeout(300)
@pytest.mark.parametrize("api", [1], indirect=True)
def test_a_provider_comes_and_a_wrong_file_is_said_without_a_restart(
    api: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    url, _ = api
    file = tmp_path / "config" / "providers.toml"
    block = '[ollama]\nformat = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodels = ["llama3.2"]\n'
    file.write_text(f"{file.read_text()}\n{block}")
    wait_until(lambda: "ollama/llama3.2" in _models(url), 200, "it serves the new provider")
    file.write_text(block.replace("models", "modles"))  # of which it has none then

    wait_until(lambda: "ollama.models" in _files(url), 30, "it says what is wrong")
    wait_until(lambda: "not taken over" in (tmp_path / "api.log").read_text(), 60, "the log says so too")
    assert "ollama/llama3.2" in _models(url)


def _models(url: str) -> set[str]:
    return {each["id"] for each in requests.get(f"{url}/v1/models", timeout=10).json()["data"]}


def _files(url: str) -> str:
    return str(requests.get(f"{url}/readyz", timeout=10).json()["data"]["checks"]["files"])


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except requests.ConnectionError:
        return False


def _ask(url: str, *, stream: bool) -> str:
    """The answer's text, or what went wrong."""
    body = {"model": "auto", "stream": stream, "messages": [{"role": "user", "content": "What is a mutex?"}]}
    try:
        response = requests.post(f"{url}/v1/chat/completions", json=body, timeout=30)
    except requests.RequestException as error:
        return repr(error)
    if not response.ok:
        return response.text
    if not stream:
        return str(response.json()["choices"][0]["message"]["content"])
    *events, last = [event.removeprefix("data: ") for event in response.content.decode().strip().split("\n\n")]
    text = "".join(json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events)
    return text if last == "[DONE]" else f"{text} without its end"
