"""What goes out, and a JSON schema for the answer in a format that has none: see history and tools for the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.errors import Unsupported
from app.providers.base import ChatRequest, JsonSchema
from app.providers.wire.schema_refs import goes_round, named


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request ready to be sent."""

    url: str
    #: one of them is the key
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    #: fields of ChatRequest that the provider has not, and that are not in the body
    dropped: tuple[str, ...]
    #: the tool whose arguments are the answer's text: see as_tool
    answer_tool: str | None = None
    #: names of tools as sent → as the caller knows them, where they differ
    names: Mapping[str, str] = field(default_factory=dict)


def body(document: Mapping[str, Any]) -> bytes:
    """JSON in ASCII: text with a lone surrogate, which UTF-8 has no bytes for, must not break the call."""
    return json.dumps(document).encode("ascii")


def as_tool(request: ChatRequest, wanted: JsonSchema) -> ChatRequest:
    """The same question with the schema as its one tool, which has to be called: its arguments are the answer.

    Raises Unsupported where that cannot be: beside other tools, and where the answer is no object.
    """
    if request.tools:
        raise Unsupported("this model takes no response_format of type json_schema beside tools")
    if not _is_of_objects(wanted.schema, wanted.schema):
        raise Unsupported("this model takes a response_format of type json_schema only where the answer is an object")
    function = {
        "name": wanted.name,
        "description": wanted.description or "Takes the whole answer.",
        "parameters": {**wanted.schema, "type": "object"},
    }
    tool = {"type": "function", "function": function}
    return replace(request, json_schema=None, tools=(tool,), tool_choice=wanted.name, parallel_tool_calls=False)


def _is_of_objects(schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    """Can nothing but an object fit? A schema that says nothing of its kind counts as one of objects.

    Each part is looked at once, however often and from wherever it is named: the work is that of reading the schema.
    """
    waiting: list[object] = [schema]
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if not isinstance(part, Mapping):
            return False
        if "enum" in part or "const" in part:
            if not all(isinstance(value, dict) for value in part.get("enum", [part.get("const")])):
                return False
            continue
        kinds = part.get("type", "object")
        if (kinds if isinstance(kinds, list) else [kinds]) != ["object"]:
            return False
        if "$ref" in part:
            target = named(part["$ref"], root)
            if target is None or goes_round(target, root):
                return False
            waiting.append(target)
        else:
            for several in ("anyOf", "oneOf", "allOf"):
                waiting += part.get(several) or ()
    return True


def unheld(by_tool: JsonSchema | None) -> tuple[str, ...]:
    """Names for Outgoing.dropped: a tool's arguments mostly fit its schema, and nothing holds them to it."""
    return ("json_schema.strict",) if by_tool is not None and by_tool.strict else ()


def described_schema(wanted: JsonSchema) -> dict[str, Any]:
    """The schema with its description in it, for a format that has no other place for one."""
    return ({"description": wanted.description} if wanted.description else {}) | dict(wanted.schema)
