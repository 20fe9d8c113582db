"""tooloo doctor, as it is typed: against the lab, and against a server that tells what a test wants."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli.main import cli
from tests.providers.server import Server, whole
from tests.support.lab import CONFIG, RunningLab, running_lab
from tests.support.ports import free_port

KEY = "sk-test-0123456789abcdef"
#: a provider of each format, at the test's server
BLOCKS = """
[one]
format = "openai"
base_url = "{url}/v1"
key_env = "ONE_KEY"
models = ["tiny-1"]
prices."tiny-1" = {{ input = 1.0, output = 2.0 }}

[two]
format = "anthropic"
base_url = "{url}"
key_env = "TWO_KEY"
models = ["claude-haiku-4-5"]
price_provider = "anthropic"

[three]
format = "gemini"
base_url = "{url}"
key_env = "THREE_KEY"
models = ["gemini-2.5-flash"]
price_provider = "google"
"""
LISTS = {
    "/v1/models": {"data": [{"id": "tiny-1"}, {"id": "claude-haiku-4-5-20251001"}]},
    "/v1beta/models": {"models": [{"name": "models/gemini-2.5-flash"}]},
}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(lambda request: listed(request.path)) as running:
        yield running


def listed(path: str) -> Any:
    return whole(200, {"content-type": "application/json"}, json.dumps(LISTS[path.partition("?")[0]]).encode())


class Doctor:
    """The command with a config folder and an environment of the test's own."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(CONFIG, folder, ignore=shutil.ignore_patterns("runtime.json"))
        self.providers = folder / "providers.toml"
        self.environment = {
            "TOOLOO_CONFIG_DIR": str(folder),
            "TOOLOO_PORT": str(free_port()),
            "TOOLOO_LAB_PORT": str(free_port()),
            **{f"{name}_API_KEY": "" for name in ("DEEPSEEK", "GEMINI", "ANTHROPIC", "OPENAI")},
            **{f"{name}_KEY": KEY for name in ("ONE", "TWO", "THREE")},
        }

    def sees(self, *arguments: str) -> tuple[dict[tuple[str, str], dict[str, str]], int]:
        """Findings by subject and check, and the exit code."""
        done = CliRunner().invoke(cli, ["doctor", "--json", *arguments], env=self.environment)
        assert KEY not in done.output
        findings = json.loads(done.output)["findings"]
        assert all(finding["fix"] for finding in findings if finding["state"] == "fail")
        return {(finding["subject"], finding["check"]): finding for finding in findings}, done.exit_code


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.chdir(tmp_path)  # no .env here
    return Doctor(tmp_path / "config")


@pytest.fixture
def at_server(doctor: Doctor, server: Server) -> Doctor:
    doctor.providers.write_text(BLOCKS.format(url=server.url))
    return doctor


@pytest.fixture
def lab(doctor: Doctor) -> Iterator[RunningLab]:
    with running_lab() as running:
        doctor.environment["TOOLOO_LAB_URL"] = running.url
        yield running


def test_nothing_is_wrong_where_nothing_is(at_server: Doctor) -> None:
    seen, code = at_server.sees()
    assert code == 0
    for name in ("one", "two", "three"):
        states = {check: finding["state"] for (subject, check), finding in seen.items() if subject == name}
        assert states == {"key": "ok", "price": "ok", "reachable": "ok", "model": "ok", "clock": "note"}


def test_the_lab_is_looked_at_where_no_key_is_set_and_is_said_to_be_simulated(doctor: Doctor, lab: RunningLab) -> None:
    seen, code = doctor.sees("--call")
    assert code == 0
    assert "simulated" in seen["gemini", "key"]["detail"]
    assert seen["gemini", "clock"]["state"] == "ok"
    assert "tokens, $" in seen["anthropic", "call"]["detail"]


def test_a_call_that_fails_is_told_with_its_cure(doctor: Doctor, lab: RunningLab) -> None:
    lab.set("openai", error_rate=1, error_kind="out_of_credit")
    seen, code = doctor.sees("--call", "--provider", "openai")
    assert code == 1
    assert seen["openai", "call"]["state"] == "fail"
    assert seen["openai", "call"]["fix"] == "add credit to the provider account"
    assert ("deepseek", "key") not in seen


def test_a_provider_without_a_key_is_left_out_and_no_failure(doctor: Doctor) -> None:
    seen, code = doctor.sees()
    assert code == 0
    assert seen["deepseek", "key"]["state"] == "note"
    assert "DEEPSEEK_API_KEY" in seen["deepseek", "key"]["fix"]
    assert ("deepseek", "reachable") not in seen


def test_a_value_that_is_no_key_is_a_failure_of_this_provider_alone(at_server: Doctor) -> None:
    at_server.environment["TWO_KEY"] = "<your key>"
    seen, code = at_server.sees()
    assert code == 1
    assert seen["two", "key"]["state"] == "fail"
    assert seen["one", "model"]["state"] == "ok"


def test_a_refused_key_is_told_apart_from_a_provider_out_of_reach(at_server: Doctor, server: Server) -> None:
    refusal = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}
    server.answer = lambda _: whole(401, {}, json.dumps(refusal).encode())
    seen, code = at_server.sees("--provider", "one")
    assert code == 1
    assert seen["one", "reachable"]["state"] == "ok"
    assert seen["one", "key"]["state"] == "fail"

    at_server.providers.write_text(BLOCKS.format(url=f"http://127.0.0.1:{free_port()}"))
    seen, code = at_server.sees("--provider", "one")
    assert (code, seen["one", "reachable"]["state"]) == (1, "fail")
    assert "base_url" in seen["one", "reachable"]["fix"]


def test_a_model_that_is_not_listed_is_named_with_its_neighbours(at_server: Doctor) -> None:
    text = at_server.providers.read_text().replace('["tiny-1"]', '["tiny-2"]')
    at_server.providers.write_text(text)
    seen, code = at_server.sees("--provider", "one")
    assert code == 1
    assert "tiny-2: the provider does not list it; it has tiny-1" in seen["one", "model"]["detail"]


def test_a_provider_without_a_list_of_models_is_no_failure(at_server: Doctor, server: Server) -> None:
    server.answer = lambda _: whole(404, {}, b"not here")
    seen, code = at_server.sees("--provider", "one")
    assert (code, seen["one", "model"]["state"]) == (0, "note")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": 3}', b'{"data": [{}]}', b"\xff\xfe", b'{"data": null}'])
def test_a_list_of_models_may_be_anything(at_server: Doctor, server: Server, body: bytes) -> None:
    server.answer = lambda _: whole(200, {}, body)
    seen, code = at_server.sees("--provider", "one")
    assert (code, seen["one", "model"]["state"]) == (0, "note")


def test_an_unknown_price_is_a_failure_with_the_block_that_mends_it(at_server: Doctor) -> None:
    text = at_server.providers.read_text().replace('prices."tiny-1"', '# prices."tiny-1"')
    at_server.providers.write_text(text)
    seen, code = at_server.sees("--provider", "one")
    assert code == 1
    assert '[one.prices."tiny-1"]' in seen["one", "price"]["fix"]


def test_a_clock_that_is_wrong_is_told(at_server: Doctor, server: Server) -> None:
    headers = {"content-type": "application/json", "date": "Tue, 01 Jan 2030 00:00:00 GMT"}
    body = json.dumps(LISTS["/v1/models"]).encode()
    server.answer = lambda _: whole(200, headers, body)
    seen, code = at_server.sees("--provider", "one")
    assert code == 1
    assert "NTP" in seen["one", "clock"]["fix"]


def test_a_wrong_config_file_is_a_finding(doctor: Doctor) -> None:
    doctor.providers.write_text("[one]\nformat = 'opnai'\n")
    seen, code = doctor.sees()
    assert code == 1
    assert "one.format" in seen["config", "files"]["detail"]


def test_what_people_read_names_the_fix(at_server: Doctor, server: Server) -> None:
    server.answer = lambda _: whole(404, {}, b"not here")
    at_server.environment["TWO_KEY"] = ""
    done = CliRunner().invoke(cli, ["doctor"], env=at_server.environment)
    assert done.exit_code == 0
    assert "set TWO_KEY in the environment or in .env" in " ".join(done.output.split())
    assert "nothing is wrong" in done.output
