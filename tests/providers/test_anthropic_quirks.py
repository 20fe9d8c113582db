"""What Anthropic sends beyond plain text: its documented events, blocks, counts and words for errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.catalog import WireFormat
from app.errors import (
    BadKey,
    BadRequest,
    ContentFiltered,
    ContextTooLong,
    OutOfCredit,
    Overloaded,
    ProviderError,
    RateLimited,
    ServerError,
    UnusableAnswer,
)
from app.providers.base import Answer, ChatRequest, Delta, Finish, Message
from app.providers.client import Client
from tests.providers.calls import ask, endpoint
from tests.providers.server import Server, chunked, whole

PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
START_USAGE = {"input_tokens": 10, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 5, "output_tokens": 1}


def event(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def start(usage: dict[str, Any] | None = None) -> bytes:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "tiny-1", "content": []}
    return event("message_start", message={**message, "stop_reason": None, "usage": usage or START_USAGE})


def block(index: int, begins: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    pieces = [event("content_block_delta", index=index, delta=delta) for delta in deltas]
    begin = event("content_block_start", index=index, content_block=begins)
    return b"".join([begin, *pieces, event("content_block_stop", index=index)])


def end(reason: str = "end_turn", **usage: Any) -> bytes:
    delta = event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 7, **usage})
    return delta + event("message_stop")


def text(index: int, *pieces: str) -> bytes:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def streamed(client: Client, server: Server, *events: bytes) -> tuple[Answer, list[Delta]]:
    server.answer = lambda _: chunked(events)
    return ask(client, endpoint(server.url, WireFormat.ANTHROPIC), stream=True)


def plain(client: Client, server: Server, content: list[dict[str, Any]], reason: str = "end_turn") -> Answer:
    body = {"id": "msg_1", "type": "message", "model": "tiny-1", "content": content, "stop_reason": reason}
    body["usage"] = {**START_USAGE, "output_tokens": 7}
    server.answer = lambda _: whole(200, {"content-type": "application/json"}, json.dumps(body).encode())
    return ask(client, endpoint(server.url, WireFormat.ANTHROPIC), stream=False)[0]


@PLAIN_AND_STREAMED
@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", Finish.STOP),
        ("stop_sequence", Finish.STOP),
        ("pause_turn", Finish.LENGTH),
        ("max_tokens", Finish.LENGTH),
        ("model_context_window_exceeded", Finish.LENGTH),
        ("refusal", Finish.FILTER),
        ("tool_use", Finish.STOP),  # of a tool that the server ran itself
        ("something_new", Finish.STOP),
    ],
)
def test_every_stop_reason_has_its_class(
    reason: str, finish: Finish, stream: bool, client: Client, server: Server
) -> None:
    if stream:
        answer, _ = streamed(client, server, start(), text(0, "So far"), end(reason))
    else:
        answer = plain(client, server, [{"type": "text", "text": "So far"}], reason)
    assert (answer.text, answer.finish) == ("So far", finish)


def test_stop_reason_that_is_not_there_yet_ends_nothing(client: Client, server: Server) -> None:
    early = event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 3})
    answer, _ = streamed(client, server, start(), early, text(0, "Hi"), end("max_tokens"))
    assert answer.finish is Finish.LENGTH


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        # (prompt, completion, cached, cache_written): the whole prompt, with its cache
        (START_USAGE, {"output_tokens": 7}, (17, 7, 5, 2)),
        # the last event repeats all, summed up over the turns of a server tool
        (
            START_USAGE,
            {
                "input_tokens": 30,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 9,
                "output_tokens": 7,
            },
            (39, 7, 9, 0),
        ),
        # … or a part: what it leaves out stays
        (START_USAGE, {"input_tokens": 30, "output_tokens": 7}, (37, 7, 5, 2)),
        (START_USAGE, {"input_tokens": 30, "cache_read_input_tokens": None, "output_tokens": 7}, (37, 7, 5, 2)),
        (START_USAGE, {"cache_read_input_tokens": 6, "output_tokens": 7}, (18, 7, 6, 2)),
        # compatible servers that know the prompt only at the end
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 12, "output_tokens": 7}, (12, 7, 0, 0)),
        ({}, {"input_tokens": 12, "output_tokens": 7}, (12, 7, 0, 0)),
        # what is counted beside
        (
            {**START_USAGE, "cache_creation": {"ephemeral_5m_input_tokens": 2}, "service_tier": "standard"},
            {"output_tokens": 7, "server_tool_use": {"web_search_requests": 1}},
            (17, 7, 5, 2),
        ),
    ],
)
def test_later_counts_replace_earlier_ones_one_by_one(
    first: dict[str, Any], last: dict[str, Any], expected: tuple[int, ...], client: Client, server: Server
) -> None:
    begin = start() if first is START_USAGE else start(first or {"unknown": 1})
    usage = streamed(client, server, begin, text(0, "Hi"), end(**last))[0].usage
    assert (usage.prompt, usage.completion, usage.cached, usage.cache_written) == expected


def test_tokens_written_for_an_hour_are_told_apart(client: Client, server: Server) -> None:
    """Said at the start of a stream; later events count anew without repeating it."""
    both = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}
    begin = start({"input_tokens": 1, "cache_creation_input_tokens": 30, "cache_creation": both, "output_tokens": 2})

    usage = streamed(client, server, begin, text(0, "Hi"), end(output_tokens=9))[0].usage

    assert (usage.prompt, usage.completion, usage.cache_written, usage.cache_written_hour) == (31, 9, 30, 20)
    assert not usage.estimated


def test_thoughts_are_counted_where_the_provider_tells(client: Client, server: Server) -> None:
    told = end(output_tokens_details={"thinking_tokens": 5})
    usage = streamed(client, server, start(), text(0, "Hi"), told)[0].usage
    assert (usage.completion, usage.reasoning) == (7, 5)
    usage = streamed(client, server, start(), text(0, "Hi"), end(output_tokens_details=None))[0].usage
    assert (usage.completion, usage.reasoning) == (7, 0)


THOUGHTS = [
    {"type": "thinking", "thinking": "Six ", "signature": ""},
    {"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"},
    {"type": "thinking", "thinking": "times seven.", "signature": "c2ln"},
    {"type": "text", "text": "42"},
]


def test_thoughts_are_kept_apart_and_redacted_ones_are_nobodys_text(client: Client, server: Server) -> None:
    answer = plain(client, server, THOUGHTS)
    assert (answer.text, answer.reasoning) == ("42", "Six times seven.")
    # a thought goes back as it is, if it is signed
    assert answer.extra == {"thinking_blocks": [THOUGHTS[1], THOUGHTS[2]]}
    events = [
        block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Six times"},
            {"type": "thinking_delta", "thinking": " seven."},
            {"type": "signature_delta", "signature": "c2ln"},
        ),
        block(1, {"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"}),
        text(2, "42"),
    ]
    answer, deltas = streamed(client, server, start(), event("ping"), *events, end())
    assert (answer.text, answer.reasoning) == ("42", "Six times seven.")
    assert [said for delta in deltas if (said := delta.text or delta.reasoning)] == ["Six times", " seven.", "42"]
    whole = {"type": "thinking", "thinking": "Six times seven.", "signature": "c2ln"}
    assert answer.extra == {"thinking_blocks": [whole, THOUGHTS[1]]}
    assert [delta.extra for delta in deltas if delta.extra] == [
        {"thinking_blocks": [{**block, "index": place}]} for place, block in enumerate(answer.extra["thinking_blocks"])
    ]


def test_tools_that_the_server_runs_are_not_calls_for_us(client: Client, server: Server) -> None:
    found = {"type": "web_search_result", "title": "Köln", "url": "https://h/", "encrypted_content": "eA=="}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found]}
    searching = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    query = {"type": "input_json_delta", "partial_json": '{"query": "weather"}'}
    cited = {"type": "citations_delta", "citation": {"type": "web_search_result_location", "cited_text": "Rain"}}
    mine = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
    answer, deltas = streamed(
        client,
        server,
        start(),
        text(0, "I look. "),
        block(1, searching, query),
        block(2, result),
        block(3, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Rain."}, cited),
        block(
            4,
            mine,
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"city":'},
            {"type": "input_json_delta", "partial_json": ' "Köln"}'},
        ),
        end("tool_use"),
    )
    assert (answer.text, answer.finish) == ("I look. Rain.", Finish.TOOL)
    assert [(call.id, call.name, call.arguments) for call in answer.tool_calls] == [
        ("toolu_1", "weather", '{"city": "Köln"}')
    ]
    assert {delta.tool_index for delta in deltas if delta.tool_index is not None} == {0}


def test_tool_without_arguments_gets_an_empty_object(client: Client, server: Server) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
    empty = {"type": "input_json_delta", "partial_json": ""}
    answers = [plain(client, server, [call], "tool_use")]
    answers.append(streamed(client, server, start(), block(0, call, empty), end("tool_use"))[0])
    assert [answer.tool_calls[0].arguments for answer in answers] == ["{}", "{}"]


def test_events_and_blocks_nobody_knows_yet_are_passed_over(client: Client, server: Server) -> None:
    answer, _ = streamed(
        client,
        server,
        start(),
        event("weather_report", sky="grey"),
        block(0, {"type": "compaction", "content": "…"}, {"type": "compaction_delta", "content": "more"}),
        text(1, "Hi"),
        end(),
    )
    assert answer.text == "Hi"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", Overloaded),
        ("api_error", ServerError),
        ("rate_limit_error", RateLimited),
        ("invalid_request_error", UnusableAnswer),
    ],
)
@pytest.mark.parametrize("before", [[], [start()], [start(), text(0, "Half")]], ids=["at once", "started", "half"])
def test_error_event_in_a_stream_ends_it_whatever_came_before(
    kind: str, expected: type[ProviderError], before: list[bytes], client: Client, server: Server
) -> None:
    error = event("error", error={"type": kind, "message": "Sorry"}, request_id="req_1")
    with pytest.raises(expected, match="Sorry") as caught:
        streamed(client, server, *before, error)
    assert caught.value.provider_code == kind


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (400, "invalid_request_error", "This organization has been disabled.", BadKey),
        (403, "permission_error", "OAuth authentication is currently not allowed", BadKey),
        (
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
            OutOfCredit,
        ),
        (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", OutOfCredit),
        (400, "invalid_request_error", "max_tokens: 90000 > 64000, which is the maximum allowed number", BadRequest),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", ContextTooLong),
        (400, "invalid_request_error", "Output blocked by content filtering policy", ContentFiltered),
        # a proxy's status, the provider's name
        (500, "overloaded_error", "Overloaded", Overloaded),
        (400, "rate_limit_error", "Slow down", RateLimited),
        (500, "authentication_error", "invalid x-api-key", BadKey),
        (520, None, "<html>Cloudflare</html>", ServerError),
    ],
)
def test_error_is_known_by_its_name_and_words(
    status: int, kind: str | None, message: str, expected: type[ProviderError], client: Client, server: Server
) -> None:
    document = {"type": "error", "error": {"type": kind, "message": message}}
    body = message if kind is None else json.dumps(document)
    server.answer = lambda _: whole(status, {}, body.encode())
    with pytest.raises(ProviderError) as caught:
        ask(client, endpoint(server.url, WireFormat.ANTHROPIC), stream=True)
    assert type(caught.value) is expected
    assert caught.value.provider_code == kind


def test_stop_of_white_space_which_anthropic_refuses_is_not_sent(client: Client, server: Server) -> None:
    request = ChatRequest((Message("user", "Hello"),), stop=("\n\n", "END"))
    body = {"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}
    server.answer = lambda _: whole(200, {}, json.dumps(body).encode())
    answer, _ = ask(client, endpoint(server.url, WireFormat.ANTHROPIC), request, stream=False)
    assert server.received[-1].json["stop_sequences"] == ["END"]
    assert answer.dropped == ("stop",)
