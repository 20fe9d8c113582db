"""What LiteLLM's clients send back: it keeps what OpenAI has no field for in `provider_specific_fields`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

NAME = "provider_specific_fields"


def opened(turn: Mapping[str, Any], known: Iterable[str]) -> Mapping[str, Any]:
    """The message with those of its `known` fields that stand in there in their own places, and Gemini's signature."""
    inside = turn.get(NAME)
    if not isinstance(inside, dict):
        return turn
    rest = dict(inside)
    found = {name: rest.pop(name) for name in known if name in rest and turn.get(name) is None}
    signatures = rest.pop("thought_signatures", None)
    if isinstance(signatures, list) and signatures and not turn.get("extra_content"):
        found["extra_content"] = _signed(signatures[0])
    return {**turn, **found, NAME: rest}


def opened_call(call: Mapping[str, Any], function: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A call's extra_content: its own, else Gemini's signature as LiteLLM keeps it."""
    if call.get("extra_content") is not None:
        return call["extra_content"]  # type: ignore[no-any-return]  # whoever reads it looks at its type
    for each in (call, function):
        inside = each.get(NAME)
        signature = inside.get("thought_signature") if isinstance(inside, dict) else None
        if isinstance(signature, str) and signature:
            return _signed(signature)
    return None


def is_opened(inside: object) -> bool:
    """Of a call: is there nothing in it but what opened_call takes?"""
    return isinstance(inside, dict) and set(inside) <= {"thought_signature"}


def _signed(signature: object) -> dict[str, Any]:
    return {"google": {"thought_signature": signature}}
