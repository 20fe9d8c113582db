"""The `input` of a request, read into turns. An error names the field itself, such as input.0.content.1.type."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.api.responses import custom, thoughts
from app.api.responses.parts import maybe, read, refuse, text
from app.api.responses.tools import SEARCH, Located, told_name
from app.api.responses.turns import Turns, plain
from app.providers.base import Message, ToolCall

ROLES = ("system", "developer", "user", "assistant")
#: the tool that calls of local_shell are calls of, where they stand in a history
_SHELL = "local_shell"
#: field that is left out: it is not of our encoding, and nobody else can read it
ENCRYPTED = "reasoning.encrypted_content"

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    messages: tuple[Message, ...]
    #: names of what was left out
    omitted: tuple[str, ...]


def messages(given: Sequence[object], before: int = 0) -> Conversation:
    """The first `before` items are not of this request, so no field of it is named for them.

    Raises InvalidRequest that names the field.
    """
    reader = _Reader()
    for place, item in enumerate(given):
        reader.item(item, f"input.{place - before}" if place >= before else "previous_response_id")
    return Conversation(reader.turns.all(), tuple(sorted(reader.omitted)))


def tools_in(given: Sequence[object], before: int = 0) -> Iterator[Located]:
    """Tools that were given, or found, in the course of the conversation."""
    for place, item in enumerate(given):
        if isinstance(item, dict) and item.get("type") in ("additional_tools", "tool_search_output"):
            where = f"input.{place - before}.tools"
            if not isinstance(tools := item.get("tools"), list):
                refuse(where, "must be a list of tools")
            yield from ((f"{where}.{each}", tool) for each, tool in enumerate(tools))


def kind_of(item: Item) -> object:
    """An easy message has no type, and a reference needs none."""
    return item.get("type") or ("message" if "role" in item else "item_reference" if "id" in item else None)


class _Reader:
    def __init__(self) -> None:
        self.turns = Turns()
        self.omitted: set[str] = set()
        #: calls without a result: id → how many
        self._waiting: dict[str, int] = {}
        self._names: dict[str, str] = {}

    def item(self, item: object, where: str) -> None:
        if not isinstance(item, dict):
            refuse(where, "must be an object: a message, or another item")
        kind = kind_of(item)
        how = _READ.get(kind) if isinstance(kind, str) else None
        if how is None:
            refuse(
                f"{where}.type",
                f"items of type {kind!r} are not known here, or belong to a tool that is not run here: leave them out;"
                f" there are {', '.join(_READ)}",
            )
        how(self, item, where)

    def message(self, item: Item, where: str) -> None:
        role = item.get("role")
        if role not in ROLES:
            refuse(f"{where}.role", f"{role!r} is no role: {', '.join(ROLES)} are")
        if item.get("content") is None:
            refuse(f"{where}.content", f"a {role} message needs content")
        blocks = read(item["content"], str(role), f"{where}.content", self.omitted)
        if role == "assistant":
            self.turns.say(blocks)
        else:
            self.turns.add(Message(str(role), plain(blocks)))

    def reasoning(self, item: Item, where: str) -> None:
        summary = "\n\n".join(_texts(item, "summary", where)) or "".join(_texts(item, "content", where))
        given = maybe(item, "encrypted_content", where)
        found = thoughts.unpacked(given) if given else None
        if given and found is None:
            self.omitted.add(ENCRYPTED)
        self.turns.think(summary, found)

    def function_call(self, item: Item, where: str) -> None:
        self._call(item, where, text(item, "name", where), maybe(item, "arguments", where))

    def custom_call(self, item: Item, where: str) -> None:
        self._call(item, where, text(item, "name", where), custom.arguments(text(item, "input", where)))

    def shell_call(self, item: Item, where: str) -> None:
        if not isinstance(action := item.get("action"), dict):
            refuse(f"{where}.action", "must be an object with the command")
        self._call(item, where, _SHELL, json.dumps(action, ensure_ascii=False))

    def search_call(self, item: Item, where: str) -> None:
        arguments = item.get("arguments")
        written = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
        self._call(item, where, SEARCH, written)

    def search_output(self, item: Item, where: str) -> None:
        """The model is told what was found, and `tools_in` has it offered."""
        names = [str(tool.get("name")) for tool in item.get("tools") or () if isinstance(tool, dict)]
        self.output({**item, "output": json.dumps({"tools": names}, ensure_ascii=False)}, where)

    def given_tools(self, item: Item, where: str) -> None:
        """`tools_in` has them offered."""

    def _call(self, item: Item, where: str, name: str, arguments: str) -> None:
        call_id = _call_id(item, where)
        if not name:
            refuse(f"{where}.name", "must not be empty")
        name = told_name(name, item.get("namespace"))
        self._waiting[call_id] = self._waiting.get(call_id, 0) + 1
        self._names[call_id] = name
        self.turns.call(ToolCall(call_id, name, arguments))

    def output(self, item: Item, where: str) -> None:
        call_id = _call_id(item, where)
        if not self._waiting.get(call_id):
            refuse(
                f"{where}.call_id",
                f"no call {call_id!r} that waits for an output stands before this item: send the call, and one output"
                " for it, or previous_response_id of the response with it",
            )
        self._waiting[call_id] -= 1
        if item.get("output") is None:
            refuse(f"{where}.output", "must be a text or a list of parts")
        blocks = read(item["output"], "tool", f"{where}.output", self.omitted)
        self.turns.add(Message("tool", plain(blocks), tool_call_id=call_id, name=self._names[call_id]))


def _call_id(item: Item, where: str) -> str:
    """The output of a local shell names its call as `id`."""
    given = item.get("call_id") or (item.get("id") if item.get("type") == "local_shell_call_output" else None)
    if not isinstance(given, str) or not given:
        refuse(f"{where}.call_id", "must be a text, and not empty")
    return given


def _texts(item: Item, name: str, where: str) -> list[str]:
    given = item.get(name)
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        refuse(f"{where}.{name}", "must be a list of objects with a text")
    return [text(each, "text", f"{where}.{name}.{place}") for place, each in enumerate(given)]


_READ: Mapping[str, Callable[[_Reader, Item, str], None]] = {
    "message": _Reader.message,
    "reasoning": _Reader.reasoning,
    "function_call": _Reader.function_call,
    "function_call_output": _Reader.output,
    "custom_tool_call": _Reader.custom_call,
    "custom_tool_call_output": _Reader.output,
    "tool_search_call": _Reader.search_call,
    "tool_search_output": _Reader.search_output,
    "additional_tools": _Reader.given_tools,
    "local_shell_call": _Reader.shell_call,
    "local_shell_call_output": _Reader.output,
}
