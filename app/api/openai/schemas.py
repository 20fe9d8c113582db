"""JSON schemas as callers send them, in response_format and tools: bounded, and of the types that JSON Schema gives its
keywords. What a keyword means is the provider's to say; what is none is refused here, by its field.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from app.errors import InvalidRequest

#: levels of values in each other, from the schema itself on
DEEPEST = 100
#: values (schemas, names, numbers, lists …) in one schema, and in all tools of a request together
LARGEST = 50_000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: keywords that hold a schema, a list of schemas, or named schemas; `items` is a schema or, in older drafts, a list
_SCHEMA = _words(
    "items additionalProperties additionalItems not if then else contains propertyNames unevaluatedItems "
    "unevaluatedProperties contentSchema"
)
_SCHEMAS = _words("anyOf oneOf allOf prefixItems")
_NAMED = _words("properties patternProperties $defs definitions dependentSchemas")
_TEXTS = _words("$ref $id $schema $anchor $dynamicRef pattern format title description")
_NUMBERS = _words("minimum maximum multipleOf minLength maxLength minItems maxItems minProperties maxProperties")
#: characters of a field's name as an error gives it
_FIELD_CHARS = 200


class _Place(NamedTuple):
    """Linked, so that the way to a value is written only where it is told."""

    parent: _Place | None
    key: str | int

    def __str__(self) -> str:
        keys: list[str] = []
        place: _Place | None = self
        while place is not None:
            keys.append(str(place.key)[:_FIELD_CHARS])
            place = place.parent
        return ".".join(reversed(keys))[:_FIELD_CHARS]


class _Part(NamedTuple):
    value: object
    place: _Place
    depth: int
    #: does it stand where a schema stands? Else it is a value like any other: a default, an example
    schema: bool


def check(schema: object, field: str, left: int = LARGEST) -> int:
    """How many more values there may be; raises InvalidRequest that names the place. Each value is looked at once."""
    if not isinstance(schema, dict):
        raise _wrong(field, "an object: a JSON schema")
    waiting = [_Part(schema, _Place(None, field), 1, schema=True)]
    while waiting:
        part = waiting.pop()
        left -= 1
        if left < 0:
            raise InvalidRequest(f"{field}: more than {LARGEST} values: send a smaller schema", field=field)
        if part.depth > DEEPEST:
            raise InvalidRequest(f"{field}: nested deeper than {DEEPEST} levels: send a flatter schema", field=field)
        waiting += _inner(part)
    return left


def check_tools(tools: Iterable[Mapping[str, object]]) -> None:
    """Raises InvalidRequest for a function without a name, or whose parameters are no schema."""
    left = LARGEST
    for place, tool in enumerate(tools):
        field = f"tools.{place}.function"
        function = tool.get("function")
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise _wrong(field, 'an object with a name: {"name": …, "parameters": …}')
        if not function["name"]:
            raise _wrong(f"{field}.name", "a name, and not empty")
        if not isinstance(function.get("description"), str | None):
            raise _wrong(f"{field}.description", "a text")
        if function.get("parameters") is not None:
            left = check(function["parameters"], f"{field}.parameters", left)


def _inner(part: _Part) -> Iterator[_Part]:
    value, place, below = part.value, part.place, part.depth + 1
    if part.schema and not isinstance(value, dict | bool):
        raise _wrong(place, "a schema (an object, true or false)")
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(place, "a finite number")
    if isinstance(value, list):
        yield from (_Part(each, _Place(place, at), below, schema=False) for at, each in enumerate(value))
    elif isinstance(value, dict):
        for name, each in value.items():
            if part.schema and each is not None:
                yield from _keyword(name, each, _Place(place, name), below)
            else:  # null, as if the keyword were not there
                yield _Part(each, _Place(place, name), below, schema=False)


def _keyword(name: str, value: object, place: _Place, depth: int) -> Iterator[_Part]:
    """What a keyword holds: schemas to be looked at, or a value of the kind that it can have."""
    if name in _SCHEMAS or (name == "items" and isinstance(value, list)):
        if not isinstance(value, list):
            raise _wrong(place, "a list of schemas")
        yield from (_Part(each, _Place(place, at), depth + 1, schema=True) for at, each in enumerate(value))
    elif name in _NAMED:
        if not isinstance(value, dict):
            raise _wrong(place, "an object of schemas by name")
        yield from (_Part(each, _Place(place, key), depth + 1, schema=True) for key, each in value.items())
    elif name in _SCHEMA:
        yield _Part(value, place, depth, schema=True)
    elif (wanted := _misfit(name, value)) is not None:
        raise _wrong(place, wanted)
    else:
        yield _Part(value, place, depth, schema=False)


def _misfit(name: str, value: object) -> str | None:
    """What a keyword without schemas wants, where its value is something else."""
    texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "a text": name not in _TEXTS or isinstance(value, str),
        "a number": name not in _NUMBERS or number,
        "a list of values": name != "enum" or isinstance(value, list),
        "a list of names": name != "required" or texts,
        "the name of a type, or a list of them": name != "type" or texts or isinstance(value, str),
    }
    return next((wanted for wanted, fit in fits.items() if not fit), None)


def _wrong(place: _Place | str, wanted: str) -> InvalidRequest:
    return InvalidRequest(f"{place} must be {wanted}", field=str(place))
