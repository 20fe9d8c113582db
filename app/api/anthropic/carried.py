"""What other providers than Claude want back with their turns, in blocks that Anthropic's clients pass back unread.

A thought of theirs goes out as a `thinking` block with a signature of ours; what they sign, or call details of their
reasoning, as `redacted_thinking`. Neither is ever sent to Claude.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

#: how a signature or hidden thought of ours begins: none of Claude's does, which are base64
OURS = "tooloo:"
#: of a turn, what may come back → what it has to be
_OF_TURN: Mapping[str, type] = {"reasoning_details": list, "extra_content": dict}


def is_ours(signature: object) -> bool:
    """An empty one, or none, is nobody's: Claude would refuse it as well."""
    return not isinstance(signature, str) or not signature or signature.startswith(OURS)


def of_turn(extra: Mapping[str, Any]) -> dict[str, Any]:
    return _block({"turn": dict(extra)})


def of_call(call_id: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    return _block({"call": call_id, "extra": dict(extra)})


def _block(kept: Mapping[str, Any]) -> dict[str, Any]:
    written = json.dumps(kept, separators=(",", ":")).encode()
    return {"type": "redacted_thinking", "data": OURS + base64.urlsafe_b64encode(written).decode()}


def turn_in(data: str) -> dict[str, Any]:
    """What such a block keeps for the turn, as Message.extra has it."""
    turn = _read(data).get("turn")
    given = turn if isinstance(turn, dict) else {}
    return {
        name: given[name]
        for name, kind in _OF_TURN.items()
        if isinstance(given.get(name), kind) and (kind is dict or all(isinstance(each, dict) for each in given[name]))
    }


def call_in(data: str) -> tuple[str, dict[str, Any]] | None:
    """… and for a call: its id, and ToolCall.extra."""
    kept = _read(data)
    call_id, extra = kept.get("call"), kept.get("extra")
    return (call_id, extra) if isinstance(call_id, str) and isinstance(extra, dict) else None


def _read(data: str) -> dict[str, Any]:
    """{} for what nobody here wrote."""
    try:
        kept = json.loads(base64.urlsafe_b64decode(data.removeprefix(OURS)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}
