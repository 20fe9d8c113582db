"""JSON Schema, as far as answers of models are described by it. A keyword it does not know is refused, not skipped."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

#: keywords that say nothing about a value
_SILENT = {
    "$schema",
    "$id",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "$comment",
    "format",
}
_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: _is_number(value),
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
}
#: nesting of schemas (through $ref too) from which on nothing is looked at
MAX_DEPTH = 40

Schema = Mapping[str, Any] | bool
Problems = Iterator[str]


def problems(schema: Schema, value: Any) -> Problems:
    """What is wrong with the value, each with its path."""
    return _problems(schema, value, "value", schema, 0)


def unknown_keywords(schema: Any) -> list[str]:
    """Keywords of a schema that are not understood, each with its path."""
    return list(_unknown(schema, "schema"))


def _unknown(schema: Any, path: str) -> Problems:
    if not isinstance(schema, dict):
        yield from () if isinstance(schema, bool) else (f"{path} is no schema",)
        return
    for keyword, said in schema.items():
        inner = _inner(keyword, said)
        if inner is not None:
            for name, each in inner.items():
                yield from _unknown(each, f"{path}.{keyword}{name}")
        elif keyword == "type":
            names = said if isinstance(said, list) else [said]
            yield from (f"{path}.type: {name!r}" for name in names if name not in _TYPES)
        elif keyword not in _SILENT and keyword not in _CHECKS:
            yield f"{path}.{keyword}"


def _inner(keyword: str, said: Any) -> dict[str, Any] | None:
    """The schemas in a keyword, by what is added to its path; None: it holds none."""
    if keyword in ("properties", "$defs", "definitions") and isinstance(said, dict):
        return {f".{name}": each for name, each in said.items()}
    if keyword in ("items", "additionalProperties", "not"):
        return {"": said}
    if keyword in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(said, list):
        return {f".{number}": each for number, each in enumerate(said)}
    return None


def _problems(schema: Schema, value: Any, path: str, root: Schema, depth: int) -> Problems:
    if isinstance(schema, bool) or depth > MAX_DEPTH:
        if schema is False:
            yield f"{path} is not asked for"
        return
    if (reference := schema.get("$ref")) is not None:
        yield from _problems(_resolved(reference, root), value, path, root, depth + 1)
    for keyword, said in schema.items():
        if check := _CHECKS.get(keyword):
            yield from check(schema, said, value, path, root, depth)


def _resolved(reference: str, root: Schema) -> Schema:
    """`#/$defs/item` → that schema; one that points nowhere allows nothing."""
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(part) if part and isinstance(found, dict) else found
    return found if isinstance(found, dict | bool) else False


def _type(_schema: Any, said: Any, value: Any, path: str, _root: Any, _depth: int) -> Problems:
    names = said if isinstance(said, list) else [said]
    if not any(_TYPES[name](value) for name in names):
        yield f"{path} is no {' or '.join(names)}"


def _enum(_schema: Any, said: Any, value: Any, path: str, _root: Any, _depth: int) -> Problems:
    if not any(type(value) is type(each) and value == each for each in said):
        yield f"{path} is none of {str(said)[:80]}"


def _const(_schema: Any, said: Any, value: Any, path: str, root: Any, depth: int) -> Problems:
    return _enum(_schema, [said], value, path, root, depth)


def _required(_schema: Any, said: Any, value: Any, path: str, _root: Any, _depth: int) -> Problems:
    if isinstance(value, dict):
        yield from (f"{path}.{name} is missing" for name in said if name not in value)


def _properties(_schema: Any, said: Any, value: Any, path: str, root: Any, depth: int) -> Problems:
    if isinstance(value, dict):
        for name in value.keys() & said.keys():
            yield from _problems(said[name], value[name], f"{path}.{name}", root, depth + 1)


def _additional(schema: Any, said: Any, value: Any, path: str, root: Any, depth: int) -> Problems:
    if isinstance(value, dict):
        for name in value.keys() - schema.get("properties", {}).keys():
            yield from _problems(said, value[name], f"{path}.{name}", root, depth + 1)


def _items(schema: Any, said: Any, value: Any, path: str, root: Any, depth: int) -> Problems:
    if isinstance(value, list):
        for place, each in enumerate(value[len(schema.get("prefixItems", ())) :][:10_000]):
            yield from _problems(said, each, f"{path}.{place}", root, depth + 1)


def _prefix(_schema: Any, said: Any, value: Any, path: str, root: Any, depth: int) -> Problems:
    if isinstance(value, list):
        for place, (inner, each) in enumerate(zip(said, value, strict=False)):
            yield from _problems(inner, each, f"{path}.{place}", root, depth + 1)


def _all_of(_schema: Any, said: Any, value: Any, path: str, root: Any, depth: int) -> Problems:
    for inner in said:
        yield from _problems(inner, value, path, root, depth + 1)


def _fits(inner: Schema, value: Any, root: Schema, depth: int) -> bool:
    return next(_problems(inner, value, "", root, depth + 1), None) is None


def _any_of(_schema: Any, said: Any, value: Any, path: str, root: Any, depth: int) -> Problems:
    if not any(_fits(inner, value, root, depth) for inner in said):
        yield f"{path} fits none of anyOf"


def _one_of(_schema: Any, said: Any, value: Any, path: str, root: Any, depth: int) -> Problems:
    fitting = sum(_fits(inner, value, root, depth) for inner in said)
    if fitting != 1:
        yield f"{path} fits {fitting} of oneOf"


def _not(_schema: Any, said: Any, value: Any, path: str, root: Any, depth: int) -> Problems:
    if _fits(said, value, root, depth):
        yield f"{path} is what it must not be"


def _bound(
    applies: Callable[[Any], bool], holds: Callable[[Any, Any], bool], says: str
) -> Callable[[Any, Any, Any, str, Any, int], Problems]:
    def check(_schema: Any, said: Any, value: Any, path: str, _root: Any, _depth: int) -> Problems:
        if applies(value) and not holds(value, said):
            yield f"{path} {says} {said}"

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_CHECKS: dict[str, Callable[[Any, Any, Any, str, Any, int], Problems]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "prefixItems": _prefix,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "$ref": lambda *_: iter(()),
    "minimum": _bound(_is_number, lambda value, said: value >= said, "is less than"),
    "maximum": _bound(_is_number, lambda value, said: value <= said, "is more than"),
    "exclusiveMinimum": _bound(_is_number, lambda value, said: value > said, "is not more than"),
    "exclusiveMaximum": _bound(_is_number, lambda value, said: value < said, "is not less than"),
    "minLength": _bound(_TYPES["string"], lambda value, said: len(value) >= said, "is shorter than"),
    "maxLength": _bound(_TYPES["string"], lambda value, said: len(value) <= said, "is longer than"),
    "minItems": _bound(_TYPES["array"], lambda value, said: len(value) >= said, "has fewer items than"),
    "maxItems": _bound(_TYPES["array"], lambda value, said: len(value) <= said, "has more items than"),
    "minProperties": _bound(_TYPES["object"], lambda value, said: len(value) >= said, "has fewer properties than"),
    "maxProperties": _bound(_TYPES["object"], lambda value, said: len(value) <= said, "has more properties than"),
}
