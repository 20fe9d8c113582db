"""What our own commands ask of our own servers goes neither to a proxy nor by what stands in ~/.netrc."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from app import http_calls, settings
from app.cli import kickoff
from app.cli.main import cli
from app.operations.webhook import Webhook
from tests.providers.server import Received, Server, whole
from tests.support.commands import ROOT
from tests.support.forward_proxy import ForwardProxy

VARIABLES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
KEY = "adm-secret-1234"


def answer(_: Received) -> Iterator[bytes]:
    yield from whole(200, {"content-type": "application/json"}, b'{"success": true, "data": {}, "simulated": true}')


@pytest.fixture
def own() -> Iterator[Server]:
    with Server(answer) as server:
        yield server


@pytest.fixture
def shell(own: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForwardProxy]:
    """One as in a company: a proxy by every name, no exception from it, and a ~/.netrc for this machine."""
    monkeypatch.chdir(tmp_path)
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login joe password pw\nmachine localhost login joe password pw\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("TOOLOO_PORT", own.url.rpartition(":")[2])
    monkeypatch.setenv("TOOLOO_LAB_PORT", own.url.rpartition(":")[2])
    for name in ("TOOLOO_URL", "TOOLOO_LAB_URL", "TOOLOO_ADMIN_KEY", "TOOLOO_API_KEY", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ForwardProxy({}) as proxy:
        for name in VARIABLES:
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        yield proxy


@pytest.mark.parametrize("named", [False, True], ids=["as it is", "by TOOLOO_URL"])
def test_a_command_asks_its_own_api_and_shows_its_key_to_nobody_else(
    shell: ForwardProxy, own: Server, monkeypatch: pytest.MonkeyPatch, *, named: bool
) -> None:
    monkeypatch.setenv("TOOLOO_ADMIN_KEY", KEY)
    if named:
        monkeypatch.setenv("TOOLOO_URL", own.url.replace("127.0.0.1", "localhost"))
    CliRunner().invoke(cli, ["results", "--json"])

    assert own.received[0].headers["authorization"] == f"Bearer {KEY}"
    assert shell.heads == []


def test_without_a_key_none_is_taken_from_netrc(shell: ForwardProxy, own: Server) -> None:
    CliRunner().invoke(cli, ["results", "--json"])

    assert "authorization" not in own.received[0].headers
    assert shell.heads == []


def test_kickoff_and_the_lab_are_asked_past_the_proxy(
    shell: ForwardProxy, own: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kickoff, "PATIENCE_S", 1)
    kickoff._wait_for_page(f"{own.url}/readyz")
    CliRunner().invoke(cli, ["lab", "show", "--json"])

    assert {each.path for each in own.received} >= {"/readyz"}
    assert shell.heads == []


def test_a_webhook_on_this_machine_is_too(shell: ForwardProxy, own: Server) -> None:
    assert Webhook(own.url, "secret").send("1", {}, 1) is None

    assert ["authorization" in each.headers for each in own.received] == [False]
    assert shell.heads == []


def test_another_machines_api_may_be_behind_the_proxy(shell: ForwardProxy) -> None:
    with pytest.raises(requests.RequestException):
        http_calls.call("GET", "https://gateway.example.com/readyz", timeout=5).raise_for_status()

    assert shell.first_lines == ["CONNECT gateway.example.com:443 HTTP/1.0"] or shell.first_lines == [
        "CONNECT gateway.example.com:443 HTTP/1.1"
    ]


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("127.0.0.1", "http://127.0.0.1:4001"),
        ("::1", "http://[::1]:4001"),
        ("::", "http://[::1]:4001"),
        ("0.0.0.0", "http://127.0.0.1:4001"),  # noqa: S104  # nothing listens
        ("192.168.1.7", "http://192.168.1.7:4001"),
        ("localhost", "http://localhost:4001"),
    ],
)
def test_the_api_is_asked_where_it_listens(host: str, asked: str) -> None:
    configured = settings.load({"TOOLOO_HOST": host, "TOOLOO_PORT": "4001"}, dotenv=None)

    assert configured.api_url == asked


def test_the_health_checks_of_compose_ask_past_a_proxy_too(
    shell: ForwardProxy, own: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = re.findall(r'\[CMD, python, -c, "([^"]+)"\]', (ROOT / "docker-compose.yml").read_text())
    for check in checks:
        with pytest.raises(SystemExit) as ended:
            exec(re.sub(r"http://127\.0\.0\.1:\d+", own.url, check))  # noqa: S102  # our own file
        assert not ended.value.code

    assert len(checks) == len(own.received) == 3
    assert shell.heads == []
