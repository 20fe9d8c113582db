"""Answers that have to be JSON of a schema, and one tool call at a time: what is made of what a provider says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.catalog import WireFormat
from app.errors import ContentFiltered, ProviderError, UnusableAnswer
from app.providers.base import Answer, ChatRequest, Delta, Finish, JsonSchema, Message
from app.providers.client import Client
from tests.providers.calls import BY_TOOL, NATIVE, By, ask, endpoint
from tests.providers.server import Server, chunked, whole

OPENAI, ANTHROPIC, GEMINI = WireFormat.OPENAI, WireFormat.ANTHROPIC, WireFormat.GEMINI
USER = Message("user", "Hello")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
ASKED = ChatRequest((USER,), json_schema=JsonSchema("place", CITY))
PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


def block(index: int, begin: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": begin},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def claude(*blocks: dict[str, Any], reason: str = "tool_use") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An answer of these content blocks, plain and as the events of a stream."""
    usage = {"input_tokens": 5, "output_tokens": 7}
    message = {"id": "msg_1", "type": "message", "model": "tiny", "role": "assistant"}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message | {"content": [], "usage": usage | {"output_tokens": 1}}}
    ]
    for index, each in enumerate(blocks):
        if each["type"] == "text":
            events += block(index, {"type": "text", "text": ""}, {"type": "text_delta", "text": each["text"]})
            continue
        written = json.dumps(each["input"]) if each["input"] else ""
        pieces = [written[:5], written[5:]] if written else [""]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        events += block(index, each | {"input": {}}, *deltas)
    events.append({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 7}})
    events.append({"type": "message_stop"})
    return message | {"content": list(blocks), "stop_reason": reason, "usage": usage}, events


def call(name: str, arguments: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}


def heard(
    client: Client,
    server: Server,
    wire: WireFormat,
    said: tuple[dict[str, Any], list[dict[str, Any]]],
    request: ChatRequest,
    *,
    stream: bool,
    by: By = NATIVE,
) -> tuple[Answer, list[Delta]]:
    plain, events = said
    end = [b"data: [DONE]\n\n"] if wire is OPENAI else []
    pieces = [f"data: {json.dumps(event)}\n\n".encode() for event in events] + end
    body = json.dumps(plain).encode()
    server.answer = lambda _: chunked(pieces) if stream else whole(200, {"content-type": "application/json"}, body)
    model = "claude-haiku-4-5" if wire is ANTHROPIC else "m"
    return ask(client, endpoint(server.url, wire, capabilities=by), request, stream=stream, model=model)


@PLAIN_AND_STREAMED
def test_arguments_of_the_tool_are_the_answers_text(stream: bool, client: Client, server: Server) -> None:
    said = claude({"type": "text", "text": "Here you are:"}, call("place", {"city": "Köln"}))
    answer, deltas = heard(client, server, ANTHROPIC, said, ASKED, stream=stream)
    assert json.loads(answer.text) == {"city": "Köln"}
    assert (answer.finish, answer.tool_calls) == (Finish.STOP, ())
    if stream:
        assert "".join(delta.text for delta in deltas) == answer.text
        assert len(deltas) == 2
        assert {delta.tool_index for delta in deltas} == {None}


@PLAIN_AND_STREAMED
def test_second_call_of_the_tool_is_no_part_of_the_answer(stream: bool, client: Client, server: Server) -> None:
    said = claude(call("place", {"city": "Köln"}), call("place", {"city": "Bonn"}, 2))
    answer, deltas = heard(client, server, ANTHROPIC, said, ASKED, stream=stream)
    assert json.loads(answer.text) == {"city": "Köln"}
    assert not stream or "Bonn" not in "".join(delta.text for delta in deltas)


@PLAIN_AND_STREAMED
def test_tool_called_without_arguments_is_an_answer_too(stream: bool, client: Client, server: Server) -> None:
    answer, deltas = heard(client, server, ANTHROPIC, claude(call("place", {})), ASKED, stream=stream)
    assert answer.text == "{}"
    assert [delta.text for delta in deltas] == (["{}"] if stream else [])


@PLAIN_AND_STREAMED
@pytest.mark.parametrize(
    ("reason", "expected"),
    [("end_turn", UnusableAnswer), ("max_tokens", UnusableAnswer), ("refusal", ContentFiltered)],
)
def test_words_in_place_of_the_json_are_no_answer(
    reason: str, expected: type[ProviderError], stream: bool, client: Client, server: Server
) -> None:
    said = claude({"type": "text", "text": "I would rather talk."}, reason=reason)
    with pytest.raises(expected):
        heard(client, server, ANTHROPIC, said, ASKED, stream=stream)


@PLAIN_AND_STREAMED
def test_json_that_was_cut_short_ends_with_length(stream: bool, client: Client, server: Server) -> None:
    said = claude(call("place", {"city": "Köln"}), reason="max_tokens")
    assert heard(client, server, ANTHROPIC, said, ASKED, stream=stream)[0].finish is Finish.LENGTH


def openai_calls(*names: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    calls = [
        {"index": n, "id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": '{"city":"Köln"}'}}
        for n, name in enumerate(names)
    ]
    head = {"id": "x", "model": "tiny"}
    end = {"index": 0, "finish_reason": "tool_calls"}
    plain = {"choices": [end | {"message": {"role": "assistant", "content": None, "tool_calls": calls}}]}
    events: list[dict[str, Any]] = [head | {"choices": [{"index": 0, "delta": {"tool_calls": [one]}}]} for one in calls]
    return head | plain, [*events, head | {"choices": [end | {"delta": {}}]}]


@PLAIN_AND_STREAMED
def test_deepseeks_tool_is_read_as_text_too(stream: bool, client: Client, server: Server) -> None:
    answer, deltas = heard(client, server, OPENAI, openai_calls("place"), ASKED, stream=stream, by=BY_TOOL)
    assert (json.loads(answer.text), answer.finish, answer.tool_calls) == ({"city": "Köln"}, Finish.STOP, ())
    assert "".join(delta.text for delta in deltas) == (answer.text if stream else "")


def test_tool_that_came_whole_though_a_stream_was_asked_for_is_one_text(client: Client, server: Server) -> None:
    body = json.dumps(openai_calls("place")[0]).encode()
    server.answer = lambda _: whole(200, {"content-type": "application/json"}, body)
    answer, deltas = ask(client, endpoint(server.url, capabilities=BY_TOOL), ASKED, stream=True)
    assert [delta.text for delta in deltas] == [answer.text] == ['{"city":"Köln"}']


def gemini_calls(*names: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    parts = [{"functionCall": {"name": name, "args": {"city": "Köln"}}} for name in names]
    pieces = [{"candidates": [{"content": {"parts": [part]}}], "modelVersion": "tiny"} for part in parts]
    end = {"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}], "modelVersion": "tiny"}
    plain = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}], "modelVersion": "tiny"}
    return plain, [*pieces, end]


def claude_calls(*names: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return claude(*(call(name, {"city": "Köln"}, number) for number, name in enumerate(names)))


@PLAIN_AND_STREAMED
@pytest.mark.parametrize(("wire", "said"), [(OPENAI, openai_calls), (ANTHROPIC, claude_calls), (GEMINI, gemini_calls)])
@pytest.mark.parametrize("parallel", [True, False])
def test_only_the_first_call_is_given_where_one_was_asked_for(
    wire: WireFormat, said: Any, parallel: bool, stream: bool, client: Client, server: Server
) -> None:
    request = ChatRequest((USER,), tools=(TOOL,), parallel_tool_calls=parallel)
    answer, deltas = heard(client, server, wire, said("weather", "time"), request, stream=stream)
    expected = ["weather", "time"] if parallel else ["weather"]
    assert [made.name for made in answer.tool_calls] == expected
    assert json.loads(answer.tool_calls[0].arguments) == {"city": "Köln"}
    assert answer.finish is Finish.TOOL
    if stream:
        assert [delta.tool_name for delta in deltas if delta.tool_name] == expected
        mine = "".join(delta.tool_arguments for delta in deltas if delta.tool_index == 0)
        assert json.loads(mine) == {"city": "Köln"}
