"""Answers that gateways have misread: pieces of calls, words of other vendors, halves of characters, odd framing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.domain.catalog import WireFormat
from app.errors import (
    BadRequest,
    ContextTooLong,
    OutOfCredit,
    Overloaded,
    ProviderError,
    RateLimited,
    ServerError,
    StreamCut,
    UnusableAnswer,
)
from app.providers.base import ChatRequest, Finish, JsonSchema, Message, ToolCall
from app.providers.client import Client
from tests.providers.calls import ask, endpoint
from tests.providers.server import Hangup, Received, Server, chunked, whole

OPENAI, ANTHROPIC, GEMINI = WireFormat.OPENAI, WireFormat.ANTHROPIC, WireFormat.GEMINI
PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
DONE = b"data: [DONE]\n\n"
HIGH, LOW = "\ud83d", "\ude00"
AFTER_A_TOOL = ChatRequest(
    (
        Message("user", "hi"),
        Message("assistant", "", (ToolCall("c1", "f", "{}"),)),
        Message("tool", "ok", tool_call_id="c1"),
    )
)


def event(document: object) -> bytes:
    return b"data: %b\n\n" % json.dumps(document).encode()


def delta(piece: dict[str, Any], reason: str | None = None, **beside: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": piece, "finish_reason": reason, **beside}]})


def piece(name: str | None = None, arguments: str | None = None, **fields: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {**fields, "function": {key: value for key, value in function.items() if value is not None}}


def made(client: Client, server: Server, pieces: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The calls that one reads from these pieces, each in an event of its own; the deltas must say the same."""
    events = [delta({"tool_calls": [each]}) for each in pieces]
    server.answer = lambda _: chunked([*events, delta({}, "tool_calls"), DONE])
    answer, deltas = ask(client, endpoint(server.url), stream=True)
    told: dict[int, list[str]] = {}
    ids = []
    for each in deltas:
        assert each.tool_index is not None
        if each.tool_id is not None:
            ids.append(each.tool_id)
            told[each.tool_index] = [each.tool_name or "", ""]
        told[each.tool_index][1] += each.tool_arguments
    calls = [(call.name, call.arguments) for call in answer.tool_calls]
    assert [tuple(each) for each in told.values()] == calls
    assert ids == [call.id for call in answer.tool_calls]
    assert len(set(ids)) == len(ids)
    return calls


OSLO, ROME = '{"city":"Oslo"}', '{"city":"Rome"}'


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(
            [piece("w", OSLO, index=0, id=""), piece("w2", ROME, index=0, id="")],
            [("w", OSLO), ("w2", ROME)],
            id="one index, other names",
        ),
        pytest.param(
            [piece("w", OSLO, index=0), piece("w", ROME, index=0)],
            [("w", OSLO), ("w", ROME)],
            id="one index, one name",
        ),
        pytest.param([piece("w", OSLO), piece("w2", ROME)], [("w", OSLO), ("w2", ROME)], id="no index"),
        pytest.param([piece("w", OSLO), piece("w", ROME)], [("w", OSLO), ("w", ROME)], id="no index, one name"),
        pytest.param(
            [
                piece("w", "", index=0),
                piece(None, OSLO[:5], index=0),
                piece(None, OSLO[5:], index=0),
                piece("w", "", index=0),
                piece(None, ROME[:5], index=0),
                piece(None, ROME[5:], index=0),
            ],
            [("w", OSLO), ("w", ROME)],
            id="one index, in pieces",
        ),
        pytest.param(
            [
                piece("w", OSLO[:5], index=0, id="a"),
                piece(None, OSLO[5:], index=0, id="a"),
                piece("w", "", index=0, id="b"),
                piece(None, ROME, index=0, id="b"),
            ],
            [("w", OSLO), ("w", ROME)],
            id="one index, other ids",
        ),
        pytest.param(
            [
                piece("w", OSLO[:5], index=0, id="a"),
                piece("w2", ROME[:5], index=0, id="b"),
                piece(None, OSLO[5:], index=0, id="a"),
                piece(None, ROME[5:], index=0, id="b"),
            ],
            [("w", OSLO), ("w2", ROME)],
            id="one index, mixed",
        ),
        pytest.param(
            [piece("w", OSLO, index=0, id="call"), piece("w", ROME, index=0, id="call")],
            [("w", OSLO), ("w", ROME)],
            id="one id",
        ),
        pytest.param(
            [piece("w", OSLO, index=0, id="call"), piece("w2", ROME, index=1, id="call")],
            [("w", OSLO), ("w2", ROME)],
            id="one id, two indexes",
        ),
        pytest.param(
            [piece("w", "", index=0), piece("w2", "", index=0)], [("w", "{}"), ("w2", "{}")], id="no arguments"
        ),
        pytest.param(
            [piece(None, OSLO[:5], index=0, id="a"), piece("w", OSLO[5:], index=0)],
            [("w", OSLO)],
            id="arguments before the name",
        ),
        pytest.param(
            [
                piece("w", OSLO, index=0),
                piece(None, ROME[:5], index=0),
                piece(None, ROME[5:], index=0),
                piece("w2", None, index=0),
            ],
            [("w", OSLO), ("w2", ROME)],
            id="arguments of the second before its name",
        ),
        # … and what has to stay one call
        pytest.param(
            [piece("w", part, index=0, id="a", type="function") for part in ("", *OSLO, "")],
            [("w", OSLO)],
            id="all repeated",
        ),
        pytest.param([piece("w", part, index=0, id="") for part in ("", *OSLO, "")], [("w", OSLO)], id="name repeated"),
        pytest.param(
            [piece("w", "", index=0, id="0"), *(piece(None, part, index=0, id=f"{n}") for n, part in enumerate(OSLO))],
            [("w", OSLO)],
            id="an id each",
        ),
        pytest.param(
            [piece("w", part, index=0, id=f"{n}") for n, part in enumerate(("", *OSLO, ""))],
            [("w", OSLO)],
            id="an id and the name each",
        ),
        pytest.param(
            [piece("w", OSLO, index=0, id="a"), piece("w", OSLO, index=0, id="a")], [("w", OSLO)], id="said twice"
        ),
        pytest.param([piece("w", OSLO[:5]), piece(None, OSLO[5:])], [("w", OSLO)], id="pieces without index"),
    ],
)
def test_pieces_of_calls_find_their_call(
    pieces: list[dict[str, Any]], expected: list[tuple[str, str]], client: Client, server: Server
) -> None:
    assert made(client, server, pieces) == expected


def test_plain_calls_are_apart_whatever_index_they_say(client: Client, server: Server) -> None:
    calls = [piece("w", OSLO[:5], index=0), piece("w", ROME, index=0), piece("w", "", index=0, id="a")]
    body = json.dumps({"choices": [{"message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}).encode()
    server.answer = lambda _: whole(200, {}, body)
    found = ask(client, endpoint(server.url), stream=False)[0].tool_calls
    assert [(call.name, call.arguments) for call in found] == [("w", OSLO[:5]), ("w", ROME), ("w", "{}")]


@PLAIN_AND_STREAMED
@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC, GEMINI])
def test_ids_that_we_give_repeat_in_no_answer(wire: WireFormat, stream: bool, client: Client, server: Server) -> None:
    bodies: dict[WireFormat, object] = {
        OPENAI: {"choices": [{"message": {"tool_calls": [piece("w", OSLO)]}, "finish_reason": "tool_calls"}]},
        ANTHROPIC: {"content": [{"type": "tool_use", "name": "w", "input": {}}], "stop_reason": "tool_use"},
        GEMINI: {"candidates": [{"content": {"parts": [{"functionCall": {"name": "w"}}]}, "finishReason": "STOP"}]},
    }
    server.answer = lambda _: whole(200, {}, json.dumps(bodies[wire]).encode())
    ids = [ask(client, endpoint(server.url, wire), stream=stream)[0].tool_calls[0].id for _ in range(2)]
    assert len(set(ids)) == 2
    assert all(re.fullmatch("call_[0-9a-f]{24}", each) for each in ids)


@PLAIN_AND_STREAMED
@pytest.mark.parametrize("arguments", ["", " ", None, {}])
def test_call_without_arguments_gets_an_empty_object(
    arguments: object, stream: bool, client: Client, server: Server
) -> None:
    said = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "now", "arguments": arguments}}]}
    events = [delta(said), delta({}, "tool_calls"), DONE]
    body = json.dumps({"choices": [{"message": said, "finish_reason": "tool_calls"}]}).encode()
    server.answer = lambda _: chunked(events) if stream else whole(200, {}, body)
    answer, deltas = ask(client, endpoint(server.url), stream=stream)
    assert [json.loads(call.arguments) for call in answer.tool_calls] == [{}]
    if stream:
        assert json.loads("".join(each.tool_arguments for each in deltas)) == {}


def test_pieces_win_over_the_text_so_far(client: Client, server: Server) -> None:
    texts = ["Why", " did", " it", ""]
    events = [
        delta({"content": text}, "stop" if not text else None, message={"content": "".join(texts[: n + 1])})
        for n, text in enumerate(texts)
    ]
    server.answer = lambda _: chunked([*events, DONE])
    answer, deltas = ask(client, endpoint(server.url), stream=True)
    assert answer.text == "".join(each.text for each in deltas) == "Why did it"


def test_finish_and_a_clean_end_are_the_end(client: Client, server: Server) -> None:
    events = [delta({"content": "Hel"}), delta({"content": "lo"}, "stop")]
    for answer in (chunked(events), whole(200, {"content-type": "text/event-stream"}, b"".join(events))):
        server.answer = lambda _, answer=answer: answer  # type: ignore[misc]  # a default binds the loop's value
        assert ask(client, endpoint(server.url), stream=True)[0].text == "Hello"


@pytest.mark.parametrize(
    ("events", "end"),
    [
        ([delta({"content": "Hello"})], True),
        ([delta({"content": "Hello"}, "null")], True),
        ([delta({"content": "Hello"}, "")], True),
        ([delta({"content": "Hello"}, "stop")], False),
        ([delta({"content": "Hello"}, "stop"), b'data: {"choices": [], "us'], True),
        ([delta({"content": "Hello"}, "stop"), b"data: [DO"], True),
    ],
    ids=["no finish", "null", "empty", "unclean", "half an event", "half the last word"],
)
def test_stream_without_finish_or_clean_end_is_cut(
    events: list[bytes], end: bool, client: Client, server: Server
) -> None:
    def answer(_: Received) -> Iterator[bytes]:
        yield from chunked(events, end=end)
        if not end:
            raise Hangup

    server.answer = answer
    with pytest.raises(StreamCut):
        ask(client, endpoint(server.url), stream=True)


def halves(wire: WireFormat, text: str, arguments: str) -> dict[str, Any]:
    """An answer that says this three ways, its strings as they are."""
    if wire is OPENAI:
        said = {
            "content": text,
            "reasoning_content": text,
            "tool_calls": [piece("w", json.dumps({"a": arguments}, ensure_ascii=False), id="a")],
        }
        return {"choices": [{"message": said, "finish_reason": "tool_calls"}]}
    if wire is ANTHROPIC:
        blocks = [
            {"type": "thinking", "thinking": text},
            {"type": "text", "text": text},
            {"type": "tool_use", "id": "a", "name": "w", "input": {"a": arguments}},
        ]
        return {"content": blocks, "stop_reason": "tool_use"}
    parts = [
        {"text": text, "thought": True},
        {"text": text},
        {"functionCall": {"name": "w", "args": {"a": arguments}}},
    ]
    return {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}


@PLAIN_AND_STREAMED
@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC, GEMINI])
@pytest.mark.parametrize("raw", [False, True], ids=["escaped", "bytes"])
def test_lone_halves_are_replaced(wire: WireFormat, raw: bool, stream: bool, client: Client, server: Server) -> None:
    document = halves(wire, f"{HIGH} lone {HIGH}{LOW}é{LOW}", f"{LOW} ok {HIGH}")
    body = json.dumps(document, ensure_ascii=not raw).encode("utf-8", "surrogatepass")
    server.answer = lambda _: whole(200, {}, body)
    answer = ask(client, endpoint(server.url, wire), stream=stream)[0]
    text = "\ufffd lone \U0001f600é\ufffd"
    assert (answer.text, answer.reasoning) == (text, text)
    assert [json.loads(call.arguments) for call in answer.tool_calls] == [{"a": "\ufffd ok \ufffd"}]


@pytest.mark.parametrize("field", ["content", "reasoning_content", "refusal", "arguments"])
@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["a" + HIGH, LOW + "b"], "a\U0001f600b"),
        ([HIGH, "", LOW], "\U0001f600"),
        ([HIGH, HIGH, LOW], "\ufffd\U0001f600"),
        ([HIGH, "b"], "\ufffdb"),
        (["a", LOW], "a\ufffd"),
        (["a", HIGH], "a\ufffd"),
    ],
)
def test_halves_are_joined_over_pieces(
    field: str, pieces: list[str], expected: str, client: Client, server: Server
) -> None:
    if field == "arguments":
        events = [delta({"tool_calls": [piece("w" if n == 0 else None, p, index=0)]}) for n, p in enumerate(pieces)]
    else:
        events = [delta({field: each}) for each in pieces]
    beside = delta({"content": "."})  # an answer beside the reasoning
    server.answer = lambda _: chunked([*events, *([beside] if "reason" in field else []), delta({}, "stop"), DONE])
    answer, deltas = ask(client, endpoint(server.url), stream=True)
    told = {
        "content": (answer.text, [each.text for each in deltas]),
        "reasoning_content": (answer.reasoning, [each.reasoning for each in deltas]),
        "refusal": (answer.refusal, [each.refusal for each in deltas]),
        "arguments": ("".join(c.arguments for c in answer.tool_calls), [each.tool_arguments for each in deltas]),
    }
    whole_text, said = told[field]
    assert whole_text == "".join(said) == expected


def test_half_in_an_error_does_not_hide_what_it_is(client: Client, server: Server) -> None:
    body = json.dumps({"error": {"message": f"no {HIGH}", "code": "insufficient_quota"}}).encode()
    server.answer = lambda _: whole(429, {}, body)
    with pytest.raises(OutOfCredit, match="no \ufffd"):
        ask(client, endpoint(server.url), stream=False)


@PLAIN_AND_STREAMED
@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC, GEMINI])
@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("max_tokens", Finish.LENGTH),
        ("MAX_TOKENS", Finish.LENGTH),
        ("FinishReason.MAX_TOKENS", Finish.LENGTH),
        ("length", Finish.LENGTH),
        ("LENGTH", Finish.LENGTH),
        ("maxTokens", Finish.LENGTH),
        ("end_turn", Finish.STOP),
        ("STOP", Finish.STOP),
        ("stop_sequence", Finish.STOP),
        ("tool_use", Finish.STOP),  # … where there is none
        ("SAFETY", Finish.FILTER),
        ("content_filter", Finish.FILTER),
        ("Content_Filter", Finish.FILTER),
        ("refusal", Finish.FILTER),
        ("something new", Finish.STOP),
    ],
)
def test_finish_is_understood_whoever_named_it(
    wire: WireFormat, reason: str, finish: Finish, stream: bool, client: Client, server: Server
) -> None:
    documents: dict[WireFormat, object] = {
        OPENAI: {"choices": [{"message": {"content": "So far"}, "finish_reason": reason}]},
        ANTHROPIC: {"content": [{"type": "text", "text": "So far"}], "stop_reason": reason},
        GEMINI: {"candidates": [{"content": {"parts": [{"text": "So far"}]}, "finishReason": reason}]},
    }
    server.answer = lambda _: whole(200, {}, json.dumps(documents[wire]).encode())
    answer = ask(client, endpoint(server.url, wire), stream=stream)[0]
    assert (answer.text, answer.finish) == ("So far", finish)


@PLAIN_AND_STREAMED
@pytest.mark.parametrize("reason", ["stop", "content_filter"])
def test_refusal_is_told_apart_and_ends_as_the_provider_says(
    reason: str, stream: bool, client: Client, server: Server
) -> None:
    body = json.dumps({"choices": [{"message": {"refusal": "I will not."}, "finish_reason": reason}]}).encode()
    events = [delta({"refusal": "I will"}), delta({"refusal": " not."}), delta({}, reason), DONE]
    server.answer = lambda _: chunked(events) if stream else whole(200, {}, body)
    answer, deltas = ask(client, endpoint(server.url), stream=stream)
    expected = Finish.STOP if reason == "stop" else Finish.FILTER
    assert (answer.text, answer.refusal, answer.finish) == ("", "I will not.", expected)
    assert [each.refusal for each in deltas] == (["I will", " not."] if stream else [])


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC, GEMINI])
@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json", ""])
@pytest.mark.parametrize("before", [b"", b"\n\n", b": keep-alive\n\n", b"\xef\xbb\xbf"])
def test_stream_that_nobody_asked_for_is_read(
    wire: WireFormat, content_type: str, before: bytes, client: Client, server: Server
) -> None:
    streams = {
        OPENAI: [delta({"content": "Hel"}), delta({"content": "lo"}), delta({}, "stop"), DONE],
        ANTHROPIC: [
            event({"type": "message_start", "message": {"id": "m"}}),
            event({"type": "content_block_delta", "index": 0, "delta": {"text": "Hello"}}),
            event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
            event({"type": "message_stop"}),
        ],
        GEMINI: [
            event({"candidates": [{"content": {"parts": [{"text": part}]}, "finishReason": reason}]})
            for part, reason in (("Hel", None), ("lo", "STOP"))
        ],
    }
    server.answer = lambda _: whole(200, {"content-type": content_type}, before + b"".join(streams[wire]))
    answer = ask(client, endpoint(server.url, wire), stream=False)[0]
    assert (answer.text, answer.finish) == ("Hello", Finish.STOP)


def test_stream_that_nobody_asked_for_has_to_have_an_end(client: Client, server: Server) -> None:
    server.answer = lambda _: whole(200, {}, delta({"content": "Hel"}))
    with pytest.raises(StreamCut):
        ask(client, endpoint(server.url), stream=False)


@PLAIN_AND_STREAMED
@pytest.mark.parametrize("content", ["", None, "\n"])
def test_nothing_to_add_behind_a_tool_is_an_answer(
    content: str | None, stream: bool, client: Client, server: Server
) -> None:
    body = json.dumps({"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}).encode()
    server.answer = lambda _: whole(200, {}, body)
    assert ask(client, endpoint(server.url), AFTER_A_TOOL, stream=stream)[0].text == (content or "")
    with pytest.raises(UnusableAnswer):
        ask(client, endpoint(server.url), stream=stream)
    asked = ChatRequest(AFTER_A_TOOL.messages, json_schema=JsonSchema("o", {"type": "object"}))
    with pytest.raises(UnusableAnswer):
        ask(client, endpoint(server.url), asked, stream=stream)


@PLAIN_AND_STREAMED
@pytest.mark.parametrize("reason", ["length", None, "content_filter"])
def test_nothing_for_another_reason_is_no_answer(
    reason: str | None, stream: bool, client: Client, server: Server
) -> None:
    body = json.dumps({"choices": [{"message": {"content": ""}, "finish_reason": reason}]}).encode()
    server.answer = lambda _: whole(200, {}, body)
    with pytest.raises(ProviderError):
        ask(client, endpoint(server.url), AFTER_A_TOOL, stream=stream)


@PLAIN_AND_STREAMED
def test_claude_may_have_nothing_to_add(stream: bool, client: Client, server: Server) -> None:
    body = json.dumps({"content": [], "stop_reason": "end_turn"}).encode()
    server.answer = lambda _: whole(200, {}, body)
    for request in (AFTER_A_TOOL, ChatRequest((Message("user", "hi"),))):
        answer = ask(client, endpoint(server.url, ANTHROPIC), request, stream=stream)[0]
        assert (answer.text, answer.finish) == ("", Finish.STOP)


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        ("messages[0].content", ContextTooLong),
        ("messages.0.content", ContextTooLong),
        ("messages[3].content[1].text", ContextTooLong),
        ("messages[1].tool_calls[0].id", BadRequest),
        ("messages[1].content[0].image_url.url", BadRequest),
        ("tools[0].function.description", BadRequest),
        ("user", BadRequest),
        (None, BadRequest),
    ],
)
def test_only_a_message_that_is_too_long_is_the_contexts(
    param: str | None, expected: type[ProviderError], client: Client, server: Server
) -> None:
    error = {"message": "string too long", "code": "string_above_max_length", "param": param}
    server.answer = lambda _: whole(400, {}, json.dumps({"error": error}).encode())
    with pytest.raises(ProviderError) as caught:
        ask(client, endpoint(server.url), stream=False)
    assert type(caught.value) is expected
    if expected is BadRequest and param:
        assert (caught.value.field, param in caught.value.message) == (param, True)


@PLAIN_AND_STREAMED
@pytest.mark.parametrize("inside", ["body", "choice", "event"])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (429, RateLimited),
        ("429", RateLimited),
        (402, OutOfCredit),
        (502, ServerError),
        (503, Overloaded),
        (400, BadRequest),
        (7, UnusableAnswer),
        (200, UnusableAnswer),
        ("odd", UnusableAnswer),
        (True, UnusableAnswer),
    ],
)
def test_error_inside_a_200_means_the_status_it_names(
    inside: str, code: object, expected: type[ProviderError], stream: bool, client: Client, server: Server
) -> None:
    error = {"code": code, "message": "no, try again in 3s"}
    document: dict[str, Any] = {"error": error}
    if inside == "choice":
        document = {"choices": [{"message": {"content": "Half"}, "finish_reason": "error", "error": error}]}
    events = [delta({"content": "Half"}), event(document)]
    server.answer = lambda _: (
        chunked(events) if stream and inside == "event" else whole(200, {}, json.dumps(document).encode())
    )
    with pytest.raises(ProviderError, match="no") as caught:
        ask(client, endpoint(server.url), stream=stream)
    assert type(caught.value) is expected
    if expected is RateLimited:
        assert (caught.value.status_code, caught.value.retry_after_s) == (429, 3.0)
