"""Hedging of streams, over real HTTP: until the first token, and never after it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.api import create_app
from app.gateway.gateway import Call, ReplyStream
from app.providers.base import BEAT
from tests.gateway.test_gateway import QUESTION, ingested
from tests.providers.server import Received, chunked
from tests.support.upstreams import END, HANDS_OVER, Upstreams, attempts, piece, streamed, upstreams
from tests.support.waiting import wait_until


@pytest.fixture
def up(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Upstreams]:
    with upstreams(database_url, redis_url, tmp_path, hedge_share=1.0) as running:
        yield running


def texts(stream: ReplyStream) -> list[str]:
    return [delta.text for delta in stream if delta.text]


def test_a_stream_whose_first_token_is_late_is_taken_over(up: Upstreams) -> None:
    up.late(streamed("two", " says"), stream=True)

    stream = up.running.gateway.stream(Call(QUESTION))

    assert (stream.target.provider, attempts(stream)) == ("two", [("one", "hedged")])
    assert up.servers["one"].deserted.wait(HANDS_OVER)
    assert texts(stream) == ["two", " says"]
    assert stream.reply is not None
    assert attempts(stream.reply) == [("one", "hedged"), ("two", "ok")]
    assert up.hedges() == {"won": 1}
    assert [(row.attempt, row.provider, row.counts, row.ttft_ms is None) for row in ingested(up.system, 2)] == [
        (1, "one", False, True),
        (2, "two", True, False),
    ]


def test_after_the_first_token_nobody_else_is_asked_however_slow_the_rest(up: Upstreams) -> None:
    up.known(took_ms=HANDS_OVER * 1000, stream=True)
    go_on = threading.Event()

    def rest() -> Iterator[bytes]:
        yield piece("one")
        go_on.wait(HANDS_OVER)
        yield piece(" says")
        yield from END

    up.servers["one"].answer = lambda _: chunked(rest())
    stream = up.running.gateway.stream(Call(QUESTION))
    up.known(stream=True)
    go_on.set()

    assert texts(stream) == ["one", " says"]
    assert stream.reply is not None
    assert attempts(stream.reply) == [("one", "ok")]
    assert up.calls() == {"one": 1, "two": 0, "three": 0}


def test_what_plain_answers_take_says_nothing_of_streams(up: Upstreams) -> None:
    up.known(stream=False)
    up.servers["one"].answer = lambda _: streamed("one says")

    assert texts(up.running.gateway.stream(Call(QUESTION))) == ["one says"]
    assert up.calls()["two"] == 0


def test_first_tokens_are_learned_from_streams(up: Upstreams) -> None:
    up.servers["one"].answer = lambda _: streamed("one says")
    for _ in range(up.system.services.policy.gateway.hedge_least):
        assert texts(up.running.gateway.stream(Call(QUESTION))) == ["one says"]
    up.queues("one", stream=True)
    up.servers["two"].answer = lambda _: streamed("two says")

    assert texts(up.running.gateway.stream(Call(QUESTION))) == ["two says"]


def test_a_client_that_goes_away_leaves_neither_call_open(up: Upstreams) -> None:
    up.late(stream=True)
    asked, queueing = up.servers["two"].answer, up.queues

    def two(request: Received) -> Iterator[bytes]:
        asked(request)  # waits until `one` has been asked
        yield from answer(request)

    queueing("two", told=piece("two"), stream=True)
    answer, up.servers["two"].answer = up.servers["two"].answer, two
    stream = up.running.gateway.stream(Call(QUESTION))
    assert next(stream).text == "two"

    stream.close()

    assert up.servers["one"].deserted.wait(HANDS_OVER)
    assert up.servers["two"].deserted.wait(HANDS_OVER)
    rows = ingested(up.system, 2)
    assert [(row.attempt, row.error_class, row.counts) for row in rows] == [
        (1, "hedged", False),
        (2, "client_gone", False),
    ]


def test_where_the_first_token_of_the_first_comes_first_the_second_is_stopped(up: Upstreams) -> None:
    up.known(stream=True)
    asked = threading.Event()

    def one(_: Received) -> Iterator[bytes]:
        asked.wait(HANDS_OVER)
        return streamed("one says")

    up.queues("two", stream=True)
    queueing = up.servers["two"].answer

    def two(request: Received) -> Iterator[bytes]:
        asked.set()
        yield from queueing(request)

    up.servers["one"].answer, up.servers["two"].answer = one, two
    stream = up.running.gateway.stream(Call(QUESTION))

    assert up.servers["two"].deserted.wait(HANDS_OVER)
    assert texts(stream) == ["one says"]
    assert stream.reply is not None
    assert attempts(stream.reply) == [("one", "ok"), ("two", "hedged")]


def test_the_answers_header_counts_both_calls(up: Upstreams) -> None:
    client = create_app(up.running).test_client()
    body = {"model": "auto", "messages": [{"role": "user", "content": "x"}]}
    up.late()
    plain = client.post("/v1/chat/completions", json=body)
    up.late(streamed("two says"), stream=True)
    stream = client.post("/v1/chat/completions", json={**body, "stream": True})

    for answer in (plain, stream):
        assert answer.headers["x-tooloo-attempts"] == "2"
        assert answer.headers["x-tooloo-target"] == "two/m"
    assert plain.get_json()["choices"][0]["message"]["content"] == "two says"
    events = [event for event in stream.get_data(as_text=True).split("\n\n") if event.startswith("data: {")]
    said_so = "".join(json.loads(event[6:])["choices"][0]["delta"].get("content") or "" for event in events)
    assert said_so == "two says"


@pytest.mark.parametrize("usual_ms", [None, 60_000.0, 0.0], ids=["alone", "in a thread", "two at once"])
def test_who_waits_for_a_first_token_is_given_signs_of_life(
    usual_ms: float | None, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with upstreams(database_url, redis_url, tmp_path, hedge_share=1.0, heartbeat_ms=20) as up:
        if usual_ms is not None:
            up.known(usual_ms, stream=True)
        go_on = threading.Event()

        def speaks(_: Received) -> Iterator[bytes]:
            go_on.wait(HANDS_OVER)
            return streamed("yes")

        for server in up.servers.values():
            server.answer = speaks
        stream = up.running.gateway.stream(Call(QUESTION))

        assert [next(stream) for _ in range(3)] == [BEAT] * 3
        assert stream.target is None
        go_on.set()
        assert texts(stream) == ["yes"]


def test_a_client_that_goes_away_before_the_first_token_stops_both_calls(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    limits = {"heartbeat_ms": 20, "first_token_ms": 60_000}  # so that none of ours ends the calls
    with upstreams(database_url, redis_url, tmp_path, hedge_share=1.0, **limits) as up:
        up.known(stream=True)
        for name in ("one", "two"):
            up.queues(name, stream=True)
        stream = up.running.gateway.stream(Call(QUESTION))
        wait_until(lambda: next(stream) is BEAT and up.calls()["two"], HANDS_OVER)

        stream.close()

        assert up.servers["one"].deserted.wait(HANDS_OVER)
        assert up.servers["two"].deserted.wait(HANDS_OVER)
        rows = ingested(up.system, 2)
        assert [(row.error_class, row.counts) for row in rows] == [("client_gone", False)] * 2
        assert not up.running.gateway.breakers.value
        in_flight = up.running.gateway.breakers.in_flight
        assert not any(calls.started_s for calls in in_flight._calls.values())
