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
from tests.support.rounds import run_round
from tests.support.served import served
from tests.support.system import ROOT, System

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


def test_names_are_completed_and_the_shell_is_told_how(tooloo: Tooloo, tmp_path: Path) -> None:
    if not (tmp_path / "config").exists():
        (tmp_path / "config").symlink_to(ROOT / "config", target_is_directory=True)

    def completed(words: str, incomplete: str) -> set[str]:
        shell = ShellComplete(cli, {}, "tooloo", "_TOOLOO_COMPLETE")
        return {item.value for item in shell.get_completions(words.split(), incomplete)}

    assert completed("chat --provider", "dee") == {"deepseek"}
    assert completed("chat --model", "gemini/") == {"gemini/gemini-2.5-flash"}
    assert completed("benchmark --prompt", "maths") == {"maths-problem"}
    assert "_TOOLOO_COMPLETE=bash_complete" in tooloo("completion", "bash").stdout
