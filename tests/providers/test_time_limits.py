"""Limits of a stream, each on its own: first token, silence, the whole; and connections that close meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from time import perf_counter
from typing import Any

import pytest

from app.errors import ConnectionLost, Timeout
from app.providers.base import BEAT, Delta
from app.providers.client import AnswerStream, Client
from app.providers.http.connections import NEAR_S, Connection, Origin
from tests.providers.calls import HELLO, ask, endpoint
from tests.providers.server import Hangup, Received, Server, chunked, whole

SAID = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
BLANK = b'data: {"choices":[{"index":0,"delta":{"content":" "}}]}\n\n'
END = [b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"]
PING = b": ping\n\n"
PLAIN = b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'
LIMIT_MS = 250


def answers(server: Server, *parts: Iterator[bytes] | list[bytes]) -> None:
    server.answer = lambda _: chunked(piece for part in parts for piece in part)


def opened(client: Client, server: Server, **limits: int) -> AnswerStream:
    return client.stream(endpoint(server.url), "m", HELLO, **({"timeout_ms": 20_000} | limits))


def test_a_stream_that_falls_silent_ends_at_the_limit_of_silence(client: Client, server: Server) -> None:
    answers(server, [SAID], server.silence())
    with pytest.raises(Timeout) as caught:
        list(opened(client, server, first_token_ms=10_000, idle_ms=LIMIT_MS))
    assert (caught.value.phase, caught.value.counts) == ("idle", True)


def test_a_ping_is_life(client: Client, server: Server) -> None:
    answers(server, [SAID], server.trickle(PING, times=40), END)
    stream = opened(client, server, first_token_ms=10_000, idle_ms=LIMIT_MS)
    assert [delta.text for delta in stream] == ["Hi"]
    assert stream.answer.timing.total_ms > LIMIT_MS


def test_a_stream_that_flowed_is_not_to_blame_for_the_end_of_our_patience(client: Client, server: Server) -> None:
    answers(server, [SAID], server.trickle(SAID))
    with pytest.raises(Timeout) as caught:
        list(opened(client, server, timeout_ms=LIMIT_MS, first_token_ms=10_000, idle_ms=10_000))
    assert (caught.value.phase, caught.value.counts) == ("total", False)


@pytest.mark.parametrize("piece", [BLANK, PING], ids=["blanks", "pings"])
def test_neither_blanks_nor_pings_are_a_first_token(piece: bytes, client: Client, server: Server) -> None:
    answers(server, server.trickle(piece), [SAID], END)
    with pytest.raises(Timeout) as caught:
        list(opened(client, server, first_token_ms=LIMIT_MS, idle_ms=10_000))
    assert (caught.value.phase, caught.value.counts) == ("first_token", True)


class Noting(Connection):
    """Notes how long it lets the kernel wait."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(Origin(False, "here", 1), sock)
        self.asked: list[float] = []

    def _kernels_limit(self, option: int, limit_s: float) -> None:
        self.asked.append(limit_s)
        super()._kernels_limit(option, limit_s)


def test_the_kernel_whose_limits_end_late_is_never_left_alone_with_the_end_of_a_wait() -> None:
    mine, peer = socket.socketpair()
    with peer, closing(Noting(mine)) as connection:
        connection.deadline_s = perf_counter() + NEAR_S + 0.2
        with pytest.raises(TimeoutError):
            connection.receive()
        assert perf_counter() >= connection.deadline_s
    assert len(connection.asked) == 1
    assert connection.asked[0] <= 0.75 * (NEAR_S + 0.2)


class Counting(socket.socket):
    """Counts how often it is told anything."""

    told = 0

    def setsockopt(self, *args: Any) -> None:
        self.told += 1
        super().setsockopt(*args)


def test_the_kernel_is_told_a_limit_once_while_that_one_fits() -> None:
    mine, peer = socket.socketpair()
    counting = Counting(fileno=mine.detach())
    with peer, closing(Connection(Origin(False, "here", 1), counting)) as connection:
        for _ in range(5):
            connection.deadline_s = perf_counter() + 60
            connection.send(b"x")
            peer.send(b"x")
            assert connection.receive() == b"x"
        assert counting.told == 2
        connection.deadline_s = perf_counter() + 20
        connection.send(b"x")
        assert counting.told == 3


def test_who_waits_hears_that_it_goes_on(client: Client, server: Server) -> None:
    beats: list[Delta] = []

    def late() -> Iterator[bytes]:
        while len(beats) < 3 and not server.closing.wait(0.01):
            pass
        yield from [SAID, *END]

    answers(server, late())
    stream = opened(client, server, beat_ms=20)
    beats.extend(delta for delta in stream if delta is BEAT)
    assert len(beats) >= 3
    assert stream.answer.text == "Hi"


@pytest.mark.parametrize("reset", [False, True])
def test_a_kept_connection_that_closes_as_the_request_goes_out_costs_nothing(client: Client, reset: bool) -> None:
    served: set[int] = set()
    refused: list[Received] = []

    def answer(request: Received) -> Iterator[bytes]:
        if server.connections in served and not refused:
            refused.append(request)
            raise Hangup(reset=reset)
        served.add(server.connections)
        yield from whole(200, {}, PLAIN)

    with Server(answer) as server:
        for _ in range(2):
            assert ask(client, endpoint(server.url), stream=False)[0].text == "Hi"
        assert (len(refused), server.connections) == (1, 2)


def test_a_new_connection_that_closes_is_a_failure(client: Client) -> None:
    def answer(_: Received) -> Iterator[bytes]:
        raise Hangup
        yield b""

    with Server(answer) as server:
        with pytest.raises(ConnectionLost):
            ask(client, endpoint(server.url), stream=False)
        assert len(server.received) == 1


@pytest.mark.parametrize("event", [b"data:\n\n", b"data: null\n\n", b"data: ping\n\n", b"data: []\n\n"])
def test_an_event_that_cannot_have_held_text_is_skipped(event: bytes, client: Client, server: Server) -> None:
    answers(server, [SAID, event, SAID, *END])
    assert ask(client, endpoint(server.url), stream=True)[0].text == "HiHi"
