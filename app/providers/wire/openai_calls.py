"""Pieces of streamed tool calls, told apart where a server does not: one index for all, no ids, or one id each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any

from app.providers.base import Delta
from app.providers.wire.draft import Draft
from app.providers.wire.tool_pieces import Tool, Waiting


class _Fate(Enum):
    """What a piece is."""

    BEGINS = auto()
    GOES_ON = auto()
    #: of a call that cannot begin yet, or may not be one
    WAITS = auto()
    #: the whole call once more
    REPEATS = auto()


def call_piece(
    index: int, call_id: str, name: str, arguments: str, draft: Draft, extra: Mapping[str, Any] | None = None
) -> Iterator[Delta]:
    """A piece of the call at wire index `index`, or of the next one there.

    Another name begins a call, and so does a name behind arguments that are whole. A new id alone does not: some
    servers make one for each piece.
    """
    kept = draft.waiting.get(index) or Waiting()
    if kept.is_named_in_part or _is_in_part(name, arguments, draft):
        whole = _joined(kept.name, name, draft)
        if _is_in_part(whole, arguments, draft):
            draft.waiting[index] = Waiting(kept.id or call_id, whole, "", kept.extra or extra, is_named_in_part=True)
            return
        draft.waiting.pop(index, None)
        yield draft.call(index, kept.id or call_id, whole, arguments, kept.extra or extra)
        return
    place = _place(index, call_id, draft)
    fate = _fate(None if place is None else draft.tools[place], kept, call_id, name, arguments)
    if fate is _Fate.WAITS:
        draft.waiting[index] = Waiting(
            kept.id or call_id, kept.name or name, kept.arguments + arguments, kept.extra or extra
        )
    elif fate is _Fate.BEGINS:
        draft.waiting.pop(index, None)
        yield draft.call(index, kept.id or call_id, name or kept.name, kept.arguments + arguments, kept.extra or extra)
    elif fate is _Fate.GOES_ON and place is not None:
        if extra and not draft.tools[place].extra:
            draft.tools[place].extra = extra
            yield Delta(tool_index=place, tool_extra=extra)
        if more := draft.more(place, arguments):
            yield more


def _is_in_part(name: str, arguments: str, draft: Draft) -> bool:
    """Some servers send the name in pieces, too: what is none of the tools, and begins the name of one."""
    if not name or arguments or name in draft.offered:
        return False
    return any(each.startswith(name) for each in draft.offered)


def _joined(begin: str, name: str, draft: Draft) -> str:
    """A piece goes on where the one before it ended, or has the name as far as it has come."""
    return name if name.startswith(begin) or name in draft.offered else begin + name


def _place(index: int, call_id: str, draft: Draft) -> int | None:
    """Of the call that goes by this id at this index, else of the last one there."""
    if call_id:
        for place in range(len(draft.tools) - 1, -1, -1):
            if draft.tools[place].index == index and call_id in draft.tools[place].ids:
                return place
    return draft.places.get(index)


def _fate(tool: Tool | None, kept: Waiting, call_id: str, name: str, arguments: str) -> _Fate:
    if tool is None or kept.arguments:
        return _Fate.BEGINS if name else _Fate.WAITS
    is_object = arguments.lstrip().startswith("{")
    if not name:
        if kept.name and is_object:
            return _Fate.BEGINS
        return _Fate.WAITS if is_object and tool.is_whole() else _Fate.GOES_ON
    if name != tool.name:
        return _Fate.BEGINS
    if not tool.is_whole():
        if call_id:
            tool.ids.add(call_id)
        return _Fate.GOES_ON
    is_known = call_id in tool.ids
    if not arguments.strip():
        if not call_id:  # a repetition, or the begin of a call whose arguments follow
            return _Fate.WAITS
        return _Fate.GOES_ON if is_known or len(tool.ids) > 1 else _Fate.BEGINS
    if is_known and arguments == "".join(tool.arguments):
        return _Fate.REPEATS
    return _Fate.GOES_ON if is_known and not is_object else _Fate.BEGINS
