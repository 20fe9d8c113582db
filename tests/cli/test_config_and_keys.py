"""`tooloo config` and `tooloo keys` against a served API."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from app.cli import chat
from app.cli.main import cli
from app.evidence import ingest
from tests.support.cli_reference import every_command
from tests.support.ports import free_port
from tests.support.rounds import run_round
from tests.support.served import served
from tests.support.system import ROOT, System
from tests.support.waiting import wait_until

Tooloo = Callable[..., Result]


@pytest.fixture
def tooloo(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tooloo]:
    monkeypatch.chdir(tmp_path)
    with served(system) as url, capture_logs():  # the server logs here: not into what a command prints

        def run(*arguments: str, stdin: str | None = None, key: str = "", code: int = 0) -> Result:
            variables = {"TOOLOO_URL": url, "TOOLOO_ADMIN_KEY": key, "TOOLOO_API_KEY": ""}
            result = CliRunner().invoke(cli, arguments, env=variables, input=stdin)
            assert result.exit_code == code, result.output
            return result

        monkeypatch.setenv("TOOLOO_URL", url)
        yield run


def test_a_config_goes_out_and_back_in_and_its_history_can_be_read(tooloo: Tooloo, tmp_path: Path) -> None:
    tooloo("config", "set", "explorationRate=0.2", "pins.explorationRate=true", "--reason", "quiet", "--by", "anna")

    history = tooloo("config", "history", "--last", "1").stdout
    assert "2  anna: quiet" in history
    assert "global.explorationRate: 0.1 → 0.2" in history
    assert "pins.explorationRate: false → true" in tooloo("config", "diff", "1").stdout

    tooloo("config", "export", "--output", "kept.json")
    assert json.loads((tmp_path / "kept.json").read_text()) == json.loads(tooloo("config", "export").stdout)
    assert tooloo("config", "reset", "--yes").stdout == "version 3\n"
    assert tooloo("config", "get", "global.explorationRate").stdout == "0.1\n"
    tooloo("config", "import", "kept.json")
    assert tooloo("config", "get", "global.explorationRate").stdout == "0.2\n"
    assert "imported from kept.json" in tooloo("config", "history", "--last", "1").stdout
    document = json.loads(tooloo("config", "rollback", "1", "--json").stdout)
    assert (document["version"], document["global"]["explorationRate"]) == ("5", 0.1)


def test_a_number_may_be_written_as_people_do(tooloo: Tooloo) -> None:
    tooloo("config", "set", "weights.latency=.7", "explorationRate=.2", "updateFrequency=90000.")

    assert json.loads(tooloo("config", "get", "weights").stdout)["latency"] == 0.7
    assert tooloo("config", "get", "explorationRate").stdout == "0.2\n"
    assert tooloo("config", "get", "updateFrequency").stdout == "90000\n"


def test_what_cannot_be_done_is_said_in_one_line(tooloo: Tooloo) -> None:
    assert "there is no version 99" in tooloo("config", "rollback", "99", code=2).output
    assert "is not JSON" in tooloo("config", "import", "-", stdin="{", code=1).output
    assert "features.x" in tooloo("config", "import", "-", stdin='{"features": {"x": 1}}', code=2).output
    assert "Aborted" in tooloo("config", "reset", stdin="n\n", code=1).output
    assert "there is no key" in tooloo("keys", "revoke", "nobody", code=2).output


def test_keys_are_made_listed_and_revoked(tooloo: Tooloo) -> None:
    admin = json.loads(tooloo("keys", "create", "ops", "--scope", "admin", "--json").stdout)
    assert "this needs an admin key" in tooloo("keys", "list", code=5).output

    made = tooloo(
        "keys", "create", "app", "--segment", "free", "--rate", "60", "--parameters", "strict", key=admin["key"]
    )
    secret = made.stdout.strip()
    key_id = secret.split("_")[1]
    assert key_id in made.stderr
    listed = tooloo("keys", "list", key=admin["key"]).stdout
    assert all(word in listed for word in (key_id, "free", "60", "strict", "active", "ops"))
    assert secret not in listed
    changed = tooloo(
        "keys", "set", key_id, "--rate", "none", "--day-usd", "2", "--zone", "Asia/Tokyo", key=admin["key"]
    )
    assert changed.stdout == f"key {key_id} (app): 0 of 2 USD a day (Asia/Tokyo)\n"
    again = tooloo("keys", "set", key_id, "--month-usd", "9", "--soft", "--json", key=admin["key"])
    budget = {"dayUsd": 2.0, "monthUsd": 9.0, "zone": "Asia/Tokyo", "hard": False}
    assert (json.loads(again.stdout)["budget"], json.loads(again.stdout)["ratePerMinute"]) == (budget, None)
    none = tooloo("keys", "set", key_id, "--day-usd", "none", "--month-usd", "none", key=admin["key"])
    assert none.stdout == f"key {key_id} (app): no limits\n"
    assert (
        "no zone of the IANA"
        in tooloo("keys", "set", key_id, "--day-usd", "1", "--zone", "X", key=admin["key"], code=2).output
    )
    assert "--day-usd or --month-usd" in tooloo("keys", "set", key_id, "--soft", key=admin["key"], code=2).output
    assert "last key with the scope" in tooloo("keys", "revoke", admin["id"], key=admin["key"], code=6).output
    assert "is revoked" in tooloo("keys", "revoke", key_id, key=admin["key"]).stdout
    assert "revoked" in tooloo("keys", "list", key=admin["key"]).stdout


def test_get_and_set_take_the_same_names(tooloo: Tooloo) -> None:
    tooloo("config", "set", "global.providerWeights.latency=0.6", "explorationRate=0.2")

    assert tooloo("config", "get", "weights.latency").stdout == "0.6\n"
    assert tooloo("config", "get", "global.providerWeights.latency").stdout == "0.6\n"
    assert tooloo("config", "get", "explorationRate").stdout == "0.2\n"
    wrong = tooloo("config", "get", "weights.speed", code=2).output
    assert "there is no 'weights.speed'; there are: weights.latency, weights.cost, weights.reliability" in wrong


def test_chat_takes_what_is_piped_in_a_system_prompt_and_a_model(tooloo: Tooloo, system: System) -> None:
    tooloo("chat", "sum up", "--system", "Be brief.", "--model", "gemini/gemini-2.5-flash", stdin="a text")
    tooloo("chat", "-", stdin="alone")
    tooloo("chat", stdin="without a dash")

    asked = [[(turn.role, turn.content) for turn in request.messages] for _, request in system.client.calls]
    assert asked[0] == [("system", "Be brief."), ("user", "sum up\n\na text")]
    assert system.client.calls[0][0] == "gemini"
    assert [turns[-1][1] for turns in asked[1:]] == ["alone", "without a dash"]
    assert "there is nothing to ask" in tooloo("chat", stdin="", code=2).output
    assert "there is no model 'gemini/nothing'" in tooloo("chat", "x", "--model", "gemini/nothing", code=2).output


def test_chat_asks_what_is_given_where_there_is_no_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under `<&-`, in which Python has no sys.stdin at all."""
    monkeypatch.setattr(sys, "stdin", None)

    assert chat._asked("hi") == "hi"
    with pytest.raises(click.UsageError, match="standard input cannot be read"):
        chat._asked("-")


def test_a_round_can_be_watched_by_its_id(tooloo: Tooloo, system: System) -> None:
    round_id = run_round(system)

    assert json.loads(tooloo("benchmark", "--watch", round_id, "--json").stdout)["id"] == round_id
    assert "starts no round" in tooloo("benchmark", "--watch", round_id, "--provider", "gemini", code=2).output
    tooloo("benchmark", "--watch", "benchmark-1", code=2)


def completed(words: str, incomplete: str) -> list[str]:
    shell = ShellComplete(cli, {}, "tooloo", "_TOOLOO_COMPLETE")
    return [item.value for item in shell.get_completions(words.split(), incomplete)]


def test_names_are_completed_and_the_shell_is_told_how(tooloo: Tooloo, tmp_path: Path) -> None:
    if not (tmp_path / "config").exists():
        (tmp_path / "config").symlink_to(ROOT / "config", target_is_directory=True)

    assert set(completed("chat --provider", "dee")) == {"deepseek"}
    assert set(completed("chat --model", "gemini/")) == {"gemini/gemini-2.5-flash"}
    assert set(completed("benchmark --prompt", "maths")) == {"maths-problem"}
    assert set(completed("lab set deepseek", "late")) == {"latency="}
    assert set(completed("requests --asked", "auto:c")) == {"auto:code", "auto:creative"}
    assert set(completed("replay --policy", "fixed:g")) == {"fixed:gemini"}
    assert "_TOOLOO_COMPLETE=bash_complete" in tooloo("completion", "bash").stdout


def test_what_the_api_knows_is_completed_too(tooloo: Tooloo, system: System) -> None:
    round_id = run_round(system)
    key_id = json.loads(tooloo("keys", "create", "mobile app", "--json").stdout)["id"]
    tooloo("config", "set", 'segments.free={"weights": {"latency": 0.1, "cost": 0.8, "reliability": 0.1}}')
    tooloo("chat", "hello")
    wait_until(lambda: ingest.ingest(system.services) > 0, what="the request in the log")
    (request,) = json.loads(tooloo("requests", "--json").stdout)["requests"]

    assert completed("benchmark --watch", "bench") == [round_id]
    assert completed("explain", "") == [request["requestId"]]
    assert completed("keys revoke", "") == [key_id]
    assert completed("requests --key", "mob") == ["mobile app"]
    assert completed("keys create x --segment", "") == ["free"]
    assert completed("config rollback", "") == ["3", "2", "1"]


def test_without_an_api_nothing_is_completed_and_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLOO_URL", f"http://127.0.0.1:{free_port()}")

    assert completed("explain", "") == []


#: parameters that name something
NAMES = {
    "provider", "providers", "only", "model", "tried", "asked", "key", "key_id", "segment", "task", "prompts",
    "watched", "policies", "request_id", "version", "start", "end", "path", "assignments", "config",
}  # fmt: skip


def test_whatever_takes_a_name_completes_it() -> None:
    bare = [
        f"{context.command_path} {parameter.name}"
        for command, context in every_command()
        for parameter in command.params
        if parameter.name in NAMES and parameter._custom_shell_complete is None
        and not getattr(parameter, "is_flag", False) and not isinstance(parameter.type, click.Choice)
    ]  # fmt: skip
    assert bare == []
