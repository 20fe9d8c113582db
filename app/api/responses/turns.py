"""Items become turns: what the assistant thought, said and called in a row is one turn of the conversation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from app.api.responses.thoughts import Thoughts, merged
from app.providers.conversation import Block, Message, Text, ToolCall


class Turns:
    def __init__(self) -> None:
        self._done: list[Message] = []
        #: of the assistant's turn that has not ended
        self._content: list[Block] = []
        self._calls: list[ToolCall] = []
        self._reasoning: list[str] = []
        self._extra: dict[str, Any] = {}
        self._signed: dict[str, Any] = {}

    def add(self, message: Message) -> None:
        """A turn of somebody else's."""
        self._end()
        self._done.append(message)

    def think(self, summary: str, thoughts: Thoughts | None) -> None:
        """Behind words or calls of the assistant's it begins a new turn, unless it belongs to those."""
        thoughts = thoughts or Thoughts()
        is_behind = thoughts.behind and (self._content or self._calls)
        if (self._content or self._calls) and not is_behind and not thoughts.calls:
            self._end()
        if said := thoughts.reasoning or summary:
            self._reasoning.append(said)
        self._extra = merged(self._extra, thoughts.extra)
        self._signed |= thoughts.calls

    def say(self, blocks: Iterable[Block]) -> None:
        """A second message is a second turn."""
        if self._content or self._calls:
            self._end()
        self._content += blocks

    def call(self, call: ToolCall) -> None:
        self._calls.append(call)

    def all(self) -> tuple[Message, ...]:
        self._end()
        return tuple(self._done)

    def _end(self) -> None:
        if self._content or self._calls or self._reasoning or self._extra:
            self._done.append(
                Message(
                    role="assistant",
                    content=_plain(self._content),
                    tool_calls=tuple(replace(call, extra=self._signed.get(call.id)) for call in self._calls),
                    reasoning="\n\n".join(self._reasoning),
                    extra=self._extra,
                )
            )
        self._content, self._calls, self._reasoning = [], [], []
        self._extra, self._signed = {}, {}


def _plain(blocks: list[Block]) -> str | tuple[Block, ...]:
    """A text by itself is known by more servers than a list with one."""
    if not blocks:
        return ""
    only = blocks[0]
    return only.text if len(blocks) == 1 and isinstance(only, Text) and only.cache is None else tuple(blocks)


def plain(blocks: tuple[Block, ...]) -> str | tuple[Block, ...]:
    return _plain(list(blocks))
