"""What Gemini sends beyond plain text: its documented finish reasons, parts, counts and words for errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.catalog import WireFormat
from app.errors import (
    BadKey,
    ContentFiltered,
    ModelUnknown,
    OutOfCredit,
    Overloaded,
    ProviderError,
    RateLimited,
    ServerError,
    StreamCut,
    UnusableAnswer,
)
from app.providers.base import Answer, Finish
from app.providers.client import Client
from tests.providers.calls import ask, endpoint
from tests.providers.server import Server, chunked, whole

PLAIN_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


def piece(*parts: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}}
    return {"candidates": [candidate | ({"finishReason": reason} if reason else {})], **more}


def told(client: Client, server: Server, *pieces: Any, stream: bool) -> Answer:
    if stream:
        server.answer = lambda _: chunked(f"data: {json.dumps(each)}\r\n\r\n".encode() for each in pieces)
    else:
        server.answer = lambda _: whole(200, {"content-type": "application/json"}, json.dumps(pieces[0]).encode())
    return ask(client, endpoint(server.url, WireFormat.GEMINI), stream=stream)[0]


@PLAIN_AND_STREAMED
@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", Finish.STOP),
        ("MAX_TOKENS", Finish.LENGTH),
        ("SAFETY", Finish.FILTER),
        ("RECITATION", Finish.FILTER),
        ("LANGUAGE", Finish.FILTER),
        ("BLOCKLIST", Finish.FILTER),
        ("PROHIBITED_CONTENT", Finish.FILTER),
        ("SPII", Finish.FILTER),
        ("IMAGE_SAFETY", Finish.FILTER),
        ("MODEL_ARMOR", Finish.FILTER),
        ("CONTINUATION", Finish.LENGTH),
        ("SOMETHING_NEW", Finish.STOP),
    ],
)
def test_every_finish_reason_has_its_class(
    reason: str, finish: Finish, stream: bool, client: Client, server: Server
) -> None:
    answer = told(client, server, piece({"text": "So far"}, reason=reason), stream=stream)
    assert (answer.text, answer.finish) == ("So far", finish)


@PLAIN_AND_STREAMED
@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII"])
def test_filter_that_left_nothing_is_an_error(reason: str, stream: bool, client: Client, server: Server) -> None:
    document = {"candidates": [{"finishReason": reason, "safetyRatings": []}], "usageMetadata": {"promptTokenCount": 4}}
    with pytest.raises(ContentFiltered):
        told(client, server, document, stream=stream)


@PLAIN_AND_STREAMED
@pytest.mark.parametrize("reason", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY"])
def test_blocked_prompt_is_filtered_and_says_why(reason: str, stream: bool, client: Client, server: Server) -> None:
    feedback = {"blockReason": reason, "safetyRatings": [{"category": "HARM_CATEGORY_X", "probability": "HIGH"}]}
    with pytest.raises(ContentFiltered) as caught:
        told(client, server, {"promptFeedback": feedback, "modelVersion": "tiny-1"}, stream=stream)
    assert caught.value.provider_code == reason


def test_feedback_without_a_block_is_no_block(client: Client, server: Server) -> None:
    document = piece({"text": "Hi"}, reason="STOP", promptFeedback={"safetyRatings": []})
    assert told(client, server, document, stream=False).text == "Hi"


@PLAIN_AND_STREAMED
@pytest.mark.parametrize(
    "reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"]
)
def test_broken_off_answer_names_the_reason(reason: str, stream: bool, client: Client, server: Server) -> None:
    with pytest.raises(UnusableAnswer) as caught:
        told(client, server, piece({"text": "print("}, reason=reason), stream=stream)
    assert caught.value.provider_code == reason


def test_reason_unspecified_ends_no_stream(client: Client, server: Server) -> None:
    with pytest.raises(StreamCut):
        told(client, server, piece({"text": "Hi"}, reason="FINISH_REASON_UNSPECIFIED"), stream=True)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # (prompt, completion, reasoning, cached): thoughts are billed, and are not in candidatesTokenCount
        ({"promptTokenCount": 9, "candidatesTokenCount": 5, "thoughtsTokenCount": 20}, (9, 25, 20, 0)),
        ({"promptTokenCount": 9, "thoughtsTokenCount": 20}, (9, 20, 20, 0)),
        ({"promptTokenCount": 9, "candidatesTokenCount": 5, "cachedContentTokenCount": 4}, (9, 5, 0, 4)),
        ({"promptTokenCount": 9, "toolUsePromptTokenCount": 30, "candidatesTokenCount": 5}, (39, 5, 0, 0)),
        (
            {
                "promptTokenCount": 9,
                "candidatesTokenCount": 5,
                "totalTokenCount": 14,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}],
                "trafficType": "ON_DEMAND",
            },
            (9, 5, 0, 0),
        ),
    ],
)
@PLAIN_AND_STREAMED
def test_usage_counts_thoughts_as_output(
    usage: dict[str, Any], expected: tuple[int, ...], stream: bool, client: Client, server: Server
) -> None:
    document = piece({"text": "Hi"}, reason="STOP", usageMetadata=usage)
    found = told(client, server, document, stream=stream).usage
    assert (found.prompt, found.completion, found.reasoning, found.cached) == expected
    assert not found.estimated


def test_usage_of_a_stream_is_its_last_and_fullest(client: Client, server: Server) -> None:
    pieces = [
        piece({"text": "Hm.", "thought": True}, usageMetadata={"promptTokenCount": 9, "thoughtsTokenCount": 6}),
        piece(
            {"text": "42"},
            usageMetadata={"promptTokenCount": 9, "candidatesTokenCount": 1, "thoughtsTokenCount": 6},
        ),
        piece(
            {"text": ""},
            reason="STOP",
            usageMetadata={"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 6},
        ),
        {"usageMetadata": {"promptTokenCount": 9}},  # says less than is known
    ]
    usage = told(client, server, *pieces, stream=True).usage
    assert (usage.prompt, usage.completion, usage.reasoning) == (9, 8, 6)


@PLAIN_AND_STREAMED
def test_parts_of_every_kind_are_told_apart(stream: bool, client: Client, server: Server) -> None:
    document = piece(
        {"text": "Hm.", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "Look: "},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
        {"executableCode": {"language": "PYTHON", "code": "1+1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
        {"text": "two", "thought": False},
        {"text": "", "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "weather", "args": {"city": "Köln"}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "time"}},
        reason="STOP",
    )
    answer = told(client, server, document, stream=stream)
    assert (answer.text, answer.reasoning, answer.finish) == ("Look: two", "Hm.", Finish.TOOL)
    assert [(call.name, json.loads(call.arguments)) for call in answer.tool_calls] == [
        ("weather", {"city": "Köln"}),
        ("time", {}),
    ]
    assert len({call.id for call in answer.tool_calls}) == 2


def test_id_of_a_call_is_the_models_own_where_it_gives_one(client: Client, server: Server) -> None:
    document = piece({"functionCall": {"id": "abc", "name": "time", "args": {}}}, reason="STOP")
    assert told(client, server, document, stream=False).tool_calls[0].id == "abc"


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/octet-stream", "application/json"])
@pytest.mark.parametrize("pieces", [1, 7], ids=["at once", "in pieces"])
def test_array_is_read_under_any_type(content_type: str, pieces: int, client: Client, server: Server) -> None:
    body = json.dumps([piece({"text": "Grüße, "}), piece({"text": "Welt"}, reason="STOP")]).encode()
    size = -(-len(body) // pieces)
    cut = [body[at : at + size] for at in range(0, len(body), size)]
    server.answer = lambda _: chunked(cut, {"content-type": content_type})
    assert ask(client, endpoint(server.url, WireFormat.GEMINI), stream=True)[0].text == "Grüße, Welt"


def test_error_that_a_stream_begins_with_is_no_cut(client: Client, server: Server) -> None:
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    server.answer = lambda _: chunked([json.dumps([error], indent=2).encode()])
    with pytest.raises(Overloaded, match="overloaded") as caught:
        ask(client, endpoint(server.url, WireFormat.GEMINI), stream=True)
    assert caught.value.provider_code == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("status", "name", "message", "expected"),
    [
        (400, "INVALID_ARGUMENT", "API Key not found. Please pass a valid API key.", BadKey),
        (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", BadKey),
        (401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", BadKey),
        (403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key.", BadKey),
        (404, "NOT_FOUND", "models/x is not found for API version v1beta", ModelUnknown),
        (400, "INVALID_ARGUMENT", "* GenerateContentRequest.model: unexpected model name format", ModelUnknown),
        (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", RateLimited),
        (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", OutOfCredit),
        (499, "CANCELLED", "The operation was cancelled.", ServerError),
        (504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.", ServerError),
    ],
)
def test_error_is_known_by_its_status_and_words(
    status: int, name: str, message: str, expected: type[ProviderError], client: Client, server: Server
) -> None:
    body = json.dumps({"error": {"code": status, "message": message, "status": name}}).encode()
    server.answer = lambda _: whole(status, {"content-type": "application/json"}, body)
    with pytest.raises(ProviderError) as caught:
        ask(client, endpoint(server.url, WireFormat.GEMINI), stream=False)
    assert type(caught.value) is expected
    assert str(caught.value) == message
