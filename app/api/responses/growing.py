"""Output items that grow, and what they tell of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.api.responses import custom

Event = dict[str, Any]
Item = dict[str, Any]

#: kind of a part of a message → its events, and the field of its text
_PARTS = {"output_text": "text", "refusal": "refusal"}
_SUMMARY = "response.reasoning_summary"


class Tell:
    """Tells of one item."""

    __slots__ = ("_id", "_note", "place")

    def __init__(self, note: Callable[[Event], None], item_id: str, place: int) -> None:
        self._note, self._id, self.place = note, item_id, place

    def __call__(self, kind: str, /, **more: Any) -> None:
        self._note({"type": kind, "item_id": self._id, "output_index": self.place, **more})


class Message:
    def __init__(self, item: Item, tell: Tell) -> None:
        self.item = item
        self._tell = tell
        self.place = tell.place
        #: the kind of the part that grows, and its pieces
        self._kind = ""
        self._pieces: list[str] = []

    def more(self, kind: str, text: str) -> None:
        if kind != self._kind:
            self._end_part()
            self._kind = kind
            self.item["content"].append(_part(kind, ""))
            self._tell("response.content_part.added", content_index=self._index, part=_part(kind, ""))
        self._pieces.append(text)
        self._tell(f"response.{kind}.delta", content_index=self._index, delta=text, **_logprobs(kind))

    def close(self) -> None:
        self._end_part()
        if self.item["status"] == "in_progress":
            self.item["status"] = "completed"

    @property
    def _index(self) -> int:
        return len(self.item["content"]) - 1

    def _end_part(self) -> None:
        if not self._kind:
            return
        kind, said = self._kind, "".join(self._pieces)
        part = self.item["content"][-1] = _part(kind, said)
        self._tell(f"response.{kind}.done", content_index=self._index, **{_PARTS[kind]: said}, **_logprobs(kind))
        self._tell("response.content_part.done", content_index=self._index, part=part)
        self._kind, self._pieces = "", []


def _part(kind: str, said: str) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": kind, "refusal": said}
    return {"type": kind, "text": said, "annotations": [], "logprobs": []}


def _logprobs(kind: str) -> dict[str, Any]:
    return {"logprobs": []} if kind == "output_text" else {}


class Reasoning:
    """What the provider tells of its thoughts is given as their summary, as one part."""

    def __init__(self, item: Item, tell: Tell) -> None:
        self.item = item
        self.place = tell.place
        self._tell = tell
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def more(self, text: str) -> None:
        if not self._pieces:
            self._tell(f"{_SUMMARY}_part.added", summary_index=0, part=_summary(""))
        self._pieces.append(text)
        self._tell(f"{_SUMMARY}_text.delta", summary_index=0, delta=text)

    def close(self) -> None:
        self.item["summary"] = [_summary(self.text)]
        self.item["status"] = "completed"
        self._tell(f"{_SUMMARY}_text.done", summary_index=0, text=self.text)
        self._tell(f"{_SUMMARY}_part.done", summary_index=0, part=_summary(self.text))


def _summary(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}


class Call:
    """Of a function; of a custom tool, whose arguments are read back into its text; or a search for tools."""

    def __init__(self, item: Item, tell: Tell) -> None:
        self.item = item
        self.place = tell.place
        self._tell = tell
        self._arguments: list[str] = []
        self._input = custom.Input()

    def more(self, arguments: str) -> None:
        self._arguments.append(arguments)
        if self.item["type"] == "function_call":
            self._tell("response.function_call_arguments.delta", delta=arguments)
        elif self.item["type"] == "custom_tool_call":
            self._more_input(self._input.more(arguments))

    def close(self) -> None:
        self.item["status"] = "completed"
        written = "".join(self._arguments)
        if self.item["type"] == "function_call":
            self.item["arguments"] = written
            self._tell("response.function_call_arguments.done", name=self.item["name"], arguments=written)
        elif self.item["type"] == "custom_tool_call":
            self._more_input(self._input.rest())
            self.item["input"] = self._input.text
            self._tell("response.custom_tool_call_input.done", input=self._input.text)
        else:  # no event tells of the arguments of a search
            self.item["arguments"] = custom.json_object(written)

    def _more_input(self, text: str) -> None:
        if text:
            self._tell("response.custom_tool_call_input.delta", delta=text)
