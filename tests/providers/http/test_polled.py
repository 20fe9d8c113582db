"""A stream that is not waited for: who reads it polls its connection, and all its limits hold as they do for a wait."""

from __future__ import annotations

import json
import select
from collections.abc import Iterable, Iterator
from time import perf_counter

import pytest

from app.errors import ConnectionLost, StreamCut, Timeout
from app.providers.base import BEAT, WAIT, Delta
from app.providers.client import AnswerStream, Client
from tests.providers.calls import HELLO, endpoint
from tests.providers.http.test_connections import certificate, secure, trusting  # noqa: F401  # fixtures
from tests.providers.server import Hangup, Received, Server, chunked, head

LIMIT_MS = 250
END = [b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"]


def said(text: str) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': text}}]})}\n\n".encode()


def answers(server: Server, *parts: Iterable[bytes]) -> None:
    server.answer = lambda _: chunked(piece for part in parts for piece in part)


def polled(stream: AnswerStream) -> Iterator[Delta]:
    """Its deltas, the first of them waited for."""
    deltas = iter(stream)
    yield next(deltas)
    assert stream.wait(waits=False)
    for delta in deltas:
        if delta is not WAIT:
            yield delta
        elif (connection := stream.waits_for) is not None:
            select.select([connection], [], [], max(0.0, connection.wake_s - perf_counter()))


def opened(client: Client, server: Server, **limits: int) -> AnswerStream:
    return client.stream(endpoint(server.url), "m", HELLO, **({"timeout_ms": 20_000} | limits))


def test_all_of_it_is_read_however_it_is_cut(client: Client, server: Server) -> None:
    texts = [f"word {number}\n" for number in range(50)]
    flow = b"".join([*map(said, texts), *END])
    for size in (1, 7, 1000, len(flow)):
        answers(server, [said("Hi ")], (flow[at : at + size] for at in range(0, len(flow), size)))
        stream = opened(client, server)
        assert "".join(delta.text for delta in polled(stream)) == "Hi " + "".join(texts) == stream.answer.text


def test_nothing_stays_behind_in_tls(
    trusting: Client,  # noqa: F811  # the fixture
    secure: Server,  # noqa: F811  # the fixture
) -> None:
    """Many records at once, and nothing behind them that would wake who polls."""
    texts = ["x" * 16_000] * 12
    answers(secure, [said("Hi "), b"".join(map(said, texts))], secure.trickle(b": ping\n\n", times=3), END)
    stream = opened(trusting, secure)
    assert "".join(delta.text for delta in polled(stream)) == "Hi " + "".join(texts)


@pytest.mark.parametrize(
    ("limits", "phase"),
    [({"idle_ms": LIMIT_MS}, "idle"), ({"timeout_ms": 2 * LIMIT_MS}, "total")],
)
def test_its_limits_hold(client: Client, server: Server, limits: dict[str, int], phase: str) -> None:
    answers(server, [said("Hi")], server.silence())
    with pytest.raises(Timeout) as caught:
        list(polled(opened(client, server, **limits)))
    assert caught.value.phase == phase


def test_a_ping_is_life_and_silence_has_beats(client: Client, server: Server) -> None:
    answers(server, [said("Hi")], server.trickle(b": ping\n\n", every_s=0.1, times=15), END)
    seen = list(polled(opened(client, server, idle_ms=4 * LIMIT_MS, beat_ms=20)))
    assert [delta.text for delta in seen if delta is not BEAT] == ["Hi"]
    assert seen.count(BEAT) > 1


@pytest.mark.parametrize("reset", [False, True])
def test_one_that_breaks_off_is_cut(client: Client, server: Server, reset: bool) -> None:
    def cut(_: Received) -> Iterator[bytes]:
        yield head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        yield b"%x\r\n%b\r\n" % (len(said("Hi")), said("Hi"))
        raise Hangup(reset=reset)

    server.answer = cut
    with pytest.raises((StreamCut, ConnectionLost)):
        list(polled(opened(client, server)))


def test_the_connection_of_one_that_has_ended_waits_for_the_next(client: Client, server: Server) -> None:
    answers(server, [said("Hi")], END)
    for _ in range(2):
        stream = opened(client, server)
        assert [delta.text for delta in polled(stream)] == ["Hi"]
        assert not stream.wait(waits=False)
    answers(server, [said("Hi")], server.trickle(b": ping\n\n", times=5), END)
    assert [delta.text for delta in opened(client, server)] == ["Hi"]
