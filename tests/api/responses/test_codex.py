"""Requests of Codex CLI 0.171 as it sent them to this gateway (`codex exec`, long texts cut), before every format.

codex.json is of gpt-5.5, which has apply_patch as a custom tool and searches for tools; codex_given_tools.json of
gpt-6.2-sol, which gets all its tools in namespaces, in an item of the input.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from app.api.responses.thoughts import packed, unpacked
from tests.api.openai.test_travelling import MODELS, RULES, claude_events, signature, thought
from tests.support import response_types
from tests.support.front import PROVIDERS, Served
from tests.support.recording import Recording, recording

FOLDER = Path(__file__).parent / "fixtures"
#: what Codex keeps of an item; it sends nothing else back
KEPT = {
    "reasoning": ("type", "id", "summary", "encrypted_content"),
    "message": ("type", "id", "role", "status", "content"),
    "function_call": ("type", "id", "status", "name", "namespace", "arguments", "call_id"),
    "custom_tool_call": ("type", "id", "status", "name", "namespace", "input", "call_id"),
}


def recorded(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def sent(url: str, document: Any, **changed: Any) -> tuple[requests.Response, list[Any]]:
    response = requests.post(
        f"{url}/v1/responses", json=document["body"] | changed, headers=document["headers"], timeout=30
    )
    assert response.status_code == 200, response.text
    return response, response_types.sequence(response.content.decode())


@pytest.mark.parametrize(
    ("name", "model"),
    [
        *(("codex_given_tools", model) for model in ("auto", "auto:code", *PROVIDERS)),
        # it has looked at an image, which DeepSeek cannot
        *(("codex", model) for model in ("auto", "auto:code", *PROVIDERS) if model != "deepseek"),
    ],
)
def test_a_recorded_conversation_goes_on_before_every_format(
    api: Served, client: object, name: str, model: str
) -> None:
    refused = len(api.lab.refused())

    response, events = sent(api.url, recorded(name), model=model)

    final = events[-1]["response"]
    assert (events[-1]["type"], final["status"], final["store"]) == ("response.completed", "completed", False)
    assert final["tooloo"]["target"] == response.headers["x-tooloo-target"]
    assert len(api.lab.refused()) == refused
    named = final["tooloo"]["dropped_parameters"]
    assert ("tools.web_search" in named) is (name == "codex")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    with recording(tmp_path_factory.mktemp("recorded")) as made:
        yield made


def openai_events(turn: int, name: str, arguments: str, *, thinks: bool) -> list[bytes]:
    half = len(arguments) // 2
    call = {
        "index": 0,
        "id": f"call_{turn}",
        "type": "function",
        "function": {"name": name, "arguments": arguments[:half]},
    }
    deltas: list[Any] = [
        *([{"reasoning_content": thought(turn)}] if thinks else []),
        {"content": f"answer {turn}"},
        {"tool_calls": [call]},
        {"tool_calls": [{"index": 0, "function": {"arguments": arguments[half:]}}]},
    ]
    pieces = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    pieces.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})  # type: ignore[dict-item]  # JSON
    return [*(data(piece) for piece in pieces), b"data: [DONE]\n\n"]


def data(piece: Any) -> bytes:
    return b"data: " + json.dumps(piece).encode() + b"\n\n"


def calling(provider: str, turn: int, name: str, arguments: str) -> list[bytes]:
    """A streamed answer that thinks, speaks and calls one tool."""
    if provider == "anthropic":
        blocks = [
            {"type": "thinking", "thinking": thought(turn), "signature": signature(turn)},
            {"type": "text", "text": f"answer {turn}"},
            {"type": "tool_use", "id": f"toolu_{turn}", "name": name, "input": json.loads(arguments)},
        ]
        return [data(piece) for piece in claude_events({"content": blocks})]
    if provider == "gemini":
        call = {"functionCall": {"id": f"g{turn}", "name": name, "args": json.loads(arguments)}}
        parts = [{"text": thought(turn), "thought": True}, {"text": f"answer {turn}"}]
        parts.append(call | {"thoughtSignature": signature(turn)})  # type: ignore[arg-type]  # JSON
        pieces: list[Any] = [{"candidates": [{"content": {"parts": [part]}}]} for part in parts]
        return [*map(data, pieces), data({"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]})]
    return openai_events(turn, name, arguments, thinks=provider == "compat")


def steps(document: Any) -> Iterator[tuple[Any, Any]]:
    """Each call of the recorded conversation, and its output."""
    items = document["body"]["input"]
    outputs = {item["call_id"]: item for item in items if item["type"].endswith("_output")}
    for item in items:
        if item["type"] in ("function_call", "custom_tool_call"):
            yield item, outputs[item["call_id"]]


def said_by(item: Any) -> tuple[str, str]:
    """Name and arguments of the call as the provider makes it."""
    name = f"{item['namespace']}__{item['name']}" if item.get("namespace") else item["name"]
    return name, item["arguments"] if item["type"] == "function_call" else json.dumps({"input": item["input"]})


@pytest.mark.parametrize("name", ["codex", "codex_given_tools"])
@pytest.mark.parametrize("choose", [*(lambda _, model=model: model for model in MODELS), lambda turn: MODELS[turn % 4]])
def test_every_turn_of_it_comes_out_as_codex_made_it(front: Recording, name: str, choose: Callable[[int], str]) -> None:
    """The recorded calls, made by each provider in its format: Codex gets them back as it recorded them."""
    document = recorded(name)
    first = next(at for at, item in enumerate(document["body"]["input"]) if item["type"] == "reasoning")
    history = document["body"]["input"][:first]
    for turn, (call, output) in enumerate(steps(document)):
        model = choose(turn)
        provider = model.split("/")[0]
        server = front.servers[provider]
        server.received.clear()
        front.stream(provider, calling(provider, turn, *said_by(call)))

        _, events = sent(front.url, document, model=model, input=history)

        body = server.received[0].json
        assert RULES[provider](body) == []
        written = json.dumps(body)
        for before in range(turn):
            assert written.count(f'"answer {before}"') == 1
            mine = choose(before).startswith(f"{provider}/")
            assert (signature(before) in written) is (mine and provider in ("anthropic", "gemini"))
            assert (thought(before) in written) is (mine and provider in ("anthropic", "compat"))
        kept = [
            {field: item[field] for field in KEPT[item["type"]] if field in item}
            for item in events[-1]["response"]["output"]
        ]
        made = kept[-1]
        same = ("type", "name", "namespace", "input")
        assert {each: made.get(each) for each in same} == {each: call.get(each) for each in same}
        if call["type"] == "function_call":
            assert json.loads(made["arguments"]) == json.loads(call["arguments"])
        history = [*history, *kept, output | {"call_id": made["call_id"]}]


def test_a_search_for_tools_is_made_and_what_it_finds_is_offered(front: Recording) -> None:
    document = recorded("codex")
    front.stream("openai", openai_events(0, "tool_search", '{"query": "calendar"}', thinks=False))
    history = [{"role": "user", "content": "What is on today?"}]

    _, events = sent(front.url, document, model="openai/gpt-5.4", input=history)

    call = events[-1]["response"]["output"][-1]
    assert (call["type"], call["execution"], call["arguments"]) == ("tool_search_call", "client", {"query": "calendar"})
    found = {
        "type": "namespace",
        "name": "calendar",
        "description": "Dates",
        "tools": [{"type": "function", "name": "today", "parameters": {"type": "object", "properties": {}}}],
    }
    output = {"type": "tool_search_output", "call_id": call["call_id"], "status": "completed", "execution": "client"}
    history += [call, output | {"tools": [found]}]
    front.stream("openai", openai_events(1, "calendar__today", "{}", thinks=False))
    front.servers["openai"].received.clear()

    _, events = sent(front.url, document, model="openai/gpt-5.4", input=history)

    body = front.servers["openai"].received[0].json
    assert "calendar__today" in [tool["function"]["name"] for tool in body["tools"]]
    assert json.loads(body["messages"][-1]["content"]) == {"tools": ["calendar"]}
    made = events[-1]["response"]["output"][-1]
    assert (made["type"], made["namespace"], made["name"]) == ("function_call", "calendar", "today")


def test_the_recorded_thoughts_are_of_our_making() -> None:
    kept = [item for item in recorded("codex")["body"]["input"] if item["type"] == "reasoning"]

    assert kept
    for item in kept:
        found = unpacked(item["encrypted_content"])
        assert found is not None
        assert found.reasoning == item["summary"][0]["text"]
        assert packed(found) == item["encrypted_content"]
