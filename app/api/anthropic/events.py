"""A stream in Anthropic's events: blocks one after the other, each begun, filled and ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from app.api.anthropic import answer, carried
from app.api.anthropic.answer import compact
from app.api.openai.answer import facts
from app.domain.catalog import Target
from app.errors import TooLooError
from app.gateway.gateway import ReplyStream
from app.providers.base import BEAT, WAIT, Delta

#: what of a message stands in the `delta` of its last event but one, beside why it stopped
OF_DELTA = ("container", "stop_details")
PING = b'event: ping\ndata: {"type":"ping"}\n\n'


def events(
    stream: ReplyStream, *, thinks: bool, signs: Callable[[Target], bool], names: Mapping[str, str]
) -> Iterator[bytes]:
    """As it is read. A failure on the way is an error event, and the end: no message_stop. While nothing comes, pings.

    `signs`: does this target speak Anthropic's format, so that its thoughts are Claude's?
    """
    blocks: _Blocks | None = None
    try:
        for delta in stream:
            if delta is BEAT or delta is WAIT:
                yield PING if delta is BEAT else b""
                continue
            assert stream.target is not None
            if blocks is None:
                blocks = _Blocks(thinks=thinks or signs(stream.target))
                yield _start(stream)
            yield from blocks.take(delta)
    except TooLooError as failure:
        yield error_event(failure, stream.request_id)
        return
    if blocks is None:  # an answer of no word
        blocks = _Blocks(thinks=thinks)
        yield _start(stream)
    yield from blocks.end()
    yield from _end(stream, names)


def error_event(failure: TooLooError, request_id: str) -> bytes:
    return b"event: error\ndata: " + compact(answer.problem(failure, request_id)[1]).encode() + b"\n\n"


def _event(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {compact({'type': kind, **more})}\n\n".encode()


def _start(stream: ReplyStream) -> bytes:
    """Who has not told how long the prompt is will at the end; until then it is estimated."""
    used = stream.usage
    assert used is not None
    message: dict[str, Any] = {
        "id": answer.message_id(stream.request_id),
        "type": "message",
        "role": "assistant",
        "model": str(stream.target),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": answer.usage(used) | answer.usage_beside(stream.native_facts) | {"output_tokens": 0},
    }
    return _event("message_start", message=message)


def _end(stream: ReplyStream, names: Mapping[str, str]) -> Iterator[bytes]:
    reply = stream.reply
    assert reply is not None
    said = reply.answer
    known = facts(reply) | {"dropped_parameters": answer.named(said.dropped, names)}
    more = answer.beside(said.native_facts)
    delta = answer.stopped(said) | {name: more.pop(name) for name in OF_DELTA if name in more}
    used = answer.usage(said.usage) | answer.usage_beside(said.native_facts)
    yield _event("message_delta", delta=delta, usage=used, **more, tooloo=known)
    yield _event("message_stop")


@dataclass(slots=True)
class _Blocks:
    """Numbers the blocks. One is open at a time: what comes in between, while a call's input is not whole, waits."""

    thinks: bool
    index: int = -1
    #: type of the open block; empty: none
    open: str = ""
    #: its signature has been given
    signed: bool = False
    #: place of the open call in the answer, and its input so far
    call: int | None = None
    input: list[str] = field(default_factory=list)
    #: id of each call that has begun, by its place
    ids: dict[int, str] = field(default_factory=dict)
    waiting: deque[Delta] = field(default_factory=deque)
    #: what another provider wants back with the turn
    kept: dict[str, Any] = field(default_factory=dict)
    #: … and with a call, by its id
    late: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def take(self, delta: Delta) -> Iterator[bytes]:
        if self.call is not None and delta.tool_index != self.call and not self._is_whole():
            self.waiting.append(delta)
            return
        yield from self._written(delta)
        if self.waiting and self._is_whole():
            yield from self._let_go()

    def end(self) -> Iterator[bytes]:
        while self.waiting:
            yield from self._written(self.waiting.popleft())
        yield from self._close()
        yield from self._keep()

    def _let_go(self) -> Iterator[bytes]:
        held, self.waiting = self.waiting, deque()
        for delta in held:
            yield from self.take(delta)

    def _is_whole(self) -> bool:
        text = "".join(self.input)
        try:
            from_json(text)
        except ValueError:
            return False
        return True

    def _written(self, delta: Delta) -> Iterator[bytes]:
        if delta.reasoning and self.thinks:
            yield from self._thought(delta.reasoning)
        for name, value in (delta.extra or {}).items():
            yield from self._extra(name, value)
        if delta.words:
            yield from self._text(delta.words)
        if delta.native is not None:
            yield from self._native(delta.native)
        if delta.tool_index is not None:
            yield from self._tool(delta, delta.tool_index)

    def _thought(self, thought: str) -> Iterator[bytes]:
        if self.open != "thinking":
            yield from self._begin({"type": "thinking", "thinking": "", "signature": ""})
        yield self._piece({"type": "thinking_delta", "thinking": thought})

    def _extra(self, name: str, value: Any) -> Iterator[bytes]:
        if name == "thinking_blocks":
            for block in value:
                yield from self._claudes({key: each for key, each in block.items() if key != "index"})
        elif self.thinks and isinstance(value, list):
            self.kept.setdefault(name, []).extend(value)
        elif self.thinks:
            self.kept[name] = self.kept.get(name, {}) | value

    def _claudes(self, block: dict[str, Any]) -> Iterator[bytes]:
        """A thought that is over: its words have been given out as they came."""
        if block["type"] != "thinking":
            yield from self._begin(block)
        else:
            if self.open != "thinking":
                yield from self._begin({"type": "thinking", "thinking": "", "signature": ""})
            yield self._piece({"type": "signature_delta", "signature": block["signature"]})
            self.signed = True
        yield from self._close()

    def _text(self, text: str) -> Iterator[bytes]:
        if self.open != "text":
            yield from self._begin({"type": "text", "text": ""})
        # nearly all are so; a text by itself is encoded much faster
        said = f'"delta":{{"type":"text_delta","text":{compact(text)}}}'
        data = f'{{"type":"content_block_delta","index":{self.index},{said}}}'
        yield f"event: content_block_delta\ndata: {data}\n\n".encode()

    def _native(self, native: Mapping[str, Any]) -> Iterator[bytes]:
        if (begun := native.get("content_block")) is not None:
            yield from self._begin(dict(begun))
        elif self.open:
            yield self._piece(native["delta"])

    def _tool(self, delta: Delta, place: int) -> Iterator[bytes]:
        if delta.tool_id is not None and place not in self.ids:
            yield from self._close()
            if delta.tool_extra:
                yield from self._whole(carried.of_call(delta.tool_id, delta.tool_extra))
            self.ids[place] = delta.tool_id
            begun = {"type": "tool_use", "id": delta.tool_id, "name": delta.tool_name or "", "input": {}}
            yield from self._begin(begun)
            self.call = place
        elif delta.tool_extra:  # told behind the beginning of its call
            self.late[self.ids[place]] = delta.tool_extra
        if delta.tool_arguments and place == self.call:
            self.input.append(delta.tool_arguments)
            yield self._piece({"type": "input_json_delta", "partial_json": delta.tool_arguments})

    def _begin(self, block: dict[str, Any]) -> Iterator[bytes]:
        yield from self._close()
        if block["type"] != "thinking":
            yield from self._keep()
        self.index += 1
        self.open, self.signed = block["type"], False
        yield _event("content_block_start", index=self.index, content_block=block)

    def _close(self) -> Iterator[bytes]:
        if not self.open:
            return
        if self.open == "thinking" and not self.signed:
            yield self._piece({"type": "signature_delta", "signature": carried.OURS})
        yield _event("content_block_stop", index=self.index)
        self.open, self.call = "", None
        self.input.clear()

    def _keep(self) -> Iterator[bytes]:
        kept, self.kept = self.kept, {}
        late, self.late = self.late, {}
        if kept:
            yield from self._whole(carried.of_turn(kept))
        for call_id, extra in late.items():
            yield from self._whole(carried.of_call(call_id, extra))

    def _whole(self, block: dict[str, Any]) -> Iterator[bytes]:
        yield from self._begin(block)
        yield from self._close()

    def _piece(self, delta: Mapping[str, Any]) -> bytes:
        return _event("content_block_delta", index=self.index, delta=delta)
