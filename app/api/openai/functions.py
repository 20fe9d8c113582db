"""OpenAI's older form of tools: functions, function_call and the role function, read as tools and their results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.errors import InvalidRequest

FIELDS = ("functions", "function_call")


def are_in(document: Mapping[str, Any]) -> bool:
    """Does the caller speak of functions, in the request or in an earlier turn of it?"""
    turns = document.get("messages")
    spoken = (turn for turn in turns if isinstance(turn, dict)) if isinstance(turns, list) else ()
    return any(name in document for name in FIELDS) or any(
        turn.get("role") == "function" or turn.get("function_call") for turn in spoken
    )


def as_tools(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same request with tools. Raises InvalidRequest that names the field."""
    said = {name: value for name, value in document.items() if name not in FIELDS}
    given, choice = document.get("functions"), document.get("function_call")
    if given is not None:
        if "tools" in said:
            raise InvalidRequest("send tools, or functions, which are their older form, not both", field="functions")
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            raise InvalidRequest("functions: must be a list of objects", field="functions")
        said["tools"] = [{"type": "function", "function": each} for each in given]
        said["parallel_tool_calls"] = False  # there was never more than one
    if choice is not None and (given or choice not in ("none", "auto")):
        said["tool_choice"] = _choice(choice, bool(given))
    if isinstance(turns := document.get("messages"), list):
        said["messages"] = list(_turns(turns))
    return said


def _choice(choice: object, is_given: bool) -> object:
    if not is_given:
        raise InvalidRequest("function_call needs functions", field="function_call")
    if choice in ("none", "auto"):
        return choice
    if not isinstance(choice, dict) or not isinstance(choice.get("name"), str):
        raise InvalidRequest('function_call: must be none, auto, or {"name": …}', field="function_call")
    return {"type": "function", "function": {"name": choice["name"]}}


def _turns(turns: Iterable[object]) -> Iterator[object]:
    """A result belongs to the earliest call of its name that has none."""
    waiting: defaultdict[object, list[str]] = defaultdict(list)
    for place, turn in enumerate(turns):
        if not isinstance(turn, dict):
            yield turn
        elif turn.get("role") == "function":
            if not (calls := waiting[str(turn.get("name"))]):
                why = f"no function_call of {turn.get('name')!r} that waits for a result stands before it"
                raise InvalidRequest(f"messages.{place}.name: {why}", field=f"messages.{place}.name")
            yield {**turn, "role": "tool", "tool_call_id": calls.pop(0)}
        elif turn.get("role") == "assistant" and isinstance(call := turn.get("function_call"), dict):
            call_id = f"call_of_turn_{place}"
            waiting[str(call.get("name"))].append(call_id)
            renewed = {"id": call_id, "type": "function", "function": call}
            kept = {name: value for name, value in turn.items() if name != "function_call"}
            yield {**kept, "tool_calls": [*(turn.get("tool_calls") or ()), renewed]}
        else:
            yield turn
