"""A stream behind its answer: once that has been told to its end, nothing that follows can make it less."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.domain.catalog import WireFormat
from app.errors import StreamCut, Timeout
from app.providers.base import Finish
from app.providers.client import Client
from tests.providers.calls import HELLO, ask, endpoint
from tests.providers.server import Hangup, Received, Server, chunked

OPENAI, ANTHROPIC, GEMINI = WireFormat.OPENAI, WireFormat.ANTHROPIC, WireFormat.GEMINI


def event(document: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(document)}\n\n".encode()


def delta(said: dict[str, Any], finish: str | None = None) -> bytes:
    return event({"choices": [{"index": 0, "delta": said, "finish_reason": finish}]})


def candidate(text: str, finish: str | None = None) -> bytes:
    return event({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": finish}]})


def claude(kind: str, **more: Any) -> bytes:
    return event({"type": kind, "index": 0, **more})


#: an answer up to the reason why it ended
ANSWERS = {
    OPENAI: [delta({"content": "Hel"}), delta({"content": "lo"}), delta({}, "stop")],
    ANTHROPIC: [
        claude("message_start", message={"usage": {"input_tokens": 3, "output_tokens": 1}}),
        claude("content_block_start", content_block={"type": "text", "text": ""}),
        claude("content_block_delta", delta={"type": "text_delta", "text": "Hello"}),
        claude("content_block_stop"),
        claude("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2}),
    ],
    GEMINI: [candidate("Hel"), candidate("lo"), candidate("", "STOP")],
}
CALL = [
    delta({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]}),
    delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]}),
    delta({}, "tool_calls"),
]


def closes(events: list[bytes]) -> Iterator[bytes]:
    yield from chunked(events, end=False)
    raise Hangup


def resets(events: list[bytes]) -> Iterator[bytes]:
    yield from chunked(events, end=False)
    raise Hangup(reset=True)


def breaks_the_framing(events: list[bytes]) -> Iterator[bytes]:
    yield from chunked(events, end=False)
    yield b"no chunk\r\n"
    raise Hangup


def ends_in_an_event(events: list[bytes]) -> Iterator[bytes]:
    return chunked([*events, b'data: {"usage": {"promp'])


def ends(events: list[bytes]) -> Iterator[bytes]:
    return chunked(events)


@pytest.mark.parametrize("then", [closes, breaks_the_framing, ends_in_an_event, ends])
@pytest.mark.parametrize("wire", ANSWERS)
def test_an_answer_told_to_its_end_is_whole(
    wire: WireFormat, then: Callable[[list[bytes]], Iterator[bytes]], client: Client, server: Server
) -> None:
    server.answer = lambda _: then(ANSWERS[wire])
    answer, _ = ask(client, endpoint(server.url, wire), stream=True)
    assert (answer.text, answer.finish) == ("Hello", Finish.STOP)


def test_so_is_a_call_of_a_tool(client: Client, server: Server) -> None:
    server.answer = lambda _: closes(CALL)
    answer, _ = ask(client, endpoint(server.url), stream=True)
    assert [(each.name, each.arguments) for each in answer.tool_calls] == [("f", '{"a": 1}')]


@pytest.mark.parametrize("wire", ANSWERS)
def test_nobody_waits_for_a_line_that_is_kept_open(wire: WireFormat, client: Client, server: Server) -> None:
    def stays(_: Received) -> Iterator[bytes]:
        yield from chunked(ANSWERS[wire], end=False)
        yield from server.silence()
        raise Hangup

    server.answer = stays
    limits = {"timeout_ms": 20_000, "first_token_ms": 10_000, "idle_ms": 8_000}
    stream = client.stream(endpoint(server.url, wire), "m", HELLO, **limits)
    assert "".join(each.text for each in stream) == stream.answer.text == "Hello"


@pytest.mark.parametrize("then", [closes, resets])
def test_a_reason_in_every_event_is_the_end_of_nothing(
    then: Callable[[list[bytes]], Iterator[bytes]], client: Client, server: Server
) -> None:
    """As older models of Gemini's have it, and servers of OpenAI's format that stand in front of them."""
    for wire, events in (
        (GEMINI, [candidate("Hel", "STOP"), candidate("l", "STOP")]),
        (OPENAI, [delta({"role": "assistant"}), delta({"content": "Hel"}, "stop"), delta({"content": "l"}, "stop")]),
        (OPENAI, [delta({"content": "H"}), delta({"content": "e"}, "stop"), delta({"content": "l"}, "stop")]),
    ):
        server.answer = lambda _, events=events: then(events)  # type: ignore[misc]  # a default binds the loop's value
        with pytest.raises(StreamCut):
            ask(client, endpoint(server.url, wire), stream=True)


def test_words_behind_a_reason_have_the_usual_limit_of_silence_again(client: Client, server: Server) -> None:
    events = [delta({"content": "H"}), delta({"content": "e"}, "stop"), delta({"content": "l"}, "stop")]

    def stays(_: Received) -> Iterator[bytes]:
        yield from chunked(events, end=False)
        yield from server.silence()

    server.answer = stays
    with pytest.raises(Timeout) as caught:
        list(client.stream(endpoint(server.url), "m", HELLO, timeout_ms=20_000, first_token_ms=10_000, idle_ms=400))
    assert caught.value.phase == "idle"
