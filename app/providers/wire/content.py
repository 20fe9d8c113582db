"""What goes out, and a JSON schema for the answer in a format that has none: see history and tools for the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.domain.catalog import WireFormat
from app.domain.targets.capabilities import Capabilities
from app.errors import Unsupported
from app.json_bytes import dumps
from app.providers.base import ChatRequest, Dialect, JsonSchema
from app.providers.wire import surrogates
from app.providers.wire.answers_object import is_of_objects


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
    #: it asks for a completion, as the caller did
    completes: bool = False
    #: of ChatRequest.hints those that are in the body
    hints: frozenset[str] = frozenset()


def body(document: Mapping[str, Any]) -> bytes:
    """JSON, with U+FFFD in place of lone surrogates, which vendors refuse to read."""
    return dumps(document, _mended)


def _mended(document: object) -> bytes:
    return surrogates.mended(json.dumps(document).encode("ascii"))


def not_in_words_of(wire: WireFormat, dialect: Dialect) -> Unsupported | None:
    """Why a target of this format is not asked: what must not be left out, it cannot be told."""
    if not dialect.essential or wire is dialect.format:
        return None
    return Unsupported(f"only a provider of the format {dialect.format} takes {', '.join(dialect.essential)}")


def fitted(can: Capabilities, request: ChatRequest) -> tuple[int | None, tuple[str, ...]]:
    """The token limit to send, the model's own at most, and its name where that is less than was asked for."""
    wanted = request.max_tokens
    if wanted is None or not can.max_output or wanted <= can.max_output:
        return wanted, ()
    return can.max_output, ("max_tokens",)


def offered(can: Capabilities, request: ChatRequest) -> ChatRequest:
    """The request with those tools alone that may be called, for a target that cannot be told which those are."""
    if not request.allowed_tools or can.allowed_tools or "allowed_tools" in request.passed:
        return request
    tools = tuple(tool for tool in request.tools if tool["function"].get("name") in request.allowed_tools)
    return replace(request, tools=tools, allowed_tools=())


#: what not every server of OpenAI's format has → the capability
OPTIONAL: Mapping[str, str] = {
    "n": "n",
    "logprobs": "logprobs",
    "top_logprobs": "logprobs",
    "service_tier": "service_tier",
    "verbosity": "verbosity",
}


def optional(request: ChatRequest) -> dict[str, Any]:
    """What is asked for of OPTIONAL."""
    asked = {
        "n": request.n if request.n > 1 else None,
        "logprobs": request.logprobs or None,
        "top_logprobs": request.top_logprobs,
        "service_tier": request.service_tier,
        "verbosity": request.verbosity,
    }
    return {name: value for name, value in asked.items() if value is not None}


def as_tool(request: ChatRequest, wanted: JsonSchema) -> ChatRequest:
    """The same question with the schema as its one tool, which has to be called: its arguments are the answer.

    Raises Unsupported where that cannot be: beside other tools, and where the answer is no object.
    """
    if request.tools:
        raise Unsupported("this model takes no response_format of type json_schema beside tools")
    if not is_of_objects(wanted.schema):
        raise Unsupported("this model takes a response_format of type json_schema only where the answer is an object")
    function = {
        "name": wanted.name,
        "description": wanted.description or "Takes the whole answer.",
        "parameters": {**wanted.schema, "type": "object"},
    }
    tool = {"type": "function", "function": function}
    return replace(request, json_schema=None, tools=(tool,), tool_choice=wanted.name, parallel_tool_calls=False)


def unheld(by_tool: JsonSchema | None) -> tuple[str, ...]:
    """Names for Outgoing.dropped: a tool's arguments mostly fit its schema, and nothing holds them to it."""
    return ("json_schema.strict",) if by_tool is not None and by_tool.strict else ()


def described_schema(wanted: JsonSchema) -> dict[str, Any]:
    """The schema with its description in it, for a format that has no other place for one."""
    return ({"description": wanted.description} if wanted.description else {}) | dict(wanted.schema)
