"""The `system` and `messages` of a request, read into turns. An error names the field: messages.0.content.1.type."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.api.anthropic import blocks, carried
from app.api.anthropic.blocks import Given, Notes, refuse
from app.providers.base import Message, ToolCall
from app.providers.conversation import Block

ROLES = ("user", "assistant", "system")
_THOUGHTS = ("thinking", "redacted_thinking")


def read(system: object, messages: Sequence[object]) -> tuple[tuple[Message, ...], Notes]:
    """Raises InvalidRequest that names the field."""
    notes = Notes()
    turns: list[Message] = []
    if system:
        turns.append(_instructions(system, "system", notes))
    #: calls that wait for a result, by id
    waiting: dict[str, int] = {}
    for place, turn in enumerate(messages):
        for message in _turn(turn, f"messages.{place}", notes, waiting):
            for call in message.tool_calls:
                waiting[call.id] = waiting.get(call.id, 0) + 1
            turns.append(message)
    return tuple(turns), notes


def _turn(turn: object, where: str, notes: Notes, waiting: dict[str, int]) -> Iterator[Message]:
    if not isinstance(turn, dict):
        refuse(where, "must be an object with role and content")
    role, content = turn.get("role"), turn.get("content")
    if role not in ROLES:
        refuse(f"{where}.role", f"{role!r} is no role: {', '.join(ROLES)} are")
    if "content" not in turn:
        refuse(f"{where}.content", f"a {role} message needs content")
    if role == "system":
        yield _instructions(content, f"{where}.content", notes)
    elif isinstance(content, str):
        yield Message(role, content)
    elif role == "assistant":
        yield _Assistant(f"{where}.content", notes).read(blocks.listed(content, f"{where}.content"))
    else:
        yield from _user(blocks.listed(content, f"{where}.content"), f"{where}.content", notes, waiting)


def _instructions(given: object, where: str, notes: Notes) -> Message:
    if isinstance(given, str):
        return Message("system", given)
    listed = blocks.listed(given, where)
    for place, block in enumerate(listed):
        if block["type"] != "text":
            refuse(f"{where}.{place}.type", f"{block['type']!r} does not belong into system: send text")
    texts = tuple(each for n, block in enumerate(listed) for each in blocks.text(block, f"{where}.{n}", notes))
    # each block is a paragraph of its own, where texts of one message are joined as they are
    parted = tuple(replace(each, text=f"{each.text}\n\n") for each in texts[:-1]) + texts[-1:]
    return Message("system", parted, native=tuple(listed))


def _user(listed: list[Given], where: str, notes: Notes, waiting: dict[str, int]) -> Iterator[Message]:
    """Results of tools, each a message, and the rest as one or more."""
    said: list[Block] = []
    native: list[Given] = []
    for place, block in enumerate(listed):
        here = f"{where}.{place}"
        if block["type"] == "tool_result":
            if native:
                yield Message("user", tuple(said), native=tuple(native))
                said, native = [], []
            yield _result(block, here, notes, waiting)
            continue
        if block["type"] in ("tool_use", *_THOUGHTS):
            refuse(f"{here}.type", f"{block['type']!r} belongs into a message of the assistant's")
        said += blocks.read(block, here, notes)
        native.append(block)
    if native or not listed:
        yield Message("user", tuple(said), native=tuple(native))


def _result(block: Given, where: str, notes: Notes, waiting: dict[str, int]) -> Message:
    call_id = blocks.words(block, "tool_use_id", where)
    if not waiting.get(call_id):
        refuse(
            f"{where}.tool_use_id",
            f"no tool_use {call_id!r} that waits for a result stands before this message:"
            " send the assistant's turn with that call, and one result for it",
        )
    waiting[call_id] -= 1
    content, failed = block.get("content"), block.get("is_error")
    if not isinstance(failed, bool | None):
        refuse(f"{where}.is_error", "must be true or false")
    listed = blocks.listed("" if content is None else content, f"{where}.content")
    inside = [each for n, one in enumerate(listed) for each in blocks.read(one, f"{where}.content.{n}", notes)]
    if (mark := blocks.mark_of(block, where)) and inside:
        inside[-1] = replace(inside[-1], cache=mark)
    return Message("tool", tuple(inside), tool_call_id=call_id, is_error=bool(failed), native=(block,))


@dataclass(slots=True)
class _Assistant:
    """One turn of the assistant's, block by block."""

    where: str
    notes: Notes
    said: list[Block] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    #: Claude's, as it gave them
    thoughts: list[Given] = field(default_factory=list)
    #: what another provider thought
    reasoning: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    of_calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: what goes back to Claude
    native: list[Given] = field(default_factory=list)

    def read(self, listed: list[Given]) -> Message:
        for place, block in enumerate(listed):
            here = f"{self.where}.{place}"
            match block["type"]:
                case "thinking":
                    self._thought(block, here)
                case "redacted_thinking":
                    self._hidden(block, here)
                case "tool_use":
                    self.calls.append(_call(block, here))
                    self.native.append(block)
                case "text" | "image" | "document" | "search_result":
                    self.said += blocks.read(block, here, self.notes)
                    self.native.append(block)
                case "tool_result":
                    refuse(f"{here}.type", "'tool_result' belongs into a message of the user's")
                case other:  # a tool that ran at Claude's: what it gave, Claude has said in its own words
                    self.notes.beside[f"messages.{other}"] = None
                    self.native.append(block)
        return self._message()

    def _thought(self, block: Given, where: str) -> None:
        thought = blocks.words(block, "thinking", where)
        if carried.is_ours(block.get("signature")):
            self.reasoning.append(thought)
        else:
            self.thoughts.append(block)
            self.native.append(block)

    def _hidden(self, block: Given, where: str) -> None:
        data = blocks.words(block, "data", where)
        if not carried.is_ours(data):
            self.thoughts.append(block)
            self.native.append(block)
        elif (kept := carried.call_in(data)) is not None:
            self.of_calls[kept[0]] = kept[1]
        else:
            self.extra |= carried.turn_in(data)

    def _message(self) -> Message:
        if self.thoughts:
            self.extra["thinking_blocks"] = [dict(each) for each in self.thoughts]
        calls = [replace(call, extra=self.of_calls.get(call.id)) for call in self.calls]
        reasoning = "".join(self.reasoning)
        return Message(
            "assistant",
            tuple(self.said),
            tool_calls=tuple(calls),
            reasoning=reasoning,
            extra=self.extra,
            native=tuple(self.native),
        )


def _call(block: Given, where: str) -> ToolCall:
    for name in ("id", "name"):
        if not blocks.words(block, name, where):
            refuse(f"{where}.{name}", "must not be empty")
    given = block.get("input")
    if not isinstance(given, dict):
        refuse(f"{where}.input", "must be an object")
    return ToolCall(block["id"], block["name"], json.dumps(given, ensure_ascii=False))
