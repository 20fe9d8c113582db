"""/v1/messages in front of recording servers: what is sent to each provider, and what the caller gets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import requests

from tests.support.recording import Recording

U: Any = {"role": "user", "content": "hi"}
F: Any = {
    "name": "f",
    "description": "does it",
    "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}},
}
PIXEL = "iVBORw0KGgo="
MARK = {"type": "ephemeral", "ttl": "1h"}
CLAUDE, GEMINI, COMPAT, OPENAI = (
    "anthropic/claude-haiku-4-5",
    "gemini/gemini-2.5-flash",
    "compat/m",
    "openai/gpt-4.1-mini",
)
FORMATS = (CLAUDE, GEMINI, COMPAT, OPENAI)


def ask(front: Recording, model: str, messages: list[Any], headers: Any = None, **body: Any) -> requests.Response:
    for server in front.servers.values():
        server.received.clear()
    asked = {"model": model, "max_tokens": 100, "messages": messages, **body}
    return requests.post(f"{front.url}/v1/messages", json=asked, headers=headers or {}, timeout=30)


def sent(front: Recording, model: str, messages: list[Any], headers: Any = None, **body: Any) -> Any:
    """What reached the provider, of a question it answered."""
    response = ask(front, model, messages, headers, **body)
    assert response.status_code == 200, response.text
    (received,) = front.servers[model.split("/")[0]].received
    return received.json


def dropped(response: requests.Response) -> set[str]:
    return {name for name in response.headers.get("x-tooloo-dropped-parameters", "").split(",") if name}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def use(call_id: str, name: str = "f", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id: str, content: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def said(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def told(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def wire(events: Iterable[Any]) -> list[bytes]:
    """Anthropic's events as they stand on the wire."""
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def chunks(*deltas: Any, finish: str = "stop") -> list[bytes]:
    """A stream of OpenAI's format."""
    pieces = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    used = {
        "choices": [],
        "usage": {"prompt_tokens": 30, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 10}},
    }
    return [*(b"data: " + json.dumps(each).encode() + b"\n\n" for each in (*pieces, last, used)), b"data: [DONE]\n\n"]


def read(response: requests.Response) -> Iterator[tuple[str, Any]]:
    assert response.headers["content-type"].startswith("text/event-stream")
    return events_of(response.text)


def events_of(body: str) -> Iterator[tuple[str, Any]]:
    """Name and data of each event; the names agree."""
    for block in body.strip().split("\n\n"):
        name, data = block.split("\n", 1)
        event = json.loads(data.removeprefix("data: "))
        assert event["type"] == name.removeprefix("event: ")
        yield event["type"], event
