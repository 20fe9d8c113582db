"""The pool: connections are kept and measured, and none that cannot be trusted is used again."""

from __future__ import annotations

import errno
import gc
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.errors import ConnectionLost, ContextTooLong, ProviderError, Timeout
from app.providers.base import ChatRequest, Message
from app.providers.client import Client, Pool
from app.providers.http import connections, dialing, framing
from app.providers.http.clock import Call
from tests.providers.calls import HELLO, KEY, ask, endpoint
from tests.providers.server import Received, Server, chunked, whole
from tests.support.ports import free_port

PLAIN = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'
SAID = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@pytest.fixture
def fresh() -> Iterator[Server]:
    """A server nobody is connected to yet."""
    with Server(
        lambda request: chunked([SAID, DONE]) if request.json.get("stream") else whole(200, {}, PLAIN)
    ) as running:
        yield running


@PLAIN_AND_STREAMED
def test_connection_is_kept_and_its_set_up_measured_once(stream: bool, client: Client, fresh: Server) -> None:
    first = ask(client, endpoint(fresh.url), stream=stream)[0]
    second = ask(client, endpoint(fresh.url), stream=stream)[0]
    assert fresh.connections == 1
    assert first.timing.connect_ms > 0
    assert second.timing.connect_ms == 0


def test_refusal_gives_its_connection_back(client: Client, fresh: Server) -> None:
    fresh.answer = lambda _: whole(429, {}, b"{}")
    for _ in range(3):
        with pytest.raises(Exception, match="429"):
            ask(client, endpoint(fresh.url), stream=True)
    assert fresh.connections == 1


def test_stream_left_early_does_not_give_its_connection_back(client: Client, fresh: Server) -> None:
    fresh.answer = lambda _: chunked([SAID, SAID, DONE])
    with client.stream(endpoint(fresh.url), "m", HELLO, timeout_ms=20_000) as stream:
        next(iter(stream))
    fresh.answer = lambda _: whole(200, {}, PLAIN)
    assert ask(client, endpoint(fresh.url), stream=False)[0].text == "Hi"
    assert fresh.connections == 2


def test_stream_whose_http_does_not_end_is_still_an_answer(client: Client, fresh: Server) -> None:
    fresh.answer = lambda _: (piece for part in (chunked([SAID, DONE], end=False), fresh.silence()) for piece in part)
    for _ in range(2):
        assert ask(client, endpoint(fresh.url), stream=True)[0].text == "Hi"
    assert fresh.connections == 2


def test_connection_idle_for_too_long_is_not_trusted(
    client: Client, fresh: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(client, endpoint(fresh.url), stream=False)
    monkeypatch.setattr(connections, "IDLE_S", 0.0)
    ask(client, endpoint(fresh.url), stream=False)
    assert fresh.connections == 2


def test_connection_is_idle_from_the_end_of_its_call_on(
    client: Client, fresh: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    monkeypatch.setattr(connections, "perf_counter", lambda: now_s)

    def slow(_: Received) -> list[bytes]:
        nonlocal now_s
        now_s += connections.IDLE_S + 1
        return whole(200, {}, b"")

    fresh.answer = slow
    for _ in range(2):
        framing.send(client.pool, Call(1e9, started_s=0.0), "HEAD", fresh.url, {}, None).close()
    assert fresh.connections == 1


def test_connection_the_server_closed_is_replaced(client: Client) -> None:
    with Server(lambda _: whole(200, {"connection": "close"}, PLAIN)) as closing:
        closing.answer = lambda _: [
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(PLAIN),
            PLAIN,
        ]
        for _ in range(2):
            assert ask(client, endpoint(closing.url), stream=False)[0].text == "Hi"
        assert closing.connections == 2


def test_every_address_of_a_name_is_tried(client: Client, fresh: Server) -> None:
    # localhost is ::1 and 127.0.0.1 on most machines; the server listens on the latter alone
    assert ask(client, endpoint(fresh.url.replace("127.0.0.1", "localhost")), stream=False)[0].text == "Hi"


def test_a_family_of_addresses_the_machine_does_not_know_is_passed_over(
    client: Client, fresh: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def addresses(host: str, port: int, **kind: int) -> list[tuple[object, ...]]:
        unknown = (63, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))  # EAFNOSUPPORT
        return [unknown, (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]

    monkeypatch.setattr(socket, "getaddrinfo", addresses)
    assert ask(client, endpoint(fresh.url), stream=False)[0].text == "Hi"


def test_failed_connections_leave_nothing_for_the_garbage_collector(client: Client) -> None:
    target = endpoint(f"http://127.0.0.1:{free_port()}")
    client.warm_up(target)
    gc.collect()
    gc.disable()
    try:
        client.warm_up(target)
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("reasons", "kind"),
    [
        ([OSError(errno.ENETUNREACH, "no IPv6"), ConnectionRefusedError(errno.ECONNREFUSED, "no")], ConnectionLost),
        ([OSError(errno.ENETUNREACH, "no IPv6"), TimeoutError()], Timeout),
        ([TimeoutError(), ConnectionRefusedError(errno.ECONNREFUSED, "no")], ConnectionLost),
    ],
)
def test_of_several_addresses_the_most_telling_failure_counts(reasons: list[OSError], kind: type[Exception]) -> None:
    for failures in (reasons, reasons[::-1]):
        told = dialing.most_telling(failures)
        assert type(connections.failure(told, Call(1000), ConnectionLost, "no connection")) is kind


def test_warm_up_opens_the_connection_the_first_call_uses(client: Client, fresh: Server) -> None:
    fresh.answer = lambda _: whole(404, {}, b"") if not fresh.received[-1].body else whole(200, {}, PLAIN)
    assert client.warm_up(endpoint(f"{fresh.url}/v1")) is None
    (sent,) = fresh.received
    assert (sent.method, sent.path) == ("HEAD", "/v1")
    assert KEY not in str(sent.headers)
    assert ask(client, endpoint(fresh.url), stream=False)[0].timing.connect_ms == 0
    assert fresh.connections == 1


def test_warm_up_that_fails_is_told_and_harmless(client: Client) -> None:
    error = client.warm_up(endpoint(f"http://127.0.0.1:{free_port()}"))
    assert type(error) is ConnectionLost
    assert error.timing is not None


def test_calls_of_many_threads_do_not_mix(client: Client, fresh: Server) -> None:
    together = threading.Barrier(8)

    def echo(request: Received) -> list[bytes]:
        asked = request.json["messages"][0]["content"]
        together.wait(10)
        return whole(200, {}, b'{"choices":[{"message":{"content":"%b"}}]}' % asked.encode())

    fresh.answer = echo

    def one(number: int) -> str:
        request = ChatRequest(messages=(Message("user", f"say {number}"),))
        return ask(client, endpoint(fresh.url), request, stream=False)[0].text

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(one, range(16))) == [f"say {number}" for number in range(16)]


def test_call_knows_the_deadline_that_has_passed() -> None:
    call = Call(timeout_ms=1000, first_token_limit_ms=10)
    assert call.timed_out().phase == "connect"
    connection = SimpleNamespace(deadline_s=None)
    call.run_on(connection)
    assert call.timed_out().phase == "first_token"
    assert connection.deadline_s == pytest.approx(call.started_s + 0.01)
    call.begin()
    assert call.timed_out().phase == "total"
    assert connection.deadline_s == pytest.approx(call.started_s + 1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, made for this run."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the certificate of this test")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Server(lambda _: chunked([SAID, DONE]), context) as running:
        yield running


@pytest.fixture
def trusting(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    return Client(Pool(2))


def test_tls_connection_is_kept_and_measured(trusting: Client, secure: Server) -> None:
    first = ask(trusting, endpoint(secure.url), stream=True)[0]
    second = ask(trusting, endpoint(secure.url), stream=True)[0]
    assert (first.text, second.text) == ("Hi", "Hi")
    assert first.timing.connect_ms > 0
    assert second.timing.connect_ms == 0
    assert secure.connections == 1


def test_tls_stream_that_trickles_ends_at_its_deadline(trusting: Client, secure: Server) -> None:
    secure.answer = lambda _: chunked(piece for part in (secure.trickle(b":\n"), [SAID, DONE]) for piece in part)
    with pytest.raises(Timeout) as caught:
        ask(trusting, endpoint(secure.url), stream=True, timeout_ms=500)
    assert caught.value.phase == "total"


def test_tls_server_that_refuses_half_a_request_is_heard(trusting: Client, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def refuses(listener: socket.socket) -> None:
        plain, _ = listener.accept()
        with context.wrap_socket(plain, server_side=True) as sock:
            sock.recv(1000)
            sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")

    def told(huge: ChatRequest) -> type[ProviderError]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=refuses, args=(listener,)).start()
            with pytest.raises(ProviderError) as caught:
                ask(trusting, endpoint(f"https://127.0.0.1:{listener.getsockname()[1]}"), huge, stream=False)
        return type(caught.value)

    huge = ChatRequest((Message("user", "x" * 32_000_000),))  # more than the kernel holds for a reader
    # one time in eight OpenSSL sees nothing but the reset
    assert any(told(huge) is ContextTooLong for _ in range(12))


def test_certificate_nobody_vouches_for_is_refused(client: Client, secure: Server) -> None:
    with pytest.raises(ConnectionLost, match=r"(?i)certificate"):
        ask(client, endpoint(secure.url), stream=False)
    assert secure.received == []
