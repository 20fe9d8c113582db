"""What providers do that their formats do not say: each row was seen in the wild."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.catalog import WireFormat
from app.errors import UnusableAnswer
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


def test_refusal_of_the_model_is_its_answer_and_marked(client: Client, server: Server) -> None:
    serve(server, said(content=None, refusal="I will not."))
    answer = ask(client, endpoint(server.url), stream=False)[0]
    assert (answer.text, answer.finish) == ("I will not.", Finish.FILTER)


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
        {"error": {"message": "died", "code": 502, "type": "engine_dead"}, "choices": []},  # OpenRouter
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
