"""Tools as the formats take them: their schemas folded into one object, their names spelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import BadRequest
from app.providers.base import ChatRequest
from app.providers.conversation import Mark
from app.providers.wire.answers_object import named

#: alternatives in alternatives; what lies deeper is let go
_DEPTH = 50
#: alternatives and parts of a schema
_COMBINED = ("allOf", "anyOf", "oneOf")
#: what OpenAI's format has in a tool, and in its function; and Anthropic's mark, which is known in both
TOOL = frozenset({"type", "function", "cache_control"})
FUNCTION = frozenset({"name", "description", "parameters", "strict", "cache_control"})
#: words whose value holds schemas: by name, in a list, or one
_BY_NAME = ("properties", "$defs", "definitions", "patternProperties")
_LISTED = (*_COMBINED, "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "if", "then", "else")


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    #: JSON Schema of the arguments
    parameters: Mapping[str, Any] = field(default_factory=dict)
    strict: bool | None = None
    cache: Mark | None = None
    #: names of fields that OpenAI's format does not have
    unknown: tuple[str, ...] = ()


def tools(request: ChatRequest) -> list[Tool]:
    """Raises BadRequest for a tool that is not an OpenAI-style function, and for one that is there twice."""
    found: dict[str, Tool] = {}
    for place, given in enumerate(request.tools):
        function = given.get("function")
        if not isinstance(function, Mapping) or not isinstance(name := function.get("name"), str):
            raise BadRequest('a tool must be {"type": "function", "function": {"name": …}}', field=f"tools.{place}")
        if name in found:
            raise BadRequest(f"there are two tools {name!r}: give each its own name", field=f"tools.{place}")
        found[name] = Tool(
            name,
            str(function.get("description") or ""),
            _parameters(function, place),
            function.get("strict"),
            given.get("cache_control") or function.get("cache_control"),
            tuple(_unknown(given, TOOL)) + tuple(_unknown(function, FUNCTION)),
        )
    return list(found.values())


def _unknown(given: Mapping[str, Any], known: frozenset[str]) -> Iterator[str]:
    return (name for name, value in given.items() if name not in known and value is not None)


def _parameters(function: Mapping[str, Any], place: int) -> Mapping[str, Any]:
    given = function.get("parameters")
    if given is None or given is True:
        return {}
    if not isinstance(given, Mapping):
        raise BadRequest("the parameters of a tool must be a JSON Schema", field=f"tools.{place}.function.parameters")
    return given


def described(tool: Tool, name: str) -> dict[str, Any]:
    """Name and description; no empty description, where there is none."""
    return {"name": name} | ({"description": tool.description} if tool.description else {})


def folded(schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The schema as one object without alternatives at its root; and a name for Outgoing.dropped where that loses some.

    What any alternative knows is known, what all of them require is required.
    """
    if schema.get("type") == "object" and "$ref" not in schema and not any(word in schema for word in _COMBINED):
        return schema, ()
    plain = _Folding(schema).of(schema)
    plain["type"] = "object"
    plain.setdefault("properties", {})
    return plain, tuple(f"tools.parameters.{word}" for word in ("anyOf", "oneOf") if word in schema)


def itemized(schema: Any, depth: int = 0) -> Any:
    """Each array says of what, `{}` where it did not: of anything, as before."""
    if not isinstance(schema, Mapping) or depth == _DEPTH:
        return schema
    written = {word: _inside(word, value, depth + 1) for word, value in schema.items()}
    kinds = schema.get("type")
    if "array" in (kinds if isinstance(kinds, list) else [kinds]):
        written.setdefault("items", {})
    return written


def _inside(word: str, value: Any, depth: int) -> Any:
    """The schemas in a word's value."""
    if word in _BY_NAME and isinstance(value, Mapping):
        return {name: itemized(each, depth) for name, each in value.items()}
    if word in _LISTED and isinstance(value, list):
        return [itemized(each, depth) for each in value]
    return itemized(value, depth) if word in _SINGLE else value


class _Folding:
    """Each part is folded once, however often and from wherever it is named."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._known: dict[int, dict[str, Any]] = {}

    def of(self, part: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
        if (known := self._known.get(id(part))) is not None:
            return known
        plain = self._known[id(part)] = {
            name: value for name, value in part.items() if name not in (*_COMBINED, "$ref")
        }
        if depth == _DEPTH:
            return plain
        if "$ref" in part and (target := named(part["$ref"], self._root)) is not None:
            _merge(plain, self.of(target, depth + 1), required=True)
        for word in _COMBINED:
            objects = [self.of(each, depth + 1) for each in self._objects(part.get(word))]
            for each in objects:
                _merge(plain, each, required=word == "allOf")
            if word != "allOf" and objects:
                _require(plain, [each.get("required") or [] for each in objects])
                if all(each.get("additionalProperties") is False for each in objects):
                    plain.setdefault("additionalProperties", False)
        return plain

    def _objects(self, parts: object) -> list[Mapping[str, Any]]:
        given = [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
        return [part for part in given if part.get("type", "object") == "object" or "object" in part["type"]]


def _merge(plain: dict[str, Any], more: Mapping[str, Any], *, required: bool) -> None:
    if plain is more:  # a part of itself
        return
    properties = dict(plain.get("properties") or {})
    for name, schema in (more.get("properties") or {}).items():
        known = properties.get(name, schema)
        properties[name] = known if known == schema else {"anyOf": [known, schema]}
    if properties:
        plain["properties"] = properties
    if not required:  # what one of several says of the rest does not hold for the others
        return
    _require(plain, [more.get("required") or []])
    for word, value in more.items():
        if word not in ("properties", "required", "title", "description"):
            plain.setdefault(word, value)


def _require(plain: dict[str, Any], several: list[list[str]]) -> None:
    """Besides what is required already: what each of `several` requires."""
    common = [name for name in several[0] if all(name in each for each in several[1:])]
    if wanted := list(dict.fromkeys([*(plain.get("required") or []), *common])):
        plain["required"] = wanted
