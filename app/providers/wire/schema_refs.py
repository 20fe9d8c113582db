"""What a $ref of a JSON Schema points at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: $ref to $ref in a row
REFERENCES = 20


def named(reference: object, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a local $ref ("#/$defs/x") points at; None: nothing that could be a schema."""
    found: object = root
    for step in str(reference).removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def goes_round(schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    """Does it only point at others, and they back at it? Nothing fits such a schema."""
    seen: set[int] = set()
    part: Mapping[str, Any] | None = schema
    while part is not None and "$ref" in part:
        if id(part) in seen or len(seen) > REFERENCES:
            return True
        seen.add(id(part))
        part = named(part["$ref"], root)
    return False
