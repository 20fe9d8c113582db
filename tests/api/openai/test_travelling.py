"""An agent whose every turn is answered by another provider: parallel tools, images, reasoning, and nothing lost."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai import OpenAI

from tests.support import refusals
from tests.support.recording import Recording, recording

MODELS = ("openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-3-pro-preview", "compat/kimi-k2-thinking")
RULES: dict[str, Callable[[Any], list[str]]] = {
    "openai": lambda body: refusals.openai(body, "openai"),
    "anthropic": refusals.anthropic,
    "gemini": lambda body: refusals.gemini(body, signed=True),
    "compat": lambda body: refusals.openai(body, "compat"),
}
PIXEL = "iVBORw0KGgo="
LOOK: Any = {
    "type": "function",
    "function": {
        "name": "look.at",
        "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    },
}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    with recording(tmp_path_factory.mktemp("recorded")) as made:
        yield made


@pytest.fixture
def client(front: Recording) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{front.url}/v1", api_key="not-needed", max_retries=0, timeout=30) as made:
        yield made


def thought(turn: int) -> str:
    return f"thought {turn}"


def signature(turn: int) -> str:
    """In base64, as Gemini's are."""
    return base64.b64encode(f"signed {turn:02}".encode()).decode()


def spelled(provider: str) -> str:
    """The tool as it was sent: only Gemini takes a dot in a name."""
    return "look.at" if provider == "gemini" else "look_at_005ed52f"


def openai_answer(turn: int, name: str, *, thinks: bool) -> Any:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": f"answer {turn}",
        "tool_calls": [
            {
                "id": f"look:{turn}.{n}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps({"n": n})},
            }
            for n in (1, 2)
        ],
    }
    if thinks:
        message |= {"reasoning_content": thought(turn), "reasoning_details": [{"type": "x", "text": signature(turn)}]}
    return {"choices": [{"message": message, "finish_reason": "tool_calls"}]}


def claude_answer(turn: int, name: str) -> Any:
    return {
        "type": "message",
        "content": [
            {"type": "thinking", "thinking": thought(turn), "signature": signature(turn)},
            {"type": "redacted_thinking", "data": f"aGlkZGVu{turn}"},
            {"type": "text", "text": f"answer {turn}"},
            *({"type": "tool_use", "id": f"toolu_{turn}_{n}", "name": name, "input": {"n": n}} for n in (1, 2)),
        ],
        "stop_reason": "tool_use",
    }


def gemini_answer(turn: int, name: str) -> Any:
    calls: list[dict[str, Any]] = [
        {"functionCall": {"id": f"g{turn}-{n}", "name": name, "args": {"n": n}}} for n in (1, 2)
    ]
    calls[0]["thoughtSignature"] = signature(turn)
    parts = [{"text": thought(turn), "thought": True}, {"text": f"answer {turn}"}, *calls]
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}


def answer(provider: str, turn: int, name: str) -> Any:
    if provider == "anthropic":
        return claude_answer(turn, name)
    if provider == "gemini":
        return gemini_answer(turn, name)
    return openai_answer(turn, name, thinks=provider == "compat")


def events(provider: str, document: Any) -> list[bytes]:
    """The same answer, streamed."""
    if provider == "gemini":
        parts = document["candidates"][0]["content"]["parts"]
        pieces: list[Any] = [{"candidates": [{"content": {"parts": [part]}}]} for part in parts]
        pieces.append({"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]})
        return [b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in pieces]
    if provider == "anthropic":
        return [b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in claude_events(document)]
    message = document["choices"][0]["message"]
    calls = [{"index": place, **call} for place, call in enumerate(message.pop("tool_calls"))]
    deltas = [*({name: value} for name, value in message.items()), *({"tool_calls": [call]} for call in calls)]
    pieces = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    pieces.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return [*(b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in pieces), b"data: [DONE]\n\n"]


def claude_events(document: Any) -> Iterator[Any]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    yield {"type": "message_start", "message": {"id": "m", "model": "m", "content": [], "usage": usage}}
    for index, block in enumerate(document["content"]):
        empty = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""}, "tool_use": {"input": {}}}
        deltas: dict[str, list[dict[str, Any]]] = {
            "thinking": [
                {"type": "thinking_delta", "thinking": block.get("thinking")},
                {"type": "signature_delta", "signature": block.get("signature")},
            ],
            "text": [{"type": "text_delta", "text": block.get("text")}],
            "tool_use": [{"type": "input_json_delta", "partial_json": json.dumps(block.get("input"))}],
        }
        kind = block["type"]
        yield {"type": "content_block_start", "index": index, "content_block": block | empty.get(kind, {})}
        for delta in deltas.get(kind, []):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}}
    yield {"type": "message_stop"}


def asked(client: OpenAI, model: str, history: list[Any], *, stream: bool) -> Any:
    """The assistant's message, as a program passes it back."""
    if not stream:
        reply = client.chat.completions.create(model=model, messages=history, tools=[LOOK])
        return reply.choices[0].message.to_dict()
    with client.chat.completions.stream(model=model, messages=history, tools=[LOOK]) as streamed:
        for _ in streamed:
            pass
        return streamed.get_final_completion().choices[0].message.to_dict()


def results(message: Any, turn: int) -> list[Any]:
    """The second call's first; a picture with the first call's."""
    first, second = (call["id"] for call in message["tool_calls"])
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    return [
        {"role": "tool", "tool_call_id": second, "content": f"second result {turn}"},
        {
            "role": "tool",
            "tool_call_id": first,
            "content": [{"type": "text", "text": f"first result {turn}"}, picture],
        },
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_ten_turns_over_four_formats_lose_nothing(front: Recording, client: OpenAI, stream: bool) -> None:
    history: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Look around."}]
    for turn in range(10):
        model = MODELS[turn % len(MODELS)]
        provider = model.split("/")[0]
        server = front.servers[provider]
        server.received.clear()
        document = answer(provider, turn, spelled(provider))
        if stream:
            front.stream(provider, events(provider, document))
        else:
            front.answer(provider, document)
        message = asked(client, model, history, stream=stream)
        body = server.received[0].json
        assert RULES[provider](body) == []
        is_whole(body, turn)
        has_its_own(body, provider, turn)
        assert [call["function"]["name"] for call in message["tool_calls"]] == ["look.at", "look.at"]
        history += [message, *results(message, turn)]


def is_whole(body: Any, turns: int) -> None:
    """Everything that was said, called, shown and found before stands in the body, in this order."""
    written = json.dumps(body)
    said = ["Be brief.", "Look around."]
    for turn in range(turns):
        said += [f"answer {turn}", f"first result {turn}", f"second result {turn}"]
    assert all(written.count(f'"{text}"') == 1 for text in said)
    places = [written.index(f'"{text}"') for text in said[1:]]
    assert places == sorted(places)
    assert written.count(PIXEL) == turns


def has_its_own(body: Any, provider: str, turns: int) -> None:
    """What each provider gave with its turns is there again where it is asked itself, and nowhere else."""
    written = json.dumps(body)
    for turn in range(turns):
        mine = MODELS[turn % len(MODELS)].startswith(f"{provider}/") and provider != "openai"
        assert (signature(turn) in written) is mine
        assert (f"aGlkZGVu{turn}" in written) is (mine and provider == "anthropic")
        assert (thought(turn) in written) is (mine and provider != "gemini")


def test_the_same_conversation_is_named_where_it_is_not_told(front: Recording, client: OpenAI) -> None:
    front.answer("anthropic", answer("anthropic", 0, "look.at"))
    history: list[Any] = [{"role": "user", "content": "Look."}]
    message = asked(client, "anthropic/claude-haiku-4-5", history, stream=False)
    assert [block["type"] for block in message["thinking_blocks"]] == ["thinking", "redacted_thinking"]
    front.answer("openai", answer("openai", 1, "look.at"))
    history += [message, *results(message, 0)]
    raw = client.chat.completions.with_raw_response.create(model="openai", messages=history, tools=[LOOK])
    dropped = raw.headers["x-tooloo-dropped-parameters"].split(",")
    assert {"thinking_blocks", "reasoning_content"} <= set(dropped)
