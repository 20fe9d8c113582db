"""Fields of a request that we have no word for: passed on, left out and named, or refused, as the caller wants it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.errors import InvalidRequest

HEADER = "X-Tooloo-Parameters"


class Treatment(StrEnum):
    STRICT = "strict"  # a 400 that names the field
    DROP = "drop"  # left out, and named in x-tooloo-dropped-parameters
    FORWARD = "pass"  # to every target that speaks OpenAI's format; left out and named elsewhere


#: what an answer of ours has no place for: never passed on, since it would be paid for and lost
UNANSWERABLE = frozenset({"n", "logprobs", "top_logprobs"})
#: to leave these out would change what is asked: where they cannot be passed on they are refused
ESSENTIAL: Mapping[str, str] = {
    "functions": "the older form of tools: send `tools`, or name a provider of OpenAI's format as `model`",
    "function_call": "the older form of tool_choice: send `tool_choice`, or name a provider as `model`",
}
#: refused in any case
IMPOSSIBLE: Mapping[str, str] = {
    "modalities": 'only text is answered here: send ["text"], or leave it out',
    "audio": "only text is answered here: leave it out",
}


@dataclass(frozen=True, slots=True)
class Extras:
    passed: dict[str, Any] = field(default_factory=dict)
    #: names of those left out
    omitted: tuple[str, ...] = ()


def treatment(header: str | None, *, named: bool, required: bool) -> Treatment:
    """`named`: the request names its provider. `required`: it goes to no target that would leave something out."""
    if header is None:
        return Treatment.FORWARD if named or required else Treatment.DROP
    try:
        return Treatment(header.strip().lower())
    except ValueError:
        known = ", ".join(Treatment)
        raise InvalidRequest(f"{HEADER} must be one of {known}: got {header[:40]!r}", field=HEADER) from None


def treated(unknown: Mapping[str, Any], how: Treatment, never: frozenset[str] = UNANSWERABLE) -> Extras:
    """Raises InvalidRequest that names the field. `never`: names of what is not passed on in any case."""
    for name in unknown:
        if name in IMPOSSIBLE:
            raise InvalidRequest(f"{name} is not supported with this value: {IMPOSSIBLE[name]}", field=name)
        if how is Treatment.STRICT:
            raise InvalidRequest(
                f"unknown field {name!r}: it may change what you mean, and {HEADER} is strict", field=name
            )
        if name in ESSENTIAL and how is Treatment.DROP:
            raise InvalidRequest(f"{name} is not supported with this value: {ESSENTIAL[name]}", field=name)
    passed = {name: value for name, value in unknown.items() if how is Treatment.FORWARD and name not in never}
    return Extras(passed, tuple(name for name in unknown if name not in passed))
