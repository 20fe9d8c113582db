"""Texts that JSON can spell and vendors refuse to read: cut emoji, bytes of a program's output."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.support.recording import Recording

MODELS = ["openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "auto"]
F: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def sent(front: Recording) -> bytes:
    (received,) = (each for server in front.servers.values() for each in server.received)
    return received.body


def calling(call_id: str, arguments: str) -> list[Any]:
    call = {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}
    return [{"role": "assistant", "content": None, "tool_calls": [call]}]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("messages", "more"),
    [
        ([{"role": "user", "content": "cut \ud83d"}], {}),
        (
            [{"role": "system", "content": [{"type": "text", "text": "\ude00 cut"}]}, {"role": "user", "content": "x"}],
            {},
        ),
        (
            [
                {"role": "user", "content": "x"},
                *calling("c\ud83d", '{"a": "\ud83d"}'),
                {"role": "tool", "tool_call_id": "c\ud83d", "content": "\ud83d"},
            ],
            {"tools": [F]},
        ),
        # JSON in the JSON: Claude and Gemini get it as an object
        (
            [
                {"role": "user", "content": "x"},
                *calling("c", '{"a": "\\ud83d"}'),
                {"role": "tool", "tool_call_id": "c", "content": '{"b": "\\udc00"}'},
            ],
            {"tools": [F]},
        ),
        (
            [{"role": "user", "content": "x"}],
            {"tools": [{**F, "function": {**F["function"], "description": "\ud83d"}}]},
        ),
    ],
)
def test_halves_of_surrogate_pairs_do_not_reach_a_provider(
    front: Recording, model: str, messages: list[Any], more: dict[str, Any]
) -> None:
    response = front.ask(model, messages, **more)

    assert response.status_code == 200, response.text
    body = sent(front)
    replaced = "\ufffd".encode() in body or b"\\ufffd" in body
    assert replaced or b"\\\\ud" in body  # the latter: JSON in a text stays as it was
    json.loads(body)
    assert b"\\ud" not in body.replace(b"\\\\ud", b"")


def test_whole_pairs_stay_whole(front: Recording) -> None:
    document = front.sent("openai/gpt-4.1-mini", [{"role": "user", "content": "👍 \ud83d"}])
    assert document["messages"][0]["content"] == "👍 \ufffd"


@pytest.mark.parametrize("model", MODELS)
def test_a_tools_result_may_hold_nul(front: Recording, model: str) -> None:
    messages = [
        {"role": "user", "content": "x"},
        *calling("c", "{}"),
        {"role": "tool", "tool_call_id": "c", "content": "ELF\u0000\u0001"},
    ]
    response = front.ask(model, messages, tools=[F])
    assert response.status_code == 200, response.text
    assert b"ELF\\u0000\\u0001" in sent(front)


@pytest.mark.parametrize(
    ("more", "field"), [({"segment": "a\u0000b"}, "segment"), ({"model": "a\u0000"}, "model"), ({"x": ["\u0000"]}, "x")]
)
def test_nul_elsewhere_is_refused_by_name(front: Recording, more: dict[str, Any], field: str) -> None:
    asked = {"model": "auto", "messages": [{"role": "user", "content": "x"}], **more}
    response = requests.post(f"{front.url}/v1/chat/completions", json=asked, timeout=30)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == field
