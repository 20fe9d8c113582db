"""One caller cannot take the whole of an API process; real sockets against the real server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from app.api.edge import Gate, bounded
from app.cli import orphans
from app.errors import Busy, TooManyRequests
from tests.support.commands import running
from tests.support.lab import RunningLab, running_lab
from tests.support.ports import free_port
from tests.support.waiting import wait_until

#: more than the process has threads
UNFINISHED = 330
HEAD = (
    b"POST /api/v1/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
)


@pytest.fixture
def api(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[tuple[str, RunningLab]]:
    """`tooloo api` with one process, in front of a lab."""
    with running_lab() as lab:
        environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "TOOLOO_LAB_URL": lab.url,
            "TOOLOO_DATA_DIR": str(tmp_path),
            "TOOLOO_SNAPSHOT_FILE": str(tmp_path / "runtime.json"),
            "TOOLOO_PORT": str(free_port()),
            "TOOLOO_API_PROCESSES": "1",
            orphans.MARK: str(tmp_path),  # its processes end with the test
        }
        url = f"http://127.0.0.1:{environment['TOOLOO_PORT']}"
        with running(["-m", "app.cli.main", "api"], environment):
            wait_until(lambda: _chats(url), 60, what="the API answers")
            yield url, lab


def test_unfinished_bodies_do_not_starve_health_and_others_are_told_when_to_come_back(
    api: tuple[str, RunningLab],
) -> None:
    url, _ = api
    address = urlsplit(url)
    with ExitStack() as held:
        for _ in range(UNFINISHED):
            connection = held.enter_context(socket.create_connection((address.hostname, address.port), timeout=10))
            connection.sendall(HEAD)
        assert requests.get(f"{url}/healthz", timeout=20).status_code == 200
        assert requests.get(f"{url}/readyz", timeout=20).status_code == 200
        refused = requests.get(f"{url}/v1/models", timeout=20)
        assert refused.status_code in (429, 503)
        assert int(refused.headers["Retry-After"]) > 0
    wait_until(lambda: _chats(url), 60, what="a chat is answered when they are gone")


def test_http_2_is_not_spoken(api: tuple[str, RunningLab]) -> None:
    address = urlsplit(api[0])
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
        answer = connection.recv(1000)

    assert not answer or answer.startswith(b"HTTP/1.1 4")


def test_requests_in_flight_are_bounded_per_key_and_in_all() -> None:
    gate = Gate(most=3, most_per_key=2)
    first, second, third = gate.ticket(), gate.ticket(), gate.ticket()
    first.enter("a")
    second.enter("a")
    with pytest.raises(TooManyRequests):
        third.enter("a")
    third.enter("b")
    with pytest.raises(Busy):
        gate.ticket().enter("c")

    first.release()
    first.release()  # a second time is no mistake
    gate.ticket().enter("a")
    with pytest.raises(Busy):
        gate.ticket().enter("c")


def test_a_place_comes_back_when_the_answer_is_closed_and_when_it_breaks() -> None:
    gate = Gate(most=1, most_per_key=1)

    def answers(environ: dict[str, object], _: object) -> list[bytes]:
        if environ["PATH_INFO"] == "/breaks":
            raise ValueError("broken")
        return [b"done"]

    serve = bounded(answers, gate)
    environ = {"PATH_INFO": "/x", "wsgi.input": None}
    held = serve(dict(environ), lambda *_: None)
    assert not gate.ticket().admitted
    held.close()  # type: ignore[attr-defined]  # as a server does
    with pytest.raises(ValueError, match="broken"):
        serve({**environ, "PATH_INFO": "/breaks"}, lambda *_: None)
    assert gate.ticket().admitted


def _chats(url: str) -> bool:
    try:
        return requests.post(f"{url}/api/v1/chat", json={"message": "hi"}, timeout=10).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False
