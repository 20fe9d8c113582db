"""`tooloo status`, and what the summary of `tooloo up` says of keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from app.cli.kickoff import broken
from app.cli.main import cli
from app.errors import BadKey
from app.providers.client import Client, Pool
from tests.operations.test_attention import fails_with
from tests.providers.calls import endpoint
from tests.providers.server import Server
from tests.providers.test_checkup import LISTS, json_answer, serve
from tests.support.rounds import run_round
from tests.support.served import served
from tests.support.system import System
from tests.support.waiting import wait_until

Tooloo = Callable[..., Result]


@pytest.fixture
def tooloo(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tooloo]:
    monkeypatch.chdir(tmp_path)
    with served(system) as url, capture_logs():

        def run(*arguments: str) -> Result:
            variables = {"TOOLOO_URL": url, "TOOLOO_ADMIN_KEY": "", "TOOLOO_API_KEY": ""}
            return CliRunner().invoke(cli, arguments, env=variables)

        yield run


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(lambda _: [b""]) as running:
        yield running


def test_status_says_what_needs_you_and_its_exit_code_tells(tooloo: Tooloo, system: System) -> None:
    fine = tooloo("status")
    assert (fine.exit_code, fine.stdout) == (0, "nothing needs you\n")

    system.client.behaviours["deepseek"] = fails_with(BadKey)
    run_round(system)
    wait_until(lambda: tooloo("status").exit_code == 4, what="the refused key")

    lines = tooloo("status").stdout.splitlines()
    assert lines[0].startswith("critical: deepseek refuses the key in DEEPSEEK_API_KEY: it serves nothing, since 20")
    assert lines[0].endswith(" UTC")
    assert lines[1] == "    → it is simulated: `tooloo lab reset deepseek` ends it"
    (item,) = json.loads(tooloo("status", "--json").stdout)
    assert item["kind"] == "key_refused"


def test_the_summary_names_refused_keys_of_real_providers(system: System, server: Server) -> None:
    reachable = endpoint(server.url)
    services = replace(
        system.services, endpoints={"openai": reachable}, providers=(reachable.provider,), client=Client(Pool(2))
    )
    serve(server, json_answer(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}))

    (finding,) = broken(services)

    assert "Incorrect API key" in finding.detail
    assert str(reachable.provider.key_env) in finding.fix
    serve(server, json_answer(200, LISTS[reachable.provider.format]))
    assert broken(services) == []
    simulated = replace(reachable, provider=replace(reachable.provider, simulated=True))
    assert broken(replace(services, endpoints={"openai": simulated})) == []
