"""Responses that were kept, and their items: what a request goes on from, and what GET shows."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from app.api.auth import caller
from app.api.responses import items
from app.api.responses.parts import refuse
from app.errors import InvalidRequest, NotFound
from app.evidence.responses import Responses
from app.store.responses import Kept

Item = dict[str, Any]

#: an item's id holds the name of the response that it is of: app.api.responses.output, and `named`
_OF = re.compile(r"[a-z]+_([0-9a-f]{32})_(?:in)?\d+")
_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}


def owner() -> str:
    """Whose responses the caller sees: those of a stored key, of a key of the environment, or of those without one."""
    who = caller()
    return who.id or f"env:{who.name}"


def named(given: Sequence[Item], name: str) -> list[Item]:
    """Each with an id; those that it has are kept."""
    return [
        item if _has_id(item) else {**item, "id": f"{_PREFIXES.get(str(items.kind_of(item)), 'item')}_{name}_in{place}"}
        for place, item in enumerate(given)
    ]


def _has_id(item: Item) -> bool:
    return isinstance(item.get("id"), str) and bool(item["id"])


class Past:
    """What one owner's earlier responses hold, for a request that goes on from them."""

    def __init__(self, responses: Responses, whose: str) -> None:
        self._responses, self._owner = responses, whose

    def before(self, response_id: str) -> list[Item]:
        """All items up to the end of that response; raises InvalidRequest where it is not there."""
        self._responses.check("previous_response_id")
        turns = self._responses.conversation(self._owner, response_id)
        if not turns or turns[0].previous_id is not None:
            gone = f", which it goes on from: {turns[0].previous_id!r}" if turns else ""
            raise NoPrevious(
                f"previous_response_id: no response {response_id!r} is kept here{gone}: it was not stored, is too old,"
                " was deleted, or belongs to another key: send all items as input",
                field="previous_response_id",
            )
        return [item for turn in turns for item in all_items(turn)]

    def referred(self, given: Sequence[object]) -> list[object]:
        """The items, each reference replaced by what it refers to; raises InvalidRequest for one that is not there."""
        places: dict[int, Any] = {place: item for place, item in enumerate(given) if _is_reference(item)}
        if not places:
            return list(given)
        self._responses.check(f"input.{next(iter(places))}.id")
        of = {place: _response_of(item) for place, item in places.items()}
        rows = self._responses.get(self._owner, {each for each in of.values() if each})
        found = {item["id"]: item for row in rows.values() for item in all_items(row)}
        items_ = list(given)
        for place, item in places.items():
            if item["id"] not in found:
                refuse(
                    f"input.{place}.id",
                    f"no item {item['id']!r} is kept here: its response was not stored, is too old, was deleted, or"
                    " belongs to another key: send the item itself",
                )
            items_[place] = found[item["id"]]
        return items_


class NoPrevious(InvalidRequest):
    """There is no such response to go on from."""

    code = "previous_response_not_found"


def _is_reference(item: object) -> bool:
    return isinstance(item, dict) and items.kind_of(item) == "item_reference" and isinstance(item.get("id"), str)


def _response_of(item: Any) -> str | None:
    found = _OF.fullmatch(item["id"])
    return None if found is None else f"resp_{found[1]}"


def all_items(row: Kept) -> list[Item]:
    return [*json.loads(row.input), *json.loads(row.response)["output"]]


def one(responses: Responses, response_id: str) -> Kept:
    """Raises NotFound."""
    found = responses.get(owner(), {response_id}).get(response_id)
    if found is None:
        raise missing(response_id)
    return found


def missing(response_id: str) -> NotFound:
    return NotFound(
        f"no response {response_id!r} is kept here: it was not stored, is too old, was deleted, or is another key's"
    )


def shown(row: Kept, *, thoughts: bool) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(row.response)
    if not thoughts:
        for item in document["output"]:
            item.pop("encrypted_content", None)
    return document


def listed(row: Kept) -> list[Item]:
    """The request's own items in the shape of an answer: easy messages are messages like all."""
    return [_whole(item) for item in json.loads(row.input)]


def _whole(item: Item) -> Item:
    kind = items.kind_of(item)
    if kind in ("function_call", "custom_tool_call", "function_call_output", "custom_tool_call_output", "reasoning"):
        return {"status": "completed", **item}
    if kind != "message":
        return item
    is_own = item.get("role") == "assistant"
    content = item.get("content")
    if isinstance(content, str):
        content = [{"type": "output_text" if is_own else "input_text", "text": content}]
    defaults: dict[str, Item] = {"output_text": {"annotations": []}, "input_image": {"detail": "auto"}}
    parts = [{**defaults.get(part["type"], {}), **part} for part in content or []]
    return {"status": "completed", **item, "type": "message", "content": parts}
