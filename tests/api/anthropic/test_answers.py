"""What comes back to callers of /v1/messages: Claude's blocks as it gave them, others' in Claude's shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic

from tests.api.anthropic.front import CLAUDE, COMPAT, GEMINI, U, ask, chunks, read, result, sent, text, told, use, wire
from tests.support.recording import Recording

CITATION = {
    "type": "web_search_result_location",
    "url": "https://h",
    "title": "T",
    "cited_text": "it",
    "encrypted_index": "x",
}
SEARCHED: list[Any] = [
    {"type": "thinking", "thinking": "let me look", "signature": "c2lnbmVk"},
    {"type": "redacted_thinking", "data": "aGlkZGVu"},
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    {"type": "text", "text": "It is so.", "citations": [CITATION]},
    {"type": "thinking", "thinking": "and now", "signature": "YWdhaW4="},
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "x"}},
]
USAGE = {
    "input_tokens": 5,
    "cache_creation_input_tokens": 7,
    "cache_read_input_tokens": 11,
    "output_tokens": 13,
}
F: Any = {"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}}
G: Any = {"name": "g", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}}
THINK: Any = {"thinking": {"type": "adaptive"}}


@pytest.fixture
def client(front: Recording) -> Iterator[Anthropic]:
    with Anthropic(base_url=front.url, api_key="not-needed", max_retries=0, timeout=30) as made:
        yield made


def document(content: list[Any], **more: Any) -> dict[str, Any]:
    answer = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "content": content, "usage": USAGE}
    return answer | {"stop_reason": "tool_use", "stop_sequence": None} | more


def streamed(content: list[Any], **delta: Any) -> list[bytes]:
    return wire(_events(content, delta))


def _events(content: list[Any], delta: dict[str, Any]) -> Iterator[Any]:
    begins = document([], stop_reason=None) | {"usage": USAGE | {"output_tokens": 1}}
    yield {"type": "message_start", "message": begins}
    yield {"type": "ping"}
    for index, block in enumerate(content):
        begun, deltas = _pieces(block)
        yield {"type": "content_block_start", "index": index, "content_block": begun}
        for each in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": each}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": "tool_use", "stop_sequence": None} | delta
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 13}}
    yield {"type": "message_stop"}


def _pieces(block: Any) -> tuple[Any, list[Any]]:
    match block["type"]:
        case "text":
            cited = [{"type": "citations_delta", "citation": each} for each in block.get("citations", ())]
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": block["text"]}, *cited]
        case "thinking":
            half = len(block["thinking"]) // 2
            pieces = [block["thinking"][:half], block["thinking"][half:]]
            thought = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*thought, signed]
        case "tool_use" | "server_tool_use":
            return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
    return block, []


def content_of(message: Any) -> list[Any]:
    """As a program passes it back."""
    return [{k: v for k, v in block.items() if v is not None} for block in message.to_dict()["content"]]


@pytest.mark.parametrize("stream", [False, True])
def test_claudes_blocks_come_as_it_gave_them(front: Recording, client: Anthropic, stream: bool) -> None:
    asked: dict[str, Any] = {"model": CLAUDE, "max_tokens": 50, "messages": [U], "tools": [F]}
    if stream:
        front.stream("anthropic", streamed(SEARCHED))
        with client.messages.stream(**asked) as events:
            message = events.get_final_message()
    else:
        front.answer("anthropic", document(SEARCHED))
        message = client.messages.create(**asked)

    assert content_of(message) == SEARCHED
    assert message.stop_reason == "tool_use"
    used = message.usage.to_dict()
    assert {name: used[name] for name in USAGE} == USAGE


def test_a_claude_stream_passes_event_by_event(front: Recording) -> None:
    front.stream("anthropic", streamed(SEARCHED))
    events = list(read(ask(front, CLAUDE, [U], tools=[F], stream=True)))

    theirs = [event for event in _events(SEARCHED, {}) if event["type"].startswith("content_block")]
    ours = [event for kind, event in events if kind.startswith("content_block")]
    assert ours == theirs
    usage = events[0][1]["message"]["usage"]
    assert usage == USAGE | {"output_tokens": 0}
    assert events[-2][1]["usage"] == USAGE
    assert events[-2][1]["tooloo"]["target"] == CLAUDE
    assert [kind for kind, _ in events[-2:]] == ["message_delta", "message_stop"]


@pytest.mark.parametrize("stream", [False, True])
def test_texts_that_claude_cites_apart_stay_apart(front: Recording, client: Anthropic, stream: bool) -> None:
    texts = [text("As they say, "), text("it is so", citations=[CITATION]), text(".")]
    asked: dict[str, Any] = {"model": CLAUDE, "max_tokens": 50, "messages": [U]}
    if stream:
        front.stream("anthropic", streamed(texts, stop_reason="end_turn"))
        with client.messages.stream(**asked) as events:
            message = events.get_final_message()
    else:
        front.answer("anthropic", document(texts, stop_reason="end_turn"))
        message = client.messages.create(**asked)

    assert content_of(message) == texts


@pytest.mark.parametrize("stream", [False, True])
def test_what_claude_says_beside_its_answer_comes_too(front: Recording, client: Anthropic, stream: bool) -> None:
    container = {"id": "container_1", "expires_at": "2026-01-01T00:00:00Z", "skills": None}
    usage = {"server_tool_use": {"web_search_requests": 2}, "cache_creation": {"ephemeral_1h_input_tokens": 7}}
    asked: dict[str, Any] = {"model": CLAUDE, "max_tokens": 50, "messages": [U]}
    if stream:
        begun = {"type": "message_start", "message": document([]) | {"usage": USAGE | {"service_tier": "standard"}}}
        ends = {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None, "container": container},
            "usage": USAGE | usage,
            "context_management": {"applied_edits": []},
        }
        front.stream("anthropic", wire([begun, *list(_events([text("so")], {}))[2:-2], ends, {"type": "message_stop"}]))
        with client.messages.stream(**asked) as events:
            last = [event for event in events if event.type == "message_delta"][-1].to_dict()
            message = events.get_final_message().to_dict()
        assert last["context_management"] == {"applied_edits": []}
    else:
        more = {"container": container, "context_management": {"applied_edits": []}}
        answer = document([text("so")], stop_reason="end_turn") | more
        front.answer("anthropic", answer | {"usage": USAGE | usage | {"service_tier": "standard"}})
        message = client.messages.create(**asked).to_dict()
        assert message["context_management"] == {"applied_edits": []}

    assert message["container"]["id"] == "container_1"  # type: ignore[index]  # of JSON
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 2  # type: ignore[index]  # of JSON
    assert message["usage"]["service_tier"] == "standard"  # type: ignore[index]  # of JSON


@pytest.mark.parametrize("reason", ["pause_turn", "max_tokens", "model_context_window_exceeded", "refusal", "end_turn"])
@pytest.mark.parametrize("stream", [False, True])
def test_claudes_reasons_to_stop_come_as_it_said_them(front: Recording, reason: str, stream: bool) -> None:
    if stream:
        front.stream("anthropic", streamed([text("so")], stop_reason=reason))
        said = list(read(ask(front, CLAUDE, [U], stream=True)))[-2][1]["delta"]
    else:
        front.answer("anthropic", document([text("so")], stop_reason=reason))
        said = ask(front, CLAUDE, [U]).json()
    assert (said["stop_reason"], said["stop_sequence"]) == (reason, None)


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_sequence_is_told_by_claude_and_vllm(front: Recording, stream: bool) -> None:
    choice = {"message": {"role": "assistant", "content": "so"}, "finish_reason": "stop", "stop_reason": "END"}
    if stream:
        last = {"choices": [{"index": 0, "delta": {"content": "so"}, "finish_reason": "stop", "stop_reason": "END"}]}
        front.stream("compat", [b"data: " + json.dumps(last).encode() + b"\n\n", b"data: [DONE]\n\n"])
        front.stream("anthropic", streamed([text("so")], stop_reason="stop_sequence", stop_sequence="END"))
    else:
        front.answer("compat", {"choices": [choice]})
        front.answer("anthropic", document([text("so")], stop_reason="stop_sequence", stop_sequence="END"))
    for model in (CLAUDE, COMPAT):
        response = ask(front, model, [U], stop_sequences=["END"], stream=stream)
        said = list(read(response))[-2][1]["delta"] if stream else response.json()
        assert (said["stop_reason"], said["stop_sequence"]) == ("stop_sequence", "END")


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_of_anothers_has_claudes_blocks(front: Recording, client: Anthropic, stream: bool) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": "x"}'}}
    reply = {"role": "assistant", "reasoning_content": "hm", "content": "so", "tool_calls": [call]}
    asked: dict[str, Any] = {"model": COMPAT, "max_tokens": 50, "messages": [U], "tools": [F], **THINK}
    if stream:
        calls = {"tool_calls": [{"index": 0, **call}]}
        front.stream("compat", chunks({"reasoning_content": "hm"}, {"content": "so"}, calls, finish="tool_calls"))
        with client.messages.stream(**asked) as events:
            message = events.get_final_message()
        assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (20, 10)
        assert message.usage.output_tokens == 4
    else:
        front.answer("compat", {"choices": [{"message": reply, "finish_reason": "tool_calls"}]})
        message = client.messages.create(**asked)

    thought, said, called = content_of(message)
    assert thought == {"type": "thinking", "thinking": "hm", "signature": thought["signature"]}
    assert (said, called) == (text("so"), use("c1", a="x"))

    history = [U, {"role": "assistant", "content": [thought, said, called]}, told(result("c1"))]
    assert sent(front, COMPAT, history, tools=[F])["messages"][1]["reasoning_content"] == "hm"
    front.reset()
    body = sent(front, CLAUDE, history, tools=[F])
    assert body["messages"][1]["content"] == [said, called]


def test_thoughts_of_others_are_for_those_who_ask_for_them(front: Recording) -> None:
    reply = {"role": "assistant", "reasoning_content": "hm", "content": "so"}
    front.answer("compat", {"choices": [{"message": reply, "finish_reason": "stop"}]})
    for asked in ({}, {"thinking": {"type": "disabled"}}):
        assert ask(front, COMPAT, [U], **asked).json()["content"] == [text("so")]
    front.stream("compat", chunks({"reasoning_content": "hm"}, {"content": "so"}))
    kinds = [
        e["content_block"]["type"]
        for kind, e in read(ask(front, COMPAT, [U], stream=True))
        if "start" in kind and "content_block" in e
    ]
    assert kinds == ["text"]


@pytest.mark.parametrize("stream", [False, True])
def test_geminis_signature_comes_back_to_gemini_and_to_nobody_else(
    front: Recording, client: Anthropic, stream: bool
) -> None:
    parts = [
        {"text": "Looking.", "thoughtSignature": "dGV4dA=="},
        {"functionCall": {"id": "g1", "name": "f", "args": {"a": "x"}}, "thoughtSignature": "Y2FsbA=="},
    ]
    answer = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}
    asked: dict[str, Any] = {"model": GEMINI, "max_tokens": 50, "messages": [U], "tools": [F], **THINK}
    if stream:
        front.stream("gemini", [b"data: " + json.dumps(answer).encode() + b"\n\n"])
        with client.messages.stream(**asked) as events:
            message = events.get_final_message()
    else:
        front.answer("gemini", answer)
        message = client.messages.create(**asked)
    content = content_of(message)
    assert [block["type"] for block in content if block["type"] != "redacted_thinking"] == ["text", "tool_use"]
    assert content[-1] == use("g1", a="x")

    front.reset()
    history = [U, {"role": "assistant", "content": content}, told(result("g1"))]
    turn = sent(front, GEMINI, history, tools=[F])["contents"][1]["parts"]
    assert [part["thoughtSignature"] for part in turn if "thoughtSignature" in part] == ["dGV4dA==", "Y2FsbA=="]
    for model in (CLAUDE, COMPAT):
        body = json.dumps(sent(front, model, history, tools=[F]))
        assert "tooloo" not in body
        assert "redacted" not in body


def test_two_calls_whose_pieces_are_mixed_are_two_blocks(front: Recording, client: Anthropic) -> None:
    def piece(index: int, arguments: str, name: str | None = None, call_id: str | None = None) -> Any:
        return {"tool_calls": [{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}]}

    front.stream(
        "compat",
        chunks(
            piece(0, "", "f", "a"),
            piece(1, "", "g", "b"),
            piece(0, '{"a": '),
            piece(1, '{"a": "2"'),
            piece(0, '"1"}'),
            piece(1, "}"),
            finish="tool_calls",
        ),
    )
    with client.messages.stream(model=COMPAT, max_tokens=50, messages=[U], tools=[F, G]) as events:
        message = events.get_final_message()
    assert content_of(message) == [use("a", "f", a="1"), use("b", "g", a="2")]


def test_calls_without_input_are_empty_objects(front: Recording, client: Anthropic) -> None:
    calls = [{"index": n, "id": f"c{n}", "function": {"name": name, "arguments": ""}} for n, name in enumerate("fg")]
    front.stream("compat", chunks({"tool_calls": calls[:1]}, {"tool_calls": calls[1:]}, finish="tool_calls"))
    with client.messages.stream(model=COMPAT, max_tokens=50, messages=[U], tools=[F, G]) as events:
        message = events.get_final_message()
    assert content_of(message) == [use("c0", "f"), use("c1", "g")]


def test_one_call_at_a_time_is_held_to(front: Recording) -> None:
    front.answer("anthropic", document([text("so"), use("toolu_1"), use("toolu_2")]))
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    content = ask(front, CLAUDE, [U], tools=[F], tool_choice=choice).json()["content"]
    assert content == [text("so"), use("toolu_1")]


def test_a_refusal_is_said(front: Recording) -> None:
    front.answer("openai", {"choices": [{"message": {"role": "assistant", "refusal": "No."}, "finish_reason": "stop"}]})
    message = ask(front, "openai/gpt-4.1-mini", [U]).json()
    assert (message["content"], message["stop_reason"]) == ([text("No.")], "refusal")


def test_what_nobody_wrote_here_is_no_block_of_ours(front: Recording) -> None:
    """Blocks that look like ours and are not change nothing."""
    odd = [
        {"type": "redacted_thinking", "data": f"tooloo:{data}"}
        for data in ("", "!", "e30=", "W10=", "eyJ0dXJuIjogMX0=")
    ]
    history = [U, {"role": "assistant", "content": [*odd, text("so")]}, U]
    for model in (CLAUDE, GEMINI, COMPAT):
        assert "tooloo" not in json.dumps(sent(front, model, history))


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_has_anthropics_envelope(front: Recording, stream: bool) -> None:
    response = ask(front, "compat/none", [U], stream=stream)
    error = response.json()
    assert response.status_code == 404
    assert (error["type"], error["error"]["type"]) == ("error", "not_found_error")
    assert error["request_id"] == response.headers["request-id"]


def test_a_stream_that_breaks_ends_with_an_error_event(front: Recording) -> None:
    front.stream(
        "compat", chunks({"content": "so"}, {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]})[:2]
    )
    events = list(read(ask(front, COMPAT, [U], tools=[F], stream=True)))
    kind, last = events[-1]
    assert (kind, last["error"]["type"]) == ("error", "api_error")
    assert last["request_id"].startswith("req-")
    assert "message_stop" not in [kind for kind, _ in events]
