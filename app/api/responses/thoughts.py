"""What a provider wants back with its turn, such as signatures, as it travels in a reasoning item: `encrypted_content`.

It is encoded, not encrypted: it holds what this caller was given, or may have. A forged one does no more than the same
fields do in a message of /v1/chat/completions: they go to the formats they are from, whose servers check them.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app import nesting

#: field of a turn → what it has to be
EXTRA: Mapping[str, type] = {"thinking_blocks": list, "reasoning_details": list, "extra_content": dict}
#: says whose encoding it is, and which
_MARK, _VERSION = "tooloo", 1


@dataclass(frozen=True, slots=True)
class Thoughts:
    #: what was thought, where it does not stand in `extra`
    reasoning: str = ""
    #: see Message.extra
    extra: Mapping[str, Any] = field(default_factory=dict)
    #: id of a tool call → see ToolCall.extra
    calls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: they belong to what stands before them
    behind: bool = False

    def __bool__(self) -> bool:
        return bool(self.reasoning or self.extra or self.calls)


def packed(thoughts: Thoughts) -> str:
    document = {
        _MARK: _VERSION,
        "reasoning": thoughts.reasoning,
        "extra": dict(thoughts.extra),
        "calls": dict(thoughts.calls),
        "behind": thoughts.behind,
    }
    text = json.dumps({name: value for name, value in document.items() if value}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii")


def unpacked(given: str) -> Thoughts | None:
    """None for what is not of our making."""
    try:
        document = json.loads(base64.b64decode(given.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(document, dict) or document.get(_MARK) != _VERSION or nesting.beyond(document) is not None:
        return None
    reasoning, calls, extra = document.get("reasoning", ""), document.get("calls", {}), document.get("extra", {})
    if not isinstance(reasoning, str) or not _is_extra(extra) or not _are_calls(calls):
        return None
    return Thoughts(reasoning, extra, calls, document.get("behind") is True)


def _is_extra(given: object) -> bool:
    if not isinstance(given, dict):
        return False
    fits = all(isinstance(value, EXTRA.get(name, ())) for name, value in given.items())
    return fits and all(isinstance(each, dict) for value in given.values() if isinstance(value, list) for each in value)


def _are_calls(given: object) -> bool:
    return isinstance(given, dict) and all(isinstance(extra, dict) for extra in given.values())


def merged(known: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A streamed field with what comes next of it: elements of one index are one, and their texts go on."""
    found = dict(known)
    for name, value in more.items():
        if isinstance(value, list):
            found[name] = _joined(found.get(name, []), value)
        else:
            found[name] = {**found.get(name, {}), **value}
    return found


#: texts of an element that are said once more with each piece
_SAID_ONCE = frozenset({"type", "id", "format"})


def _joined(known: list[dict[str, Any]], more: list[dict[str, Any]]) -> list[dict[str, Any]]:
    elements = [dict(each) for each in known]
    for each in more:
        place = each.get("index")
        same = next((one for one in elements if place is not None and one.get("index") == place), None)
        if same is None:
            elements.append(dict(each))
            continue
        for name, value in each.items():
            goes_on = isinstance(value, str) and isinstance(same.get(name), str) and name not in _SAID_ONCE
            same[name] = same[name] + value if goes_on else value
    return elements
