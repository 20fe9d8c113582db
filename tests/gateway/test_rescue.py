"""Who is asked to go on with a stream that broke off, over real HTTP: those who can, few, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import StreamCut
from app.gateway.calls import Call
from app.gateway.gateway import ReplyStream
from tests.gateway.test_gateway import QUESTION
from tests.providers.server import Hangup, Received, chunked
from tests.support.upstreams import END, Upstreams, attempts, piece, streamed, upstreams

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def breaks_off(_: Received) -> Iterator[bytes]:
    yield from chunked([piece(LETTERS)], end=False)
    raise Hangup


def asked(up: Upstreams) -> list[tuple[str, str]]:
    return [(name, request.json["model"]) for name, server in up.servers.items() for request in server.received]


def read(stream: ReplyStream) -> str:
    return "".join(delta.text for delta in stream)


def test_the_same_model_elsewhere_is_asked_first(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with upstreams(database_url, redis_url, tmp_path, models=2, max_attempts=10) as up:
        for server in up.servers.values():
            server.answer = breaks_off
        stream = up.running.gateway.stream(Call(QUESTION))
        with pytest.raises(StreamCut):
            read(stream)
        # three calls: `m` of the others, then itself once more
        assert asked(up) == [("one", "m"), ("one", "m"), ("two", "m"), ("three", "m")]


def test_the_same_model_is_known_by_whatever_name_a_host_gives_it(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with upstreams(database_url, redis_url, tmp_path, names={"two": "n", "three": "vendor/M:free"}) as up:
        up.servers["one"].answer = breaks_off
        up.servers["two"].answer = up.servers["three"].answer = lambda _: streamed(LETTERS, "!")
        stream = up.running.gateway.stream(Call(QUESTION))
        assert read(stream) == f"{LETTERS}!"
        assert stream.reply is not None
        assert attempts(stream.reply) == [("one", "stream_cut"), ("three", "ok")]


def test_three_calls_are_made_at_the_most(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with upstreams(database_url, redis_url, tmp_path, prefill=True) as up:
        up.servers["one"].answer = breaks_off
        up.servers["two"].answer = up.servers["three"].answer = lambda _: streamed(LETTERS[:-1])
        with pytest.raises(StreamCut):
            read(up.running.gateway.stream(Call(QUESTION)))
        assert sum(up.calls().values()) == 4


@pytest.mark.parametrize(("rescue_ms", "calls"), [(100, 1), (0, 0)])
def test_nobody_is_listened_to_for_ever(
    rescue_ms: int, calls: int, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with upstreams(database_url, redis_url, tmp_path, rescue_ms=rescue_ms) as up:
        up.servers["one"].answer = breaks_off

        def slowly(_: Received) -> Iterator[bytes]:
            waits = up.servers["two"].trickle(b"", times=len(LETTERS))
            spelled = (piece(letter) for letter, _ in zip(LETTERS, waits, strict=True))
            return chunked(part for parts in (spelled, END) for part in parts)

        up.servers["two"].answer = slowly
        with pytest.raises(StreamCut):
            read(up.running.gateway.stream(Call(QUESTION)))
        assert (up.calls()["two"], up.calls()["three"]) == (calls, 0)
