"""A request with tools in the form that OpenAI had before: functions, function_call, and the role function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.providers.base import ChatRequest


def can_be(request: ChatRequest) -> bool:
    """It knows one call a turn, and no more."""
    return all(len(message.tool_calls) <= 1 for message in request.messages)


def older(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a request, `can_be`, in that form."""
    written = {name: value for name, value in document.items() if name not in ("tools", "tool_choice")}
    written["messages"] = list(_turns(document["messages"]))
    if tools := document.get("tools"):
        written["functions"] = [tool["function"] for tool in tools]
    if (choice := document.get("tool_choice")) is not None:
        written["function_call"] = choice if isinstance(choice, str) else {"name": choice["function"]["name"]}
    return written


def _turns(turns: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    names: dict[str, str] = {}
    for turn in turns:
        if calls := turn.get("tool_calls"):
            function = calls[0]["function"]
            names[calls[0]["id"]] = function["name"]
            yield {name: value for name, value in turn.items() if name != "tool_calls"} | {"function_call": function}
        elif turn["role"] == "tool":
            yield {"role": "function", "name": names[turn["tool_call_id"]], "content": turn["content"]}
        else:
            yield turn
