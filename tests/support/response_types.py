"""What the official SDK's types say to a Response, to its events, and to their order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from openai.types.responses import Response, ResponseItemList, ResponseStreamEvent
from pydantic import TypeAdapter

_RESPONSE: TypeAdapter[Any] = TypeAdapter(Response)
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_ITEMS: TypeAdapter[Any] = TypeAdapter(ResponseItemList)
ENDS = ("response.completed", "response.incomplete", "response.failed")


def response(document: Any) -> Any:
    """Raises ValidationError where the SDK's type does not hold."""
    _RESPONSE.validate_python(document)
    return document


def items(document: Any) -> Any:
    _ITEMS.validate_python(document)
    return document


def read(body: str) -> Iterator[tuple[str, Any]]:
    """Name and data of each event; comments are skipped."""
    for block in body.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            assert [line.split(": ")[0] for line in lines] == ["event", "data"], lines
            yield lines[0][7:], json.loads(lines[1][6:])


def sequence(body: str) -> list[Any]:
    """The events of a stream, each of them, their numbers and their order checked."""
    events = []
    for number, (name, data) in enumerate(read(body)):
        assert name == data["type"]
        assert data["sequence_number"] == number
        _EVENT.validate_python(data)
        events.append(data)
    if events[0]["type"] != "error":
        in_order(events)
    return events


def in_order(events: list[Any]) -> None:
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] in ENDS
    assert not set(kinds[:-1]) & set(ENDS)
    final = events[-1]["response"]
    assert {event["response"]["id"] for event in (events[0], events[1], events[-1])} == {final["id"]}
    if kinds[-1] == "response.failed":
        return
    assert [item["id"] for item in final["output"]] == [
        added["item"]["id"] for added in _of(events, "output_item.added")
    ]
    for index, item in enumerate(final["output"]):
        mine = [event for event in events if event.get("output_index") == index]
        assert mine[0]["type"] == "response.output_item.added"
        assert mine[-1]["type"] == "response.output_item.done"
        assert mine[-1]["item"] == item
        assert {event["item_id"] for event in mine[1:-1]} <= {item["id"]}
        assert _told(mine) == item


def _of(events: Iterable[Any], kind: str) -> list[Any]:
    return [event for event in events if event["type"] == f"response.{kind}"]


def _told(mine: list[Any]) -> Any:
    """The item as its deltas tell it, and as it ended else."""
    item = json.loads(json.dumps(mine[0]["item"]))
    for event in mine[1:-1]:
        kind = event["type"].removeprefix("response.")
        if kind == "content_part.added":
            assert event["content_index"] == len(item["content"])
            item["content"].append(dict(event["part"]))
        elif kind in ("output_text.delta", "refusal.delta"):
            part = item["content"][event["content_index"]]
            part["text" if "text" in kind else "refusal"] += event["delta"]
        elif kind == "content_part.done":
            assert item["content"][event["content_index"]] == event["part"]
        elif kind == "reasoning_summary_part.added":
            item["summary"].append(dict(event["part"]))
        elif kind == "reasoning_summary_text.delta":
            item["summary"][event["summary_index"]]["text"] += event["delta"]
        elif kind == "function_call_arguments.delta":
            item["arguments"] += event["delta"]
        elif kind == "custom_tool_call_input.delta":
            item["input"] += event["delta"]
        else:
            assert kind.endswith(".done"), kind
    ended = mine[-1]["item"]
    untold = {"status", "encrypted_content"} | ({"arguments"} if ended["type"] == "tool_search_call" else set())
    return item | {name: value for name, value in ended.items() if name in untold}
