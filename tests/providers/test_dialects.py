"""What providers do that their formats do not say: each row was seen in the wild."""

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
    ModelUnknown,
    OutOfCredit,
    ProviderError,
    RateLimited,
    ServerError,
    StreamCut,
    UnusableAnswer,
)
from app.providers.base import ChatRequest, Finish, Message
from app.providers.client import Client
from tests.providers.calls import ask, endpoint
from tests.providers.server import Server, chunked, whole


def said(**message: Any) -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": "stop"}]}


def chunk(**delta: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps({"choices": [{"delta": delta}]}).encode()


def called(*calls: dict[str, Any]) -> bytes:
    return chunk(tool_calls=list(calls))


def serve(server: Server, document: object, headers: dict[str, str] | None = None, before: bytes = b"") -> None:
    server.answer = lambda _: whole(200, headers or {}, before + json.dumps(document).encode())


@pytest.mark.parametrize(
    "before",
    [
        b"\n\n\n",  # DeepSeek, while a plain answer queues
        b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n",
        b"   \r\n",
    ],
)
def test_plain_answer_is_found_behind_keep_alives(before: bytes, client: Client, server: Server) -> None:
    serve(server, said(content="Hi"), before=before)
    assert ask(client, endpoint(server.url), stream=False)[0].text == "Hi"


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": "42", "reasoning_content": "6·7"}, "42", "6·7"),  # DeepSeek, vLLM
        ({"content": "42", "reasoning": "6·7"}, "42", "6·7"),  # OpenRouter, Groq, Ollama
        (  # Mistral's reasoning models
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "6·7"}]},
                    {"type": "text", "text": "42"},
                ]
            },
            "42",
            "6·7",
        ),
        ({"content": "42", "annotations": 3, "audio": [], "tool_calls": "none"}, "42", ""),
    ],
)
def test_text_and_reasoning_are_found_in_every_dialect(
    message: dict[str, Any], text: str, reasoning: str, client: Client, server: Server
) -> None:
    serve(server, said(**message))
    answer = ask(client, endpoint(server.url), stream=False)[0]
    assert (answer.text, answer.reasoning, answer.finish) == (text, reasoning, Finish.STOP)


WEATHER = {"name": "weather", "arguments": '{"a": 1}'}
TIME = {"name": "time", "arguments": "{}"}


@pytest.mark.parametrize(
    "events",
    [
        # each piece repeats the id and the name
        [
            called({"index": 0, "id": "a", "function": {"name": "weather", "arguments": part}})
            for part in ('{"a"', ": 1}")
        ]
        + [called({"index": 1, "id": "b", "function": TIME})],
        # every call has index 0
        [called({"index": 0, "id": "a", "function": WEATHER}), called({"index": 0, "id": "b", "function": TIME})],
        # no index at all
        [called({"id": "a", "function": WEATHER}, {"id": "b", "function": TIME})],
        # no id
        [called({"index": 0, "function": WEATHER}), called({"index": 1, "function": TIME})],
        # arguments as an object
        [
            called(
                {"index": 0, "id": "a", "function": {"name": "weather", "arguments": {"a": 1}}},
                {"index": 1, "id": "b", "function": TIME},
            )
        ],
        # arguments before there is a call are nobody's
        [
            called({"index": 3, "function": {"arguments": "x"}}),
            called({"index": 0, "function": WEATHER}, {"index": 1, "function": TIME}),
        ],
    ],
    ids=["repeated", "one index", "no index", "no id", "object", "orphan"],
)
def test_tool_calls_are_told_apart_in_every_dialect(events: list[bytes], client: Client, server: Server) -> None:
    server.answer = lambda _: chunked([*events, b"data: [DONE]\n\n"])
    calls = ask(client, endpoint(server.url), stream=True)[0].tool_calls
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("weather", {"a": 1}), ("time", {})]
    assert len({call.id for call in calls}) == 2


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # xAI counts reasoning apart from the completion
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 3,
                "total_tokens": 18,
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
            (5, 13, 10, 0),
        ),
        ({"prompt_tokens": 5, "completion_tokens": 3, "prompt_cache_hit_tokens": 2}, (5, 3, 0, 2)),  # DeepSeek
        ({"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": None}, (5, 3, 0, 0)),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2},
            },
            (5, 3, 0, 1),
        ),
    ],
)
def test_usage_is_read_in_every_dialect(
    usage: dict[str, Any], expected: tuple[int, ...], client: Client, server: Server
) -> None:
    serve(server, said(content="Hi") | {"usage": usage})
    found = ask(client, endpoint(server.url), stream=False)[0].usage
    assert (found.prompt, found.completion, found.reasoning, found.cached) == expected
    assert not found.estimated


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 5}, {"prompt_tokens": -5, "completion_tokens": 1}, "?"])
def test_usage_that_is_not_reported_is_estimated_and_marked(usage: object, client: Client, server: Server) -> None:
    serve(server, said(content="x" * 400) | {"usage": usage})
    found = ask(client, endpoint(server.url), stream=False)[0].usage
    assert found.estimated
    assert (found.prompt, found.completion) == (2, 100)  # four characters make a token; the prompt is "Hello"


@pytest.mark.parametrize(
    "document",
    [
        {"object": "error", "message": "died", "type": "engine_dead"},  # vLLM
        {"error": {"message": "died", "code": "engine_dead"}},
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_error_inside_a_200_is_found_in_every_dialect(
    document: dict[str, Any], stream: bool, client: Client, server: Server
) -> None:
    if stream:
        server.answer = lambda _: chunked([b"event: error\ndata: %b\n\n" % json.dumps(document).encode()])
    else:
        serve(server, document)
    with pytest.raises(UnusableAnswer, match="died") as caught:
        ask(client, endpoint(server.url), stream=stream)
    assert caught.value.provider_code == "engine_dead"


def test_only_the_first_of_several_answers_is_taken(client: Client, server: Server) -> None:
    choices = [{"index": i, "message": {"content": text}} for i, text in ((1, "second"), (0, "first"))]
    serve(server, {"choices": choices})
    assert ask(client, endpoint(server.url), stream=False)[0].text == "first"


def test_gemini_that_lost_alt_sse_streams_an_array(client: Client, server: Server) -> None:
    parts = [{"candidates": [{"content": {"parts": [{"text": text}]}}]} for text in ("Grüße, ", "Welt")]
    parts[-1]["candidates"][0]["finishReason"] = "STOP"  # type: ignore[assignment]  # JSON
    serve(server, parts, {"content-type": "application/json; charset=UTF-8"})
    answer, deltas = ask(client, endpoint(server.url, WireFormat.GEMINI), stream=True)
    assert answer.text == "".join(delta.text for delta in deltas) == "Grüße, Welt"


def test_gemini_of_old_names_a_finish_in_every_event(client: Client, server: Server) -> None:
    events = [
        {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]} for text in ("Hi", " you")
    ]
    server.answer = lambda _: chunked(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    assert ask(client, endpoint(server.url, WireFormat.GEMINI), stream=True)[0].text == "Hi you"


@pytest.mark.parametrize(
    ("value", "cost"), [("0.0125", 0.0125), ("0", 0.0), ("free", None), ("-1", None), ("nan", None), ("", None)]
)
def test_cost_that_a_header_states_is_taken(value: str, cost: float | None, client: Client, server: Server) -> None:
    serve(server, said(content="Hi"), {"X-LiteLLM-Response-Cost": value})
    target = endpoint(server.url, cost_header="x-litellm-response-cost")
    assert ask(client, target, stream=False)[0].reported_cost_usd == cost


def test_header_names_the_request_before_the_body_does(client: Client, server: Server) -> None:
    serve(server, said(content="Hi") | {"id": "chatcmpl-1"}, {"X-Request-Id": "req_1"})
    assert ask(client, endpoint(server.url), stream=False)[0].provider_request_id == "req_1"
    serve(server, said(content="Hi") | {"id": "chatcmpl-1"})
    assert ask(client, endpoint(server.url), stream=False)[0].provider_request_id == "chatcmpl-1"


def test_answer_says_what_was_not_sent(client: Client, server: Server) -> None:
    serve(server, said(content="Hi"))
    request = ChatRequest((Message("user", "Hello"),), temperature=0.5, max_tokens=9)
    assert ask(client, endpoint(server.url), request, stream=False, model="gpt-5")[0].dropped == ("temperature",)


OLD_CALL = {"name": "weather", "arguments": '{"a": 1}'}


def test_function_call_of_old_is_a_tool_call(client: Client, server: Server) -> None:
    serve(
        server,
        {"choices": [{"message": {"content": None, "function_call": OLD_CALL}, "finish_reason": "function_call"}]},
    )
    plain = ask(client, endpoint(server.url), stream=False)[0]
    pieces = [{"name": "weather", "arguments": ""}, {"arguments": '{"a"'}, {"arguments": ": 1}"}]
    last = b'data: {"choices": [{"delta": {}, "finish_reason": "function_call"}]}\n\ndata: [DONE]\n\n'
    server.answer = lambda _: chunked([*(chunk(function_call=piece) for piece in pieces), last])
    streamed = ask(client, endpoint(server.url), stream=True)[0]
    for answer in (plain, streamed):
        assert answer.finish is Finish.TOOL
        assert [(call.name, json.loads(call.arguments)) for call in answer.tool_calls] == [("weather", {"a": 1})]


def test_pieces_without_anything_to_say_are_passed_over(client: Client, server: Server) -> None:
    filtered = {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}  # Azure's first
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
    events = [
        b": keep-alive\n\n",
        b"data: %b\n\n" % json.dumps(filtered).encode(),
        chunk(role="assistant", content="", refusal=None),
        chunk(role="assistant"),
        b"\n\n: keep-alive\n\n",
        chunk(content="Hi"),
        b'data: {"choices": [{"index": 1, "delta": {"content": "another answer"}}]}\n\n',
        b'data: {"choices": [{"delta": null, "finish_reason": "stop"}], "usage": null}\n\n',
        b"data: %b\n\n" % json.dumps(usage).encode(),
        b"data: [DONE]\n\n",
    ]
    server.answer = lambda _: chunked(events)
    answer, deltas = ask(client, endpoint(server.url), stream=True)
    assert (answer.text, answer.model) == ("Hi", "m")
    assert [delta.text for delta in deltas] == ["Hi"]
    assert (answer.usage.prompt, answer.usage.completion, answer.usage.estimated) == (3, 2, False)


def test_usage_inside_a_choice_is_found(client: Client, server: Server) -> None:
    choice = {"delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}  # Moonshot
    last = b"data: %b\n\n" % json.dumps({"choices": [choice]}).encode()
    server.answer = lambda _: chunked([chunk(content="Hi"), last, b"data: [DONE]\n\n"])
    usage = ask(client, endpoint(server.url), stream=True)[0].usage
    assert (usage.prompt, usage.completion, usage.estimated) == (3, 2, False)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", Finish.STOP),
        ("length", Finish.LENGTH),
        ("content_filter", Finish.FILTER),
        ("sensitive", Finish.FILTER),  # Zhipu
        ("tool_calls", Finish.STOP),  # … where there is none
        ("eos", Finish.STOP),  # Together
    ],
)
def test_every_finish_reason_has_its_class(reason: str, finish: Finish, client: Client, server: Server) -> None:
    serve(server, {"choices": [{"message": {"content": "So far"}, "finish_reason": reason}]})
    assert ask(client, endpoint(server.url), stream=False)[0].finish is finish


@pytest.mark.parametrize("reason", ["insufficient_system_resource", "error", "abort", "network_error"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_answer_that_was_broken_off_is_of_no_use(reason: str, stream: bool, client: Client, server: Server) -> None:
    if stream:
        last = b"data: %b\n\n" % json.dumps({"choices": [{"delta": {}, "finish_reason": reason}]}).encode()
        server.answer = lambda _: chunked([chunk(content="Half"), last, b"data: [DONE]\n\n"])
    else:
        serve(server, {"choices": [{"message": {"content": "Half"}, "finish_reason": reason}]})
    with pytest.raises(UnusableAnswer) as caught:
        ask(client, endpoint(server.url), stream=stream)
    assert caught.value.provider_code == reason


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/octet-stream", "text/plain", ""])
@pytest.mark.parametrize("before", [b"", b"\n\n", b": keep-alive\n\n"])
def test_answer_that_is_no_stream_is_known_by_its_body(
    content_type: str, before: bytes, client: Client, server: Server
) -> None:
    serve(server, said(content="Hi"), {"content-type": content_type}, before)
    answer, deltas = ask(client, endpoint(server.url), stream=True)
    assert answer.text == "".join(delta.text for delta in deltas) == "Hi"


@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream", "text/plain", ""])
def test_stream_is_known_by_its_body(content_type: str, client: Client, server: Server) -> None:
    events = [chunk(content="Hi"), b"data: [DONE]\n\n"]
    server.answer = lambda _: chunked(events, {"content-type": content_type})
    assert ask(client, endpoint(server.url), stream=True)[0].text == "Hi"


@pytest.mark.parametrize("body", [b"<html>Welcome to the hotel's network</html>", b"null", b'"Hi"', b"OK", b"{half"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_200_that_is_neither_answer_nor_stream_is_of_no_use(
    body: bytes, stream: bool, client: Client, server: Server
) -> None:
    server.answer = lambda _: whole(200, {"content-type": "text/html"}, body)
    with pytest.raises(UnusableAnswer):
        ask(client, endpoint(server.url), stream=stream)


@pytest.mark.parametrize(
    "body", [b"", b"\n\n", b": keep-alive\n\n", b"da", b"data: {", b"event: x\n", b"\xef\xbb\xbfdata:"]
)
def test_stream_without_a_whole_event_is_cut(body: bytes, client: Client, server: Server) -> None:
    server.answer = lambda _: chunked([body])
    with pytest.raises(StreamCut):
        ask(client, endpoint(server.url), stream=True)


def test_error_event_needs_no_known_shape(client: Client, server: Server) -> None:
    server.answer = lambda _: chunked([chunk(content="Half"), b'event: error\ndata: {"message": "died"}\n\n'])
    with pytest.raises(UnusableAnswer, match="died"):
        ask(client, endpoint(server.url), stream=True)


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, {"message": "Model Not Exist", "code": "invalid_request_error"}, ModelUnknown),  # DeepSeek
        (400, {"message": "llama is not a valid model ID", "code": 400}, ModelUnknown),  # OpenRouter
        (400, {"message": "Invalid model: x", "type": "invalid_model"}, ModelUnknown),  # Mistral
        (400, {"message": "It has been decommissioned", "code": "model_decommissioned"}, ModelUnknown),  # Groq
        (404, {"message": "The API deployment does not exist", "code": "DeploymentNotFound"}, ModelUnknown),  # Azure
        (410, {"message": "This deployment has been deleted"}, ModelUnknown),
        (405, {"message": "Method Not Allowed"}, ModelUnknown),  # base_url leads to another server
        (400, {"message": "The model `x-4.1` has been retired."}, ModelUnknown),
        (400, {"message": "The model grok-0 does not exist or is not served here"}, ModelUnknown),  # xAI
        (400, {"message": "The provided model identifier is invalid."}, ModelUnknown),  # Bedrock
        (422, {"message": "This model is no longer available"}, ModelUnknown),
        (400, {"message": "The model does not support: 'image' no longer than 5 MB"}, BadRequest),
        (400, {"message": "tool 'model_x' was removed"}, BadRequest),
        (407, {"message": "Proxy Authentication Required"}, ServerError),
        (401, {"message": "The account has been deactivated", "code": "account_deactivated"}, BadKey),
        (403, {"message": "Country, region, or territory not supported", "code": "unsupported_country"}, BadKey),
        (429, {"message": "Your account is not active", "code": "billing_not_active"}, OutOfCredit),
        (403, {"message": "openai/x requires moderation. Your input was flagged", "code": 403}, ContentFiltered),
        (
            400,  # Azure
            {
                "message": "The response was filtered due to the prompt triggering the content management policy",
                "code": "content_filter",
                "status": 400,
                "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
            },
            ContentFiltered,
        ),
        (400, {"message": "the request exceeds the available context size", "code": 400}, ContextTooLong),  # llama.cpp
        (400, {"message": "This model's maximum prompt length is 131072", "code": "x"}, ContextTooLong),  # xAI
        (400, {"message": "Input is too long for requested model."}, ContextTooLong),  # Bedrock
        (
            413,
            {"message": "Request too large for model on tokens per minute", "type": "tokens"},
            ContextTooLong,
        ),  # Groq
        (400, {"message": "Unsupported parameter: 'max_tokens'", "code": "unsupported_parameter"}, BadRequest),
    ],
)
def test_error_is_known_by_its_name_and_words(
    status: int, error: dict[str, Any], expected: type[ProviderError], client: Client, server: Server
) -> None:
    server.answer = lambda _: whole(status, {}, json.dumps({"error": error}).encode())
    with pytest.raises(ProviderError) as caught:
        ask(client, endpoint(server.url), stream=False)
    assert type(caught.value) is expected


def test_delay_that_azure_writes_out_is_read(client: Client, server: Server) -> None:
    error = {"code": "429", "message": "Requests have exceeded the token rate limit. Please retry after 26 seconds."}
    server.answer = lambda _: whole(429, {}, json.dumps({"error": error}).encode())
    with pytest.raises(RateLimited) as caught:
        ask(client, endpoint(server.url), stream=False)
    assert caught.value.retry_after_s == 26.0
