"""Gemini: functions, schemas and settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.lab.refusals import contents
from app.lab.refusals.rule import Body, Kind, Offence, Rule, documented, of, reported

_ONLY = of(Kind.GEMINI)
_SCHEMA = "https://ai.google.dev/api/caching#Schema"
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
#: what a Schema knows; `parametersJsonSchema` takes more
_WORDS_TEXT = """
    any_of default description enum example format items max_items max_length max_properties maximum min_items
    min_length min_properties minimum nullable pattern properties property_ordering required title type
"""
_WORDS = frozenset(_WORDS_TEXT.split())
#: tokens a model can write, by what its name begins with
_OUTPUT = {"gemini-1.5": 8_192, "gemini-2.0": 8_192, "gemini-2.5": 65_536, "gemini-3": 65_536}


def _name(body: Body) -> Iterator[Offence]:
    for path, function in contents.functions(body):
        if not _NAME.fullmatch(str(function.get("name"))):
            yield Offence(
                f"{path}.name",
                "* GenerateContentRequest.{field}: [FIELD_INVALID] Invalid function name. Must start with a letter or "
                "an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or "
                "dashes (-), with a maximum length of 64.\n",
            )


def _repeated(body: Body) -> Iterator[Offence]:
    seen: set[str] = set()
    for _, function in contents.functions(body):
        name = str(function.get("name"))
        if name in seen:
            yield Offence("", f"Duplicate function declaration found: {name}")
        seen.add(name)


def _roots(body: Body) -> Iterator[tuple[str, Any]]:
    for path, function in contents.functions(body):
        yield f"{path}.parameters", function.get("parameters")
        yield f"{path}.response", function.get("response")
    config = contents.get(body, "generation_config")
    yield "generation_config.response_schema", contents.get(config, "response_schema")


def _schemas(body: Body) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, schema in _roots(body):
        yield from _nested(path, schema)


def _nested(path: str, schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    properties = schema.get("properties")
    for number, each in enumerate(properties.values() if isinstance(properties, Mapping) else ()):
        yield from _nested(f"{path}.properties.{number}.value", each)
    yield from _nested(f"{path}.items", schema.get("items"))
    for number, each in enumerate(contents.get(schema, "any_of") or ()):
        yield from _nested(f"{path}.any_of.{number}", each)


def _words(body: Body) -> Iterator[Offence]:
    for path, schema in _schemas(body):
        for word in schema:
            if contents.snake(word) not in _WORDS:
                unknown = f"Unknown name \"{word}\" at '{{field}}': Cannot find field."
                yield Offence(path, f"Invalid JSON payload received. {unknown}")


def _type_lists(body: Body) -> Iterator[Offence]:
    for path, schema in _schemas(body):
        if isinstance(schema.get("type"), list):
            unknown = "Unknown name \"type\" at '{field}': Proto field is not repeating, cannot start list."
            yield Offence(path, f"Invalid JSON payload received. {unknown}")


def _enums(body: Body) -> Iterator[Offence]:
    for path, schema in _schemas(body):
        for number, each in enumerate(schema.get("enum") or ()):
            if not isinstance(each, str):
                yield Offence(f"{path}.enum.{number}", f"Invalid value at '{{field}}' (TYPE_STRING), {each!r}")


def _json_beside_tools(body: Body) -> Iterator[Offence]:
    config = contents.get(body, "generation_config")
    if contents.get(config, "response_mime_type") == "application/json" and list(contents.functions(body)):
        yield Offence("", "Function calling with a response mime type: 'application/json' is unsupported")


def _penalties(body: Body) -> Iterator[Offence]:
    config = contents.get(body, "generation_config")
    if contents.get(config, "presence_penalty") or contents.get(config, "frequency_penalty"):
        yield Offence("", "Penalty is not enabled for this model")


def _output_limit(body: Body) -> Iterator[Offence]:
    most = next((limit for name, limit in _OUTPUT.items() if body["model"].startswith(name)), None)
    asked = contents.get(contents.get(body, "generation_config"), "max_output_tokens")
    if most is not None and asked is not None and asked > most:
        span = f"the supported range is from 1 (inclusive) to {most + 1} (exclusive)"
        has = f"it has a maxOutputTokens value of {asked} but {span}."
        yield Offence("", f"Unable to submit request because {has}")


RULES = (
    Rule(
        id="gemini-function-name",
        kinds=_ONLY,
        about="names of functions that do not begin with a letter or _, or leave letters, digits and _.:-, or 64",
        source=documented("https://ai.google.dev/api/caching#FunctionDeclaration"),
        check=_name,
    ),
    Rule(
        id="gemini-repeated-function",
        kinds=_ONLY,
        about="two functions of one name",
        source=documented("https://ai.google.dev/gemini-api/docs/function-calling"),
        check=_repeated,
    ),
    Rule(
        id="gemini-schema-words",
        kinds=_ONLY,
        about="words in `parameters` that a Schema does not have: $ref, $defs, additionalProperties, const, oneOf …",
        source=reported("openswarm-ai/openswarm#24, router-for-me/CLIProxyAPI#97, QuantumNous/new-api#1037"),
        check=_words,
    ),
    Rule(
        id="gemini-schema-types",
        kinds=_ONLY,
        about="a list of types",
        source=reported("zed-industries/zed#53919"),
        check=_type_lists,
    ),
    Rule(
        id="gemini-schema-enums",
        kinds=_ONLY,
        about="an enum of anything but strings",
        source=documented(_SCHEMA),
        check=_enums,
    ),
    Rule(
        id="gemini-json-beside-tools",
        kinds=_ONLY,
        models=r"gemini-[12]",
        about="JSON mode beside functions, before Gemini 3",
        source=reported("symfony/ai#803"),
        check=_json_beside_tools,
    ),
    Rule(
        id="gemini-penalties",
        kinds=_ONLY,
        models=r"gemini-(2\.5|[3-9])",
        about="penalties, from 2.5 on",
        source=documented("https://ai.google.dev/api/generate-content#generationconfig"),
        check=_penalties,
    ),
    Rule(
        id="gemini-output-limit",
        kinds=_ONLY,
        about="maxOutputTokens beyond what the model can write",
        source=documented("https://ai.google.dev/gemini-api/docs/models"),
        check=_output_limit,
    ),
)
