"""A call that another thread cancels: it ends at once, its connection with it, and no other call's."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from app.errors import ConnectionLost, RateLimited
from app.providers.client import Client
from app.providers.http import framing
from app.providers.http.clock import Call, CancelToken
from tests.providers.calls import HELLO, endpoint
from tests.providers.http.own.conftest import PLAIN
from tests.providers.server import Received, Server, whole

ANSWER = whole(200, {}, PLAIN)
PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


def call(client: Client, server: Server, cancel: CancelToken | None = None, *, stream: bool = False) -> str:
    target = endpoint(server.url)
    if not stream:
        return client.complete(target, "m", HELLO, timeout_ms=20_000, cancel=cancel).text
    return "".join(delta.text for delta in client.stream(target, "m", HELLO, timeout_ms=20_000, cancel=cancel))


@PLAIN_AND_STREAMED
def test_a_cancelled_call_ends_while_the_provider_is_silent(client: Client, server: Server, *, stream: bool) -> None:
    arrived, cancel = threading.Event(), CancelToken()

    def silent(_: Received) -> Iterator[bytes]:
        arrived.set()
        yield from server.silence()  # and then the answer: a call that is not cancelled succeeds
        yield from ANSWER

    def cancels() -> None:
        arrived.wait(10)
        cancel.cancel()

    server.answer = silent
    threading.Thread(target=cancels).start()
    with pytest.raises(ConnectionLost):
        call(client, server, cancel, stream=stream)


@pytest.mark.parametrize("reused", [False, True], ids=["new connection", "kept connection"])
@PLAIN_AND_STREAMED
def test_a_call_cancelled_before_it_begins_is_not_sent(
    client: Client, server: Server, *, reused: bool, stream: bool
) -> None:
    if reused:
        call(client, server)
    sent_before = len(server.received)
    cancel = CancelToken()
    cancel.cancel()

    with pytest.raises(ConnectionLost):
        call(client, server, cancel, stream=stream)
    assert call(client, server) == "Hi"
    assert len(server.received) == sent_before + 1


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_to_cancel_a_call_that_is_over_leaves_its_connection_alone(
    client: Client, server: Server, *, stream: bool
) -> None:
    cancel = CancelToken()
    assert call(client, server, cancel, stream=stream) == "Hi"

    cancel.cancel()

    assert call(client, server) == "Hi"
    assert server.connections == 1


def test_to_cancel_a_call_that_was_refused_leaves_its_connection_alone(client: Client, server: Server) -> None:
    server.answer = lambda _: whole(429, {}, b"{}")
    cancel = CancelToken()
    with pytest.raises(RateLimited):
        call(client, server, cancel)

    cancel.cancel()

    server.answer = lambda _: ANSWER
    assert call(client, server) == "Hi"
    assert server.connections == 1


def test_what_a_cancelled_call_has_read_is_no_answer_where_only_its_end_would_tell(
    client: Client, server: Server
) -> None:
    read, cancel = Call(20_000), CancelToken()
    cancel.bind(read)

    def endless(_: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n\r\n" + PLAIN
        yield from server.silence()

    server.answer = endless
    response = framing.send(client.pool, read, "GET", server.url, {}, None)
    pieces = response.pieces()
    assert next(pieces) == PLAIN
    cancel.cancel()
    with pytest.raises(ConnectionLost):
        next(pieces)


class Stopped(BaseException):
    """What the handler of a signal raises, in the middle of anything."""


def test_a_call_stopped_by_a_signal_does_not_keep_its_connection(client: Client, server: Server) -> None:
    def stops(_: Received) -> Iterator[bytes]:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        yield from server.trickle(b"\r\n")

    def handler(*_: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGUSR1, handler)
    server.answer = stops
    try:
        with pytest.raises(Stopped) as caught:
            call(client, server)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert server.deserted.wait(5)
    assert caught.value.__traceback__ is not None  # held until here: it holds the call's frames, and no open connection
