"""Schemas of tools: what OpenAI and Gemini refuse in them, each by the place in the schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.lab.refusals import chat, contents
from app.lab.refusals.rule import Body, Kind, Offence, Rule, of, reported

Path = tuple[str, ...]
_ROOT = ("oneOf", "anyOf", "allOf", "enum", "not")
#: words whose value holds schemas: by name, in a list, or one
_NAMED = ("properties", "$defs", "definitions", "patternProperties")
_LISTED = ("anyOf", "any_of", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not")
_STRINGS = ("enum", "date-time")


def _nested(schema: Any, path: Path = ()) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """A schema and those in it."""
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    inside: list[tuple[Path, Any]]
    for word, value in schema.items():
        if word in _NAMED and isinstance(value, Mapping):
            inside = [((word, str(name)), each) for name, each in value.items()]
        elif word in _LISTED and isinstance(value, list):
            inside = [((word, str(number)), each) for number, each in enumerate(value)]
        else:
            inside = [((word,), value)] if word in _SINGLE else []
        for place, each in inside:
            yield from _nested(each, (*path, *place))


def _lists(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    return any(str(kind).lower() == "array" for kind in (kinds if isinstance(kinds, list) else [kinds]))


def _openai_root(body: Body) -> Iterator[Offence]:
    for path, function in chat.functions(body):
        schema = function.get("parameters")
        if isinstance(schema, Mapping) and (schema.get("type") != "object" or any(word in schema for word in _ROOT)):
            must = "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
            yield Offence(f"{path}.parameters", f"Invalid schema for function '{function.get('name')}': {must}")


def _openai_items(body: Body) -> Iterator[Offence]:
    for path, function in chat.functions(body):
        for place, schema in _nested(function.get("parameters")):
            if _lists(schema) and "items" not in schema:
                where = f"In context={place}, array schema missing items."
                yield Offence(f"{path}.parameters", f"Invalid schema for function '{function.get('name')}': {where}")


def _gemini(body: Body) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """In either format; `parametersJsonSchema` takes more."""
    for path, function in (*contents.functions(body), *chat.functions(body)):
        for place, schema in _nested(function.get("parameters")):
            yield ".".join((path, "parameters", *place)), schema


def _gemini_items(body: Body) -> Iterator[Offence]:
    for path, schema in _gemini(body):
        if _lists(schema) and "items" not in schema:
            yield Offence(f"{path}.items", "* GenerateContentRequest.{field}: missing field.\n")


def _gemini_enum(body: Body) -> Iterator[Offence]:
    for path, schema in _gemini(body):
        if schema.get("enum") and str(schema.get("type")).lower() != "string":
            yield Offence(f"{path}.enum", "* GenerateContentRequest.{field}: only allowed for STRING type\n")


def _gemini_object(body: Body) -> Iterator[Offence]:
    for path, schema in _gemini(body):
        if str(schema.get("type")).lower() == "object" and not schema.get("properties"):
            empty = "should be non-empty for OBJECT type"
            yield Offence(f"{path}.properties", f"* GenerateContentRequest.{{field}}: {empty}\n")


def _gemini_format(body: Body) -> Iterator[Offence]:
    for path, schema in _gemini(body):
        named = schema.get("format")
        if named is not None and str(schema.get("type")).lower() == "string" and named not in _STRINGS:
            only = "only 'enum' and 'date-time' are supported for STRING type"
            yield Offence(f"{path}.format", f"* GenerateContentRequest.{{field}}: {only}\n")


RULES = (
    Rule(
        id="openai-schema-root",
        kinds=of(Kind.OPENAI),
        about="a tool whose schema is not of type object, or has alternatives, enum or not at its root",
        source=reported("nspady/google-calendar-mcp#39, langchain-ai/langchainjs#9804"),
        check=_openai_root,
        code="invalid_function_parameters",
    ),
    Rule(
        id="openai-array-items",
        kinds=of(Kind.OPENAI),
        about="an array in a tool's schema that does not say of what",
        source=reported("streamnative/streamnative-mcp-server#26, sigoden/aichat#1049, PrefectHQ/fastmcp#2464"),
        check=_openai_items,
        code="invalid_function_parameters",
    ),
    Rule(
        id="gemini-array-items",
        kinds=of(Kind.GEMINI, Kind.GEMINI_OPENAI),
        about="an array in `parameters` that does not say of what",
        source=reported(
            "router-for-me/CLIProxyAPI#5292, TokenRhythm/opensquilla#1263, NousResearch/hermes-agent#69924"
        ),
        check=_gemini_items,
    ),
    Rule(
        id="gemini-enum-type",
        kinds=of(Kind.GEMINI),
        about="an enum of what is not of type string",
        source=reported("musistudio/llms#20, decolua/9router#359, directus/directus#27100"),
        check=_gemini_enum,
    ),
    Rule(
        id="gemini-empty-object",
        kinds=of(Kind.GEMINI),
        about="an object in `parameters` without properties",
        source=reported("agno-agi/agno#2113, pipecat-ai/pipecat-flows#110"),
        check=_gemini_object,
    ),
    Rule(
        id="gemini-string-format",
        kinds=of(Kind.GEMINI),
        about="a format of a string other than enum and date-time",
        source=reported("google-gemini/gemini-cli#3178, aaif-goose/goose#1029"),
        check=_gemini_format,
    ),
)
