"""Every command of the pages runs, on one stack, and every JSON that they show is what comes."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cli import exits
from tests.docs import terminal
from tests.docs.forking import tooloo_in
from tests.docs.reading import SHELLS, Block, blocks, pages
from tests.docs.running import Reader
from tests.providers.server import Answer, Received, Server, whole
from tests.support.cli_reference import every_command
from tests.support.stack import Stack, stack
from tests.support.system import ROOT
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

#: s; on a machine that runs other tests as well
READY_S = 300
#: a provider as they are named where there are many
LONG_NAMES = """
[openrouter-europe-fallback]
format = "openai"
base_url = "https://openrouter.example/api/v1"
key_env = "OPENROUTER_EUROPE_KEY"
models = ["anthropic/claude-sonnet-4.5-20260929:thinking-extended"]
"""
#: where webhooks go, in the folder of each page: a line for each message
ALERTS = "alerts.jsonl"
#: blocks that no test can run, by page and reason: a new one has to be entered here, and looked at
NOT_RUN: Counter[tuple[str, str]] = Counter(
    {
        ("README.md", "minutes"): 2,
        ("README.md", "the lab has no moderations"): 1,
        ("README.md", "they start the stack and the tests"): 1,
        ("docs/cli.md", "it needs a DATABASE_URL of the reader's"): 2,
        ("docs/cli.md", "it serves until it is stopped"): 6,
        ("docs/cli.md", "it takes a trace of providers, which is no part of this repository"): 1,
        ("docs/cli.md", "it takes minutes, or files that a reader has"): 4,
        ("docs/deployment.md", "it needs Docker"): 5,
        ("docs/gateway.md", "Claude Code is a program of its own"): 1,
        ("docs/how-to/back-up-and-upgrade.md", "it needs the stack stopped"): 1,
        ("docs/how-to/behind-a-proxy.md", "it is another machine's address"): 1,
        ("docs/how-to/prometheus-and-grafana.md", "Prometheus is a server of its own"): 1,
        ("docs/routing.md", "minutes"): 1,
        ("docs/tutorial.md", "it starts the stack that these commands run against"): 1,
    }
)


def to_do(block: Block) -> bool:
    return block.language in {*SHELLS, "json"} and "not run" not in block.notes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("docs")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Stack]:
    """With Acme, as the tutorial tells to add it, a provider of long names, and a webhook."""
    config = folder / "config"
    config.mkdir()
    for file in (ROOT / "config").glob("*.toml"):
        (config / file.name).write_text(file.read_text())
    with (config / "providers.toml").open("a") as providers:
        providers.write(f"\n{own_provider()}\n\n{LONG_NAMES}\n")
    with Server(_taking(folder / ALERTS)) as hook:
        alerts = {
            "TOOLOO_ALERT_URL": f"{hook.url}/hook",
            "TOOLOO_ALERT_SECRET": "a secret of more than sixteen letters",
        }
        with stack(folder, ready_s=READY_S, **alerts) as started:
            wait_until(lambda: started.get("/api/v1/system/benchmark-results?limit=1")["latest"], 120, "a round")
            started.post("/api/v1/chat", {"message": "What is a mutex?"})
            wait_until(lambda: started.get("/api/v1/requests?limit=1")["requests"], 20, "a request in the log")
            with tooloo_in(folder, dict(started.environment)):
                yield started


def own_provider() -> str:
    """The block of the tutorial."""
    (block,) = [block for block in blocks("docs/tutorial.md") if block.language == "toml"]
    assert list(tomllib.loads(block.text)) == ["acme"]
    return block.text


def _taking(file: Path) -> Answer:
    def answer(received: Received) -> list[bytes]:
        with file.open("ab") as lines:
            lines.write(received.body + b"\n")
        return whole(204, {}, b"")

    return answer


@pytest.fixture
def reader(running: Stack, folder: Path, request: pytest.FixtureRequest) -> Iterator[Reader]:
    page = str(request.node.callspec.params["page"])
    made = Reader(running, folder / "readers" / page.replace("/", "-"), folder, folder / ALERTS)
    yield made
    made.leave()


@pytest.mark.parametrize("page", [page for page in pages() if any(map(to_do, blocks(page)))])
def test_every_command_and_every_json_of_the_page(page: str, reader: Reader) -> None:
    for block in filter(to_do, blocks(page)):
        if block.language == "json":
            reader.compare(block)
        else:
            reader.run(block)


#: what a command is given, where it needs something; {…}: names of what there is
GIVEN = {
    "tooloo benchmark": "--provider acme --prompt maths-problem",
    "tooloo chat": "hello --provider openrouter-europe-fallback",
    "tooloo config diff": "1",
    "tooloo config import": "exported.json",
    "tooloo config reset": "--yes",
    "tooloo config rollback": "1",
    "tooloo config set": "weights.latency=.6",
    "tooloo explain": "{request}",
    "tooloo grade": "simple-qa answer.txt",
    "tooloo keys create": "'the mobile application of the north' --segment free --rate 60 --parameters strict",
    "tooloo keys revoke": "{key}",
    "tooloo keys set": "{key} --rate 50",
    "tooloo lab set": "openrouter-europe-fallback latency=450 error_kind=timeout",
    "tooloo replay": "--from-history 7d",
    "tooloo usage": "--by day,key,segment,provider,model",
    "tooloo whatif": "--cost .8",
}
#: commands that print no table and no line of ours, or that serve until they are stopped
UNSHOWN = {
    *("tooloo up", "tooloo api", "tooloo worker", "tooloo beat", "tooloo flower", "tooloo migrate", "tooloo kickoff"),
    *("tooloo lab serve", "tooloo lab config", "tooloo completion"),
    *("tooloo config show", "tooloo config get", "tooloo config export"),
    # they take or print cases of a reader's own
    *("tooloo cases import", "tooloo cases export", "tooloo cases remove", "tooloo cases try"),
}


@pytest.fixture
def commands(running: Stack, folder: Path, tmp_path: Path) -> Iterator[Commands]:
    running.post("/api/v1/chat", {"message": "hello", "provider": "openrouter-europe-fallback"})
    reader = Reader(running, tmp_path / "reader", folder, folder / ALERTS)
    (reader.folder / "exported.json").write_text(json.dumps(running.get("/api/v1/system/runtime-config")))
    yield Commands(running, reader)
    reader.leave()


@dataclass(frozen=True)
class Commands:
    running: Stack
    reader: Reader

    def each(self) -> Iterator[tuple[str, list[str]]]:
        """Path and command line of every command that shows something."""
        for path in (context.command_path for _, context in every_command()):
            if path not in UNSHOWN:
                given = GIVEN.get(path, "")
                words = given.format(key=self._key(), request=self._request()) if "{" in given else given
                yield path, [str(self.reader.commands / "tooloo"), *path.split()[1:], *shlex.split(words)]

    def _key(self) -> str:
        made = self.running.post("/api/v1/system/keys", {"name": "a key that is revoked", "scopes": ["chat"]})
        return str(made["id"])

    def _request(self) -> str:
        return str(self.running.get("/api/v1/requests?limit=1")["requests"][0]["requestId"])


def test_every_command_fits_a_terminal_of_80_columns(commands: Commands) -> None:
    wide = {}
    for path, command in commands.each():
        code, shown = terminal.lines(command, commands.reader.environment(), commands.reader.folder)
        assert code in {exits.DONE, exits.NEEDS_YOU}, (path, shown)
        if path != "tooloo chat":  # what a model says is its own, and the terminal's to break
            wide |= {path: lines} if (lines := terminal.too_wide(shown)) else {}
    assert wide == {}


def test_every_command_says_it_in_json_too(commands: Commands) -> None:
    for path, command in commands.each():
        done = subprocess.run(
            [*command, "--json"], env=commands.reader.environment(), cwd=commands.reader.folder,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode in {exits.DONE, exits.NEEDS_YOU}, (path, done.stderr)
        assert json.loads(done.stdout) is not None, path


def test_what_cannot_run_here_is_listed_with_its_reason() -> None:
    skipped = [block for page in pages() for block in blocks(page) if "not run" in block.notes]

    assert Counter((block.page, block.notes["not run"]) for block in skipped) == NOT_RUN


def test_no_command_stands_in_a_block_that_is_not_run() -> None:
    """A fence without a language is for what is no command."""
    bare = [block for page in pages() for block in blocks(page) if not block.language]

    hidden = [
        block.place for block in bare if re.search(r"^(tooloo|curl|make|docker) ", block.text, flags=re.MULTILINE)
    ]
    assert hidden == []
