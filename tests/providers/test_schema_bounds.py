"""The work on a schema is that of reading it, however its parts name each other."""

from __future__ import annotations

import pytest

from app.errors import Unsupported
from app.providers.base import ChatRequest, JsonSchema, Message
from app.providers.wire.content import as_tool


def asked(schema: dict[str, object]) -> tuple[ChatRequest, JsonSchema]:
    wanted = JsonSchema("o", schema)
    return ChatRequest(messages=(Message("user", "hi"),), json_schema=wanted), wanted


def levels(count: int, alternatives: int) -> dict[str, object]:
    """`alternatives`^`count` ways through it, in a few kilobytes."""
    named: dict[str, object] = {f"d{count}": {"type": "object"}}
    for level in range(count):
        named[f"d{level}"] = {"anyOf": [{"$ref": f"#/$defs/d{level + 1}"} for _ in range(alternatives)]}
    return {"$defs": named, "anyOf": [{"$ref": "#/$defs/d0"}]}


def test_a_schema_of_30_to_the_9th_ways_is_read_once() -> None:
    assert as_tool(*asked(levels(9, 30))).tools


def test_an_alternative_at_the_end_of_all_ways_is_still_seen() -> None:
    schema = levels(9, 30)
    schema["$defs"]["d9"] = {"type": "string"}  # type: ignore[index]  # it is a dict of dicts
    with pytest.raises(Unsupported):
        as_tool(*asked(schema))
