"""A stack without keys answers who started it, and nobody else of the machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import bootstrap, local_key
from app.api import create_app, owner, peers
from app.api.peers import PEER, Connection, uid_of
from tests.support.system import System

#: nobody's, and not the one that runs the tests
OTHER = 54_321
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of Linux is asked")
#: connects, says its port, and stays until it is told to go
CLIENT = """
import encodings.idna, os, socket, sys
os.setuid(int(sys.argv[3]))
found = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print(found.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextmanager
def connected(host: str, uid: int | None = None, *, close: bool = False) -> Iterator[Connection]:
    """From a program of that user; `close`: which has ended since."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        program = subprocess.Popen(
            [sys.executable, "-c", CLIENT, host, str(port), str(os.geteuid() if uid is None else uid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert program.stdout is not None
        server.settimeout(30)
        own_port = program.stdout.readline().strip()
        accepted, _ = server.accept()
        if close:
            program.communicate("")
        yield Connection(f"{host}:{own_port}", f"{host}:{port}")
        accepted.close()
        if not close:
            program.communicate("")


@linux
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("how", ["asked", "read"])
def test_the_kernel_says_whose_a_connection_is(host: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "read":
        monkeypatch.setattr(peers, "_asked", _refused)
    if host == "::1" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    with connected(host) as mine:
        assert uid_of(mine) == os.geteuid()
        assert uid_of(Connection(mine.client, "127.0.0.1:1")) is None


def _refused(*_: object) -> None:
    raise OSError("not permitted")


@linux
@as_root
@pytest.mark.parametrize("how", ["asked", "read"])
def test_another_users_is_theirs_and_a_closed_one_nobodys(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "read":
        monkeypatch.setattr(peers, "_asked", _refused)
    with connected("127.0.0.1", OTHER) as theirs:
        assert uid_of(theirs) == OTHER
    # the kernel says 0, as if it were root's
    with connected("127.0.0.1", OTHER, close=True) as gone:
        assert uid_of(gone) is None


@pytest.mark.parametrize("client", ["192.0.2.1:5", "127.0.0.1:1", "", "unix:", "nowhere", "[::1]:x", "10.0.0.1:99999"])
def test_a_connection_that_is_none_of_this_machine_is_nobodys(client: str) -> None:
    assert uid_of(Connection(client, "127.0.0.1:4000")) is None


@pytest.fixture
def client(system: System) -> Iterator[FlaskClient]:
    running = bootstrap.start(system.services, seed=1)
    yield create_app(running).test_client()
    running.stop()


def status(client: FlaskClient, method: str = "GET", path: str = "/api/v1/system/scorecard", key: str = "") -> int:
    peer = {PEER: Connection("127.0.0.1:5", "127.0.0.1:4000")}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body = {"message": "hello"} if method == "POST" else None
    return client.open(path, method=method, json=body, headers=headers, environ_overrides=peer).status_code


@pytest.mark.parametrize(("uid", "expected"), [(os.geteuid(), 200), (0, 200), (OTHER, 401), (None, 401)])
def test_without_keys_it_answers_its_owner_and_root(
    client: FlaskClient, uid: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "uid_of", lambda _: uid)
    assert status(client) == expected
    assert status(client, "POST", "/api/v1/chat") == expected
    assert status(client, path="/v1/models") == expected
    assert status(client, path="/healthz") == 200


def test_who_has_the_file_is_the_owner_where_it_cannot_be_known(
    client: FlaskClient, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "uid_of", lambda _: None)
    folder = system.services.settings.data_dir
    assert (status(client), local_key.read(folder) is None) == (401, False)
    path = folder / local_key.NAME
    assert path.stat().st_mode & 0o777 == 0o600
    key = path.read_text()

    assert status(client, key=key) == 200
    assert status(client, "POST", "/api/v1/chat", key) == 200
    assert status(client, key=key[:-1]) == 401
    assert status(client) == 401
    assert path.read_text() == key

    made = client.post("/api/v1/system/keys", json={"name": "x", "scopes": ["admin"]})
    assert made.status_code == 201
    assert status(client, key=key) == 401  # keys are needed now


def test_a_file_that_others_can_read_is_no_proof(tmp_path: Path) -> None:
    assert local_key.make(tmp_path) is not None
    (tmp_path / local_key.NAME).chmod(0o644)
    assert local_key.read(tmp_path) is None
    assert local_key.make(tmp_path / "none" / "yet") == local_key.make(tmp_path / "none" / "yet")
