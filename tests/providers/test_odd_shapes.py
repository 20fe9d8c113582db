"""Answers whose shape is not quite the format's: what can be read of them is, and what says an error is that error."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.domain.catalog import WireFormat
from app.errors import BadKey, OutOfCredit, Overloaded, ProviderError, RateLimited, ServerError, UnusableAnswer
from app.providers.base import Answer, Delta
from app.providers.client import Client
from tests.providers.calls import HELLO, ask, endpoint
from tests.providers.server import Server, chunked, whole

OPENAI, ANTHROPIC, GEMINI = WireFormat.OPENAI, WireFormat.ANTHROPIC, WireFormat.GEMINI
PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
DONE = b"data: [DONE]\n\n"
OSLO = '{"city":"Oslo"}'
OFFERED = replace(
    HELLO, tools=tuple({"type": "function", "function": {"name": name}} for name in ("w", "w2", "web_search"))
)


def event(document: object) -> bytes:
    return b"data: %b\n\n" % json.dumps(document).encode()


def delta(piece: dict[str, Any], reason: str | None = None, **beside: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": piece, "finish_reason": reason, **beside}]})


def message(said: dict[str, Any], reason: str | None = None) -> bytes:
    """A whole message where a piece should be."""
    return event({"choices": [{"index": 0, "message": said, "finish_reason": reason}]})


def called(*calls: dict[str, Any] | None) -> dict[str, Any]:
    return {"content": None, "tool_calls": list(calls)}


def function(name: str | None = None, arguments: object = None, **beside: Any) -> dict[str, Any]:
    given = {"name": name, "arguments": arguments}
    return {**beside, "function": {key: value for key, value in given.items() if value is not None}}


def openai(said: object, reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": said, "finish_reason": reason}]}


def claude(content: object, reason: str = "end_turn") -> dict[str, Any]:
    return {"content": content, "stop_reason": reason}


def claude_event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\n%b" % (kind.encode(), event({"type": kind, **fields}))


def gemini(parts: object, **beside: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}], **beside}


def read(client: Client, server: Server, wire: WireFormat, told: object, *, stream: bool) -> tuple[Answer, list[Delta]]:
    """`told` is the events of a stream, the bytes of a body, or what is to be one."""
    if isinstance(told, list) and told and isinstance(told[0], bytes):
        server.answer = lambda _: chunked(told)
    else:
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        server.answer = lambda _: whole(200, {"content-type": "application/json"}, body)
    answer, deltas = ask(client, endpoint(server.url, wire), OFFERED, stream=stream)
    if stream:
        assert "".join(each.text for each in deltas) == answer.text
        assert "".join(each.reasoning for each in deltas) == answer.reasoning
        in_order = sorted(deltas, key=lambda each: each.tool_index or 0)
        assert "".join(each.tool_arguments for each in in_order) == "".join(c.arguments for c in answer.tool_calls)
    return answer, deltas


HELLO_STREAM = [delta({"content": "Hel"}), delta({"content": "lo"}), delta({}, "stop"), DONE]


@PLAIN_AND_STREAMED
@pytest.mark.parametrize(
    ("wire", "told"),
    [
        (OPENAI, openai({"content": ["Hel", "lo"]})),
        (OPENAI, openai({"content": {"type": "text", "text": "Hello"}})),
        (OPENAI, openai({"content": [None, {"type": "text", "text": "Hello"}]})),
        (OPENAI, {"choices": {"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}}),
        (OPENAI, {"choices": [{"index": 1, "message": {"content": "Hello"}, "finish_reason": "stop"}]}),
        (OPENAI, {"choices": [{"index": 0, "text": "Hello", "finish_reason": "stop"}]}),
        (OPENAI, [openai({"content": "Hello"})]),
        (OPENAI, b"\xef\xbb\xbf" + json.dumps(openai({"content": "Hello"})).encode()),
        (ANTHROPIC, claude("Hello")),
        (ANTHROPIC, claude(["Hel", "lo"])),
        (ANTHROPIC, claude({"type": "text", "text": "Hello"})),
        (ANTHROPIC, claude([None, {"type": "text", "text": "Hello"}])),
        (GEMINI, gemini([None, {"text": "Hello"}])),
        (GEMINI, gemini({"text": "Hello"})),
        (GEMINI, gemini(["Hel", "lo"])),
        (GEMINI, gemini([{"text": "Hello"}], promptFeedback={"blockReason": "BLOCK_REASON_UNSPECIFIED"})),
        (GEMINI, {"candidates": [gemini([{"text": text}])["candidates"][0] for text in ("Hello", "Bye")]}),
        # streams
        (OPENAI, [delta({"content": "Hel"}), delta({"content": "lo"}), message({"content": "Hello"}, "stop"), DONE]),
        (OPENAI, [message({"content": "Hel"}), message({"content": "Hello"}, "stop"), DONE]),
        (OPENAI, [message({"content": "Hel"}), message({"content": "lo"}, "stop"), DONE]),
        (OPENAI, [delta({"role": "assistant"}), delta({}, "stop", message={"content": "Hello"}), DONE]),
        (OPENAI, [b"".join(each[:-1] for each in HELLO_STREAM)]),  # no blank line between
        (OPENAI, [b"data: " + each for each in HELLO_STREAM]),
        (OPENAI, [*HELLO_STREAM[:3], b'data: "[DONE]"\n\n']),
        (OPENAI, [*HELLO_STREAM[:3], b"data: [done]\n\n"]),
        (OPENAI, [*HELLO_STREAM[:3], b"event: done\ndata: \n\n"]),
        (OPENAI, [HELLO_STREAM[0], b"event: ping\ndata: 12:00\n\n", b"data: ping\n\n", *HELLO_STREAM[1:]]),
        (GEMINI, [event(gemini([{"text": "Hello"}])), DONE]),
        (
            ANTHROPIC,
            [
                claude_event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"}),
                claude_event("message_delta", delta={"stop_reason": "end_turn"}),
                DONE,
            ],
        ),
        (ANTHROPIC, [claude_event("message_start", message=claude([{"type": "text", "text": "Hello"}]))]),
        (
            ANTHROPIC,
            [
                b'event: content_block_delta\ndata: {"index":0,"delta":{"text":"Hello"}}\n\n',
                b'event: message_delta\ndata: {"delta":{"stop_reason":"end_turn"}}\n\n',
                b"event: message_stop\ndata: {}\n\n",
            ],
        ),
    ],
)
def test_text_is_read_in_any_shape(
    wire: WireFormat, told: object, stream: bool, client: Client, server: Server
) -> None:
    assert read(client, server, wire, told, stream=stream)[0].text == "Hello"


@PLAIN_AND_STREAMED
def test_line_breaks_in_a_json_text_are_read_as_they_are(stream: bool, client: Client, server: Server) -> None:
    body = json.dumps(openai({"content": "a\nb\tc"})).encode().replace(b"\\n", b"\n").replace(b"\\t", b"\t")
    assert read(client, server, OPENAI, body, stream=stream)[0].text == "a\nb\tc"


@PLAIN_AND_STREAMED
@pytest.mark.parametrize(
    ("wire", "told"),
    [
        (OPENAI, openai(called({"id": "a", "name": "w", "arguments": OSLO}))),
        (OPENAI, openai({"content": None, "tool_calls": function("w", OSLO, id="a")})),
        (OPENAI, openai(called(None, function("w", OSLO, id="a")))),
        (
            OPENAI,
            [
                delta(called(function("w", {}, id="a", index=0))),
                delta(called(function(None, {"city": "Oslo"}, index=0))),
                delta({}, "stop"),
            ],
        ),
        (ANTHROPIC, claude([{"type": "tool_use", "id": "a", "name": "w", "input": OSLO}], "tool_use")),
        (
            ANTHROPIC,  # whole where it begins, and once more in pieces
            [
                claude_event(
                    "content_block_start",
                    index=0,
                    content_block={"type": "tool_use", "id": "a", "name": "w", "input": {"city": "Oslo"}},
                ),
                claude_event("content_block_delta", index=0, delta={"partial_json": OSLO}),
                claude_event("message_delta", delta={"stop_reason": "tool_use"}),
            ],
        ),
        (
            ANTHROPIC,
            [
                claude_event(
                    "content_block_start",
                    index=0,
                    content_block={"type": "tool_use", "name": "w", "input": {"city": "Oslo"}},
                ),
                claude_event("message_delta", delta={"stop_reason": "tool_use"}),
            ],
        ),
        (GEMINI, gemini([{"functionCall": {"name": "w", "args": OSLO}}])),
        (GEMINI, [event(gemini([{"functionCall": {"id": "a", "name": "w", "args": {"city": "Oslo"}}}]))] * 2),
    ],
)
def test_call_is_read_in_any_shape(
    wire: WireFormat, told: object, stream: bool, client: Client, server: Server
) -> None:
    calls = read(client, server, wire, told, stream=stream)[0].tool_calls
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("w", {"city": "Oslo"})]


@PLAIN_AND_STREAMED
def test_calls_of_blocks_without_an_index_are_apart(stream: bool, client: Client, server: Server) -> None:
    events = []
    for name in ("w", "w2"):
        events += [
            claude_event("content_block_start", content_block={"type": "tool_use", "name": name, "input": {}}),
            claude_event("content_block_delta", delta={"partial_json": OSLO}),
            claude_event("content_block_stop"),
        ]
    events.append(claude_event("message_delta", delta={"stop_reason": "tool_use"}))
    calls = read(client, server, ANTHROPIC, events, stream=stream)[0].tool_calls
    assert [(call.name, call.arguments) for call in calls] == [("w", OSLO), ("w2", OSLO)]


@PLAIN_AND_STREAMED
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["web_", "search"], [("web_search", OSLO)]),
        (["w", "eb_"], [("w", "{}"), ("eb_", OSLO)]),  # the first is one of the tools
        (["web_", "web_search"], [("web_search", OSLO)]),
        (["web_", "w2"], [("w2", OSLO)]),
    ],
)
def test_name_may_come_in_pieces(
    names: list[str], expected: list[tuple[str, str]], stream: bool, client: Client, server: Server
) -> None:
    events = [delta(called(function(name, index=0))) for name in names]
    events += [delta(called(function(None, OSLO, index=0))), delta({}, "tool_calls"), DONE]
    calls = read(client, server, OPENAI, events, stream=stream)[0].tool_calls
    assert [(call.name, call.arguments) for call in calls] == expected


@PLAIN_AND_STREAMED
def test_arguments_that_are_null_are_none(stream: bool, client: Client, server: Server) -> None:
    told = openai(called(function("w", "null", id="a")), "tool_calls")
    assert read(client, server, OPENAI, told, stream=stream)[0].tool_calls[0].arguments == "{}"


def test_null_within_arguments_stays(client: Client, server: Server) -> None:
    pieces = ['{"a":', "null", "}"]
    events = [delta(called(function("w" if n == 0 else None, each, index=0))) for n, each in enumerate(pieces)]
    answer, _ = read(client, server, OPENAI, [*events, delta({}, "tool_calls"), DONE], stream=True)
    assert answer.tool_calls[0].arguments == '{"a":null}'


@PLAIN_AND_STREAMED
@pytest.mark.parametrize(
    "said",
    [
        {"content": "Hello", "reasoning_text": "hm"},
        {"content": "Hello", "thinking": "hm"},
        {"content": "Hello", "reasoning": "hm", "reasoning_content": "hm"},
        {"content": "Hello", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hello"}]},
        {"content": [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "Hello"}]},
    ],
)
def test_thoughts_are_read_wherever_they_stand(
    said: dict[str, Any], stream: bool, client: Client, server: Server
) -> None:
    answer, _ = read(client, server, OPENAI, openai(said), stream=stream)
    assert (answer.text, answer.reasoning) == ("Hello", "hm")


@PLAIN_AND_STREAMED
@pytest.mark.parametrize("pieces", [["h", "m"], ["h", "hm"]], ids=["pieces", "all so far"])
def test_thoughts_in_details_alone_are_read_once(
    pieces: list[str], stream: bool, client: Client, server: Server
) -> None:
    events = [delta({"reasoning_details": [{"type": "reasoning.text", "text": each}]}) for each in pieces]
    answer, _ = read(client, server, OPENAI, [*events, *HELLO_STREAM], stream=stream)
    assert (answer.text, answer.reasoning) == ("Hello", "hm")


@PLAIN_AND_STREAMED
def test_thought_that_nobody_ends_is_kept_in_its_place(stream: bool, client: Client, server: Server) -> None:
    events = [
        claude_event("content_block_start", index=0, content_block={"type": "thinking", "thinking": "hm"}),
        claude_event("content_block_delta", index=0, delta={"signature": "s"}),
        claude_event("content_block_start", index=1, content_block={"type": "text", "text": "Hello"}),
        claude_event("message_delta", delta={"stop_reason": "end_turn"}),
    ]
    answer, _ = read(client, server, ANTHROPIC, events, stream=stream)
    assert answer.extra == {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}


@PLAIN_AND_STREAMED
def test_sounds_and_pictures_are_answers(stream: bool, client: Client, server: Server) -> None:
    sound = [{"id": "a", "transcript": "Hel"}, {"data": "AAAA"}, {"transcript": "lo"}, {"data": "BBBB"}]
    events = [*(delta({"audio": each}) for each in sound), delta({}, "stop"), DONE]
    answer, _ = read(client, server, OPENAI, events, stream=stream)
    assert answer.extra == {"audio": {"id": "a", "transcript": "Hello", "data": "AAAABBBB"}}
    picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    told: dict[WireFormat, object] = {
        OPENAI: openai({"content": "", "images": picture}),
        GEMINI: gemini([{"inlineData": {"mimeType": "image/png", "data": "AA"}}]),
    }
    for wire, each in told.items():
        assert read(client, server, wire, each, stream=stream)[0].extra == {"images": picture}


@PLAIN_AND_STREAMED
def test_what_was_found_on_the_web_is_handed_on(stream: bool, client: Client, server: Server) -> None:
    found = [{"type": "url_citation", "url_citation": {"url": "http://x", "title": "x"}}]
    answer, _ = read(client, server, OPENAI, openai({"content": "Hello", "annotations": found}), stream=stream)
    assert answer.extra == {"annotations": found}


@PLAIN_AND_STREAMED
@pytest.mark.parametrize(
    ("wire", "told", "expected"),
    [
        (OPENAI, [{"error": {"message": "x", "code": 429}}], RateLimited),
        (OPENAI, {"errors": [{"message": "x", "code": "insufficient_quota"}]}, OutOfCredit),
        (
            OPENAI,
            {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}, "choices": None},
            OutOfCredit,
        ),
        (OPENAI, {"status": 401, "message": "bad key"}, BadKey),
        (OPENAI, {"error": {"type": "rate_limit_exceeded", "message": "x"}}, RateLimited),
        (OPENAI, {"error": {"type": "server_error", "message": "The engine is currently overloaded"}}, Overloaded),
        (OPENAI, {"detail": "no such thing"}, UnusableAnswer),
        (OPENAI, [HELLO_STREAM[0], event([{"error": {"code": 503, "message": "x"}}])], Overloaded),
        (OPENAI, [HELLO_STREAM[0], event({"code": 429, "message": "x"})], RateLimited),
        (OPENAI, [HELLO_STREAM[0], b'{"error":{"message":"x","code":"insufficient_quota"}}\n'], OutOfCredit),
        (OPENAI, [HELLO_STREAM[0], b'error: {"message":"x","code":"insufficient_quota"}\n\n'], OutOfCredit),
        (ANTHROPIC, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, Overloaded),
        (ANTHROPIC, [b'event: error\ndata: {"message":"x"}\n\n'], UnusableAnswer),
        (GEMINI, [{"error": {"code": 503, "message": "x"}}], Overloaded),
        (GEMINI, {"error": {"message": "x", "status": "UNAVAILABLE"}}, Overloaded),
        (GEMINI, {"error": {"message": "x", "status": "INTERNAL"}}, ServerError),
        (
            GEMINI,
            [
                event({"candidates": [{"content": {"parts": [{"text": "Hel"}]}}]}),
                json.dumps({"error": {"code": 503, "message": "x"}}, indent=2).encode(),
            ],
            Overloaded,
        ),
    ],
)
def test_error_is_found_wherever_it_stands(
    wire: WireFormat, told: object, expected: type[ProviderError], stream: bool, client: Client, server: Server
) -> None:
    with pytest.raises(ProviderError) as caught:
        read(client, server, wire, told, stream=stream)
    assert type(caught.value) is expected


@pytest.mark.parametrize("beside", [{"error": None}, {"error": {}}, {"error": ""}, {"base_resp": {"status_code": 0}}])
def test_error_that_says_nothing_is_none(beside: dict[str, Any], client: Client, server: Server) -> None:
    told = openai({"content": "Hello"}) | beside
    assert read(client, server, OPENAI, told, stream=False)[0].text == "Hello"


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "total_tokens": 8}, (5, 3, 0, 0)),
        ({"prompt_tokens": "5", "completion_tokens": 3.0}, (5, 3, 0, 0)),
        ({"input_tokens": 5, "output_tokens": 3}, (5, 3, 0, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 3, "cached_tokens": 2}, (5, 3, 0, 2)),
        ({"prompt_tokens": 5, "completion_tokens": 3, "reasoning_tokens": 2}, (5, 3, 2, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}}, (5, 3, 0, 5)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
    ],
)
def test_usage_is_read_as_far_as_it_can_be(
    usage: dict[str, Any], expected: tuple[int, ...] | None, client: Client, server: Server
) -> None:
    found = read(client, server, OPENAI, openai({"content": "Hello"}) | {"usage": usage}, stream=False)[0].usage
    assert (None if found.estimated else (found.prompt, found.completion, found.reasoning, found.cached)) == expected


def test_usage_in_groqs_place_and_geminis_total_are_read(client: Client, server: Server) -> None:
    end = event(
        {
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 3}},
        }
    )
    used = read(client, server, OPENAI, [*HELLO_STREAM[:2], end, DONE], stream=True)[0].usage
    assert (used.prompt, used.completion, used.estimated) == (5, 3, False)
    told = gemini([{"text": "Hello"}], usageMetadata={"promptTokenCount": 5, "totalTokenCount": 8})
    used = read(client, server, GEMINI, told, stream=False)[0].usage
    assert (used.prompt, used.completion, used.estimated) == (5, 3, False)
