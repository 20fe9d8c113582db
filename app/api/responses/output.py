"""The output items of an answer as they grow: each piece of the answer gives the events that tell of it.

Events come without `sequence_number`. A message or a reasoning item ends where something else begins; calls end with
the answer, since pieces of several may come in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.api.responses.growing import Call, Event, Item, Message, Reasoning, Tell
from app.api.responses.thoughts import Thoughts, merged, packed
from app.api.responses.tools import SEARCH, Known
from app.providers.base import Answer, Delta

#: kind of a tool → type of its calls
_CALLS = {"function": "function_call", "custom": "custom_tool_call", SEARCH: "tool_search_call"}


class Output:
    def __init__(self, name: str, tools: Mapping[str, Known], *, keeps: bool, shows: bool) -> None:
        """`name`: what the ids of items are made of. `keeps`: thoughts are wanted; `shows`: by the caller too."""
        self._name = name
        self._tools = tools
        self._keeps, self._shows = keeps, shows
        #: as they are kept, with their thoughts
        self.items: list[Item] = []
        self._told: list[Event] = []
        self._open: Message | Reasoning | None = None
        self._calls: dict[int, Call] = {}
        #: what the provider wants back, and what has no item yet
        self._extra: dict[str, Any] = {}

    @property
    def shown(self) -> list[Item]:
        """As the caller gets them."""
        return [self._as_shown(item) for item in self.items]

    def add(self, delta: Delta) -> list[Event]:
        if delta.reasoning:
            self._reasoning().more(delta.reasoning)
        if delta.extra:
            self._extra = merged(self._extra, delta.extra)
        if delta.text:
            self._message().more("output_text", delta.text)
        if delta.refusal:
            self._message().more("refusal", delta.refusal)
        if delta.tool_index is not None:
            self._call(delta, delta.tool_index)
        return self._events()

    def end(self, *, whole: bool = True) -> list[Event]:
        """`whole`: the answer has not been cut short."""
        if isinstance(self._open, Message) and not whole:
            self._open.item["status"] = "incomplete"
        self._close()
        for call in self._calls.values():
            call.close()
            self._done(call.place)
        if self._extra:
            self._carry(Thoughts(extra=self._extra, behind=bool(self.items)))
            self._extra = {}
        return self._events()

    def _events(self) -> list[Event]:
        told, self._told = self._told, []
        return told

    def _message(self) -> Message:
        if not isinstance(self._open, Message):
            self._close()
            self._carry_extra()
            item = {"type": "message", "role": "assistant", "status": "in_progress", "content": []}
            self._open = Message(item, self._begun("msg", item))
        return self._open

    def _reasoning(self) -> Reasoning:
        if not isinstance(self._open, Reasoning):
            self._close()
            item = {"type": "reasoning", "summary": [], "status": "in_progress"}
            self._open = Reasoning(item, self._begun("rs", item))
        return self._open

    def _call(self, delta: Delta, index: int) -> None:
        call = self._calls.get(index)
        if call is None:
            self._close()
            self._carry_extra()
            name, call_id = delta.tool_name or "", delta.tool_id or ""
            if delta.tool_extra:
                self._carry(Thoughts(calls={call_id: delta.tool_extra}))
            tool = self._tools.get(name) or Known(name)
            call = self._calls[index] = self._begun_call(tool, call_id)
        elif delta.tool_extra:  # it came later than its call began
            call_id = call.item["call_id"]
            self._carry(Thoughts(calls={call_id: delta.tool_extra}))
        if delta.tool_arguments:
            call.more(delta.tool_arguments)

    def _begun_call(self, tool: Known, call_id: str) -> Call:
        item: Item = {"type": _CALLS[tool.kind], "call_id": call_id, "status": "in_progress"}
        if tool.kind == SEARCH:
            item |= {"execution": "client", "arguments": {}}
            return Call(item, self._begun("tsc", item))
        item |= {"name": tool.name} | ({"namespace": tool.namespace} if tool.namespace else {})
        item["input" if tool.kind == "custom" else "arguments"] = ""
        return Call(item, self._begun("ctc" if tool.kind == "custom" else "fc", item))

    def _close(self) -> None:
        """What is open has ended."""
        ended, self._open = self._open, None
        if ended is None:
            return
        ended.close()
        if isinstance(ended, Reasoning):
            self._sign(ended)
        self._done(ended.place)

    def _sign(self, ended: Reasoning) -> None:
        """What was thought is carried once: a thought of Claude's holds its text."""
        extra, self._extra = self._extra, {}
        if self._keeps:
            reasoning = "" if "thinking_blocks" in extra else ended.text
            ended.item["encrypted_content"] = packed(Thoughts(reasoning, extra))

    def _carry_extra(self) -> None:
        """What came without a thought that can be seen."""
        if self._extra:
            extra, self._extra = self._extra, {}
            # Gemini signs what it has said, Claude what follows
            self._carry(Thoughts(extra=extra, behind="extra_content" in extra and bool(self.items)))

    def _carry(self, thoughts: Thoughts) -> None:
        """An item of its own, with nothing in it for people."""
        if not self._keeps:
            return
        item: Item = {"type": "reasoning", "summary": [], "status": "completed"}
        item["encrypted_content"] = packed(thoughts)
        self._begun("rs", item)
        self._done(len(self.items) - 1)

    def _begun(self, kind: str, item: Item) -> Tell:
        """The item has its id and its place, and is told of."""
        place = len(self.items)
        item["id"] = f"{kind}_{self._name}_{place}"
        self.items.append(item)
        self._told.append({"type": "response.output_item.added", "output_index": place, "item": self._as_shown(item)})
        return Tell(self._note, str(item["id"]), place)

    def _note(self, event: Event) -> None:
        self._told.append(event)

    def _done(self, place: int) -> None:
        shown = self._as_shown(self.items[place])
        self._told.append({"type": "response.output_item.done", "output_index": place, "item": shown})

    def _as_shown(self, item: Item) -> Item:
        """As it is now: parts that are added later are not in it."""
        shown = {name: list(value) if isinstance(value, list) else value for name, value in item.items()}
        if not self._shows:
            shown.pop("encrypted_content", None)
        return shown


def pieces(answer: Answer) -> Iterator[Delta]:
    """A whole answer as if it had been streamed."""
    yield Delta(reasoning=answer.reasoning)
    signed = {name: value for name, value in answer.extra.items() if isinstance(value, list)}
    yield Delta(extra=signed or None)
    yield Delta(text=answer.text)
    yield Delta(refusal=answer.refusal)
    for place, call in enumerate(answer.tool_calls):
        begun = Delta(tool_index=place, tool_id=call.id, tool_name=call.name, tool_extra=call.extra)
        yield begun._replace(tool_arguments=call.arguments)
    behind = {name: value for name, value in answer.extra.items() if name not in signed}
    yield Delta(extra=behind or None)
