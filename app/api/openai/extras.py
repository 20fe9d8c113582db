"""Fields of a request that not every target has: passed on, left out and named, or refused, as the caller wants it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.domain.keys import Treatment
from app.errors import InvalidRequest

HEADER = "X-Tooloo-Parameters"

#: fields that we have a word for, and that go to who has them by the capability matrix
OPTIONAL = frozenset({"n", "logprobs", "top_logprobs", "service_tier", "verbosity", "allowed_tools"})
#: … of which a target that has not got them does no harm: who names a server of OpenAI's format has its word for it
HARMLESS = frozenset({"service_tier", "verbosity"})
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


def treatment(header: str | None, own: Treatment | None, *, named: bool, required: bool) -> Treatment:
    """The header's, else the key's `own`, else the default.

    `named`: the request names its provider. `required`: it goes to no target that would leave something out.
    """
    return said(header) or own or (Treatment.FORWARD if named or required else Treatment.DROP)


def said(header: str | None) -> Treatment | None:
    if header is None:
        return None
    try:
        return Treatment(header.strip().lower())
    except ValueError:
        known = ", ".join(Treatment)
        raise InvalidRequest(f"{HEADER} must be one of {known}: got {header[:40]!r}", field=HEADER) from None


def everywhere(how: Treatment, *, chosen: bool, required: bool) -> frozenset[str]:
    """Those of OPTIONAL that go to every server of OpenAI's format. `chosen`: the caller, or the key, says pass."""
    if how is not Treatment.FORWARD or required:
        return frozenset()
    return OPTIONAL if chosen else HARMLESS


def treated(unknown: Mapping[str, Any], how: Treatment, never: frozenset[str] = frozenset()) -> Extras:
    """Raises InvalidRequest that names the field. `never`: names of what is not passed on in any case."""
    if not unknown:  # nearly always
        return Extras()
    for name in unknown:
        if name in IMPOSSIBLE:
            raise InvalidRequest(f"{name} is not supported with this value: {IMPOSSIBLE[name]}", field=name)
        if how is Treatment.STRICT:
            raise InvalidRequest(
                f"unknown field {name!r}: it may change what you mean, and {HEADER} is strict", field=name
            )
    passed = {name: value for name, value in unknown.items() if how is Treatment.FORWARD and name not in never}
    return Extras(passed, tuple(name for name in unknown if name not in passed))


def unsaid(names: Iterable[str], how: Treatment) -> tuple[str, ...]:
    """Of fields that are taken: what in them goes to nobody. Raises InvalidRequest where the caller is strict."""
    found = tuple(names)
    if found and how is Treatment.STRICT:
        raise InvalidRequest(f"{found[0]} is not known here, or has no effect, and {HEADER} is strict", field=found[0])
    return found
