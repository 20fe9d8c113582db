"""One caller cannot take the whole of an API process; real sockets against the real server."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from app.api.edge import Gate, bounded
from app.cli import orphans
from app.errors import Busy, TooManyRequests
from tests.gateway.test_sixteen import well
from tests.providers.server import Received, Server, head
from tests.support.commands import running
from tests.support.lab import CONFIG, running_lab
from tests.support.ports import free_port
from tests.support.waiting import wait_until

#: more than the process has threads
UNFINISHED = 850
#: s that the body of a request gets
BODY_WAIT_S = 2.0
#: MiB that a body may have
LARGEST_MB = 1
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@contextmanager
def serving(folder: Path, wait_s: float, providers: str = "", policy: str = "", **changes: str) -> Iterator[str]:
    """`tooloo api` with one process, in front of a lab; with no other server unless `changes` name one.

    `policy`: more lines of its section gateway.
    """
    config = folder / "config"
    shutil.copytree(CONFIG, config)
    (config / "policy.toml").write_text(f"[gateway]\nbody_wait_s = {wait_s}\n{policy}")
    if providers:
        (config / "providers.toml").write_text(providers)
    with running_lab() as lab:
        environment = {
            "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none",
            "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
            "TOOLOO_LAB_URL": "" if providers else lab.url,
            "TOOLOO_CONFIG_DIR": str(config),
            "TOOLOO_DATA_DIR": str(folder),
            "TOOLOO_SNAPSHOT_FILE": str(folder / "runtime.json"),
            "TOOLOO_PORT": str(free_port()),
            "TOOLOO_API_PROCESSES": "1",
            "TOOLOO_MAX_BODY_MB": str(LARGEST_MB),
            orphans.MARK: str(folder),  # its processes end with the test
            **changes,
        }
        url = f"http://127.0.0.1:{environment['TOOLOO_PORT']}"
        with running(["-m", "app.cli.main", "api"], environment):
            wait_until(lambda: _chats(url), 150, what="the API answers")
            yield url


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("api"), BODY_WAIT_S) as url:
        yield url


def test_unfinished_bodies_take_nothing_from_others(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with (
        serving(tmp_path, 600, DATABASE_URL=database_url, REDIS_URL=redis_url) as url,
        ExitStack() as held,
    ):
        for _ in range(UNFINISHED):
            held.enter_context(_opened(url)).sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
        assert requests.get(f"{url}/healthz", timeout=20).status_code == 200
        assert requests.get(f"{url}/readyz", timeout=20).status_code == 200
        assert _chats(url)


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 1000\r\n\r\n",
        b"Content-Length: 1000\r\n\r\n{",
        b"Content-Length: 200000\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
)
def test_a_body_that_does_not_come_is_a_408_in_the_words_of_the_protocol(url: str, rest: bytes) -> None:
    with _opened(url) as connection:
        connection.sendall(HEAD + rest)
        answer = _answer(connection)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in answer
    assert b'"type":"invalid_request_error"' in answer


def test_a_body_too_large_is_refused_where_the_client_can_read_it(url: str) -> None:
    body = b" " * (3 * LARGEST_MB * 1024 * 1024)

    for sent in (body, iter([body])):  # with its length, and in pieces
        answer = requests.post(
            f"{url}/v1/chat/completions", sent, headers={"Content-Type": "application/json"}, timeout=30
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")
    with _opened(url) as connection:
        connection.sendall(HEAD + b"Content-Length: 99999999999\r\n\r\n")
        assert _answer(connection).startswith(b"HTTP/1.1 413 ")


def test_a_header_that_means_something_is_not_lost_in_silence(url: str) -> None:
    body = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'
    end = b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for header in ("X-Tooloo-Segment", "X-Tooloo-Parameters", "X-Tooloo-Whole-Answers"):
        with _opened(url) as connection:
            connection.sendall(HEAD + f"{header}: café\r\n".encode() + end)
            answer = _answer(connection)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert header.lower().encode() in answer

    with _opened(url) as connection:
        connection.sendall(HEAD + "X-Of-Others: caf\u00e9\r\n".encode() + end)
        assert _answer(connection).startswith(b"HTTP/1.1 200 ")


def test_what_is_asked_for_reaches_the_application_as_it_was_sent(url: str) -> None:
    assert requests.head(f"{url}/healthz", timeout=20).headers["Content-Length"] != "0"
    named = requests.get(f"{url}/v1/models/caf%C3%A9%20x", timeout=20)
    assert "café x" in named.json()["error"]["message"]
    assert requests.get(f"{url}/v1/models?x=%20&y=%C3%A9", timeout=20).status_code == 200


def test_a_plain_call_ends_when_its_client_leaves(tmp_path: Path) -> None:
    def answer(request: Received) -> Iterable[bytes]:
        if b"for ever" not in request.body:
            return well(request)
        begun = head(200, {"content-type": "application/json", "content-length": "100000"})
        return chain([begun], provider.trickle(b" ", times=1500))

    with Server(answer) as provider:
        block = f'[only]\nformat = "openai"\nbase_url = "{provider.url}"\nmodels = ["m"]\n'
        with serving(tmp_path, BODY_WAIT_S, providers=block) as url:
            body = b'{"model":"only","messages":[{"role":"user","content":"for ever"}]}'
            with _opened(url) as connection:
                connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                wait_until(lambda: b"for ever" in provider.received[-1].body, 20, what="the provider is asked")
            assert provider.deserted.wait(20)
            assert _chats(url)


def test_http_2_is_not_spoken(url: str) -> None:
    address = urlsplit(url)
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


def _opened(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def _answer(connection: socket.socket) -> bytes:
    """Until the body of a small answer is there, or the connection is closed."""
    answer = b""
    while not answer.endswith(b"}") and (piece := connection.recv(65536)):
        answer += piece
    return answer


def _chats(url: str) -> bool:
    try:
        return requests.post(f"{url}/api/v1/chat", json={"message": "hi"}, timeout=10).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False
