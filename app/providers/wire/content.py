"""Message content, tools and parameters as the wire formats need them: parts made uniform, OpenAI's shapes opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from app.domain.capabilities import Capabilities
from app.errors import BadRequest, Unsupported
from app.providers.base import ChatRequest, JsonSchema, Message, ToolCall

#: $ref to $ref, and alternatives in alternatives

#: $ref to $ref in a row
REFERENCES = 20

#: roles whose text instructs the model
SYSTEM = {"system", "developer"}


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


@dataclass(frozen=True, slots=True)
class Image:
    """Either `data` (base64) with its type, or a URL."""

    url: str
    media_type: str = ""
    data: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    #: JSON Schema of the arguments
    parameters: Mapping[str, Any] = field(default_factory=dict)


def body(document: Mapping[str, Any]) -> bytes:
    """JSON in ASCII: text with a lone surrogate, which UTF-8 has no bytes for, must not break the call."""
    return json.dumps(document).encode("ascii")


def parts(message: Message) -> Iterator[str | Image]:
    """Text and images of a message; empty text is left out, because Anthropic refuses it.

    Raises BadRequest for a part that only the OpenAI format has.
    """
    if isinstance(message.content, str):
        if message.content:
            yield message.content
        return
    for part in message.content:
        kind = part.get("type")
        if kind == "text":
            if text := str(part.get("text") or ""):
                yield text
        elif kind == "image_url":
            yield _image(part.get("image_url"))
        else:
            raise BadRequest(f"this provider takes text and images, not content of type {kind!r}")


def text_of(message: Message) -> str:
    """The text of a message; raises BadRequest where it holds anything else."""
    texts = list(parts(message))
    if any(isinstance(part, Image) for part in texts):
        raise BadRequest(f"this provider takes no image in a {message.role} message")
    return "".join(cast(list[str], texts))


def system_text(request: ChatRequest) -> str:
    return "\n\n".join(text for message in request.messages if message.role in SYSTEM and (text := text_of(message)))


def turns(
    request: ChatRequest, assistant: str, key: str, blocks: Callable[[Message], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """[{"role": …, key: blocks}], as Anthropic and Gemini want them.

    System messages are left out, everything that is not the assistant's is the user's (tool results too), and
    neighbours of one role are one turn.
    """
    joined: list[dict[str, Any]] = []
    for message in request.messages:
        if message.role in SYSTEM:
            continue
        role = assistant if message.role == "assistant" else "user"
        written = blocks(message)
        if joined and joined[-1]["role"] == role:
            joined[-1][key] += written
        elif written:
            joined.append({"role": role, key: written})
    return joined


def fitted(can: Capabilities, request: ChatRequest) -> tuple[int | None, tuple[str, ...]]:
    """The token limit to send, the model's own at most, and its name where that is less than was asked for."""
    wanted = request.max_tokens
    if wanted is None or not can.max_output or wanted <= can.max_output:
        return wanted, ()
    return can.max_output, ("max_tokens",)


def tools(request: ChatRequest) -> list[Tool]:
    """Raises BadRequest for a tool that is not an OpenAI-style function."""
    found = []
    for tool in request.tools:
        function = tool.get("function")
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise BadRequest('a tool must be {"type": "function", "function": {"name": …}}')
        found.append(Tool(function["name"], str(function.get("description") or ""), function.get("parameters") or {}))
    return found


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
            named = _named(part["$ref"], root)
            if named is None or _goes_round(named, root):
                return False
            waiting.append(named)
        else:
            for several in ("anyOf", "oneOf", "allOf"):
                waiting += part.get(several) or ()
    return True


def _goes_round(schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    """Does it only point at others, and they back at it? Nothing fits such a schema."""
    seen: set[int] = set()
    part: Mapping[str, Any] | None = schema
    while part is not None and "$ref" in part:
        if id(part) in seen or len(seen) > REFERENCES:
            return True
        seen.add(id(part))
        part = _named(part["$ref"], root)
    return False


def _named(reference: object, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a local $ref ("#/$defs/x") points at; None: nothing that could be a schema."""
    found: object = root
    for step in str(reference).removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def unheld(by_tool: JsonSchema | None) -> tuple[str, ...]:
    """Names for Outgoing.dropped: a tool's arguments mostly fit its schema, and nothing holds them to it."""
    return ("json_schema.strict",) if by_tool is not None and by_tool.strict else ()


def described_schema(wanted: JsonSchema) -> dict[str, Any]:
    """The schema with its description in it, for a format that has no other place for one."""
    return ({"description": wanted.description} if wanted.description else {}) | dict(wanted.schema)


def described(tool: Tool) -> dict[str, Any]:
    """Name and description; an empty description is none."""
    return {"name": tool.name} | ({"description": tool.description} if tool.description else {})


def arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments of an earlier tool call as an object; raises BadRequest where they are none."""
    try:
        value = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadRequest(f"the arguments of tool call {call.id!r} are not a JSON object")
    return value


def _image(value: object) -> Image:
    url = value.get("url") if isinstance(value, Mapping) else value
    if not isinstance(url, str):
        raise BadRequest("an image part needs image_url.url")
    if not url.startswith("data:"):
        return Image(url)
    head, _, data = url.removeprefix("data:").partition(",")
    media_type, _, encoding = head.partition(";")
    if encoding != "base64" or not media_type:
        raise BadRequest("an image must be a URL, or data:TYPE;base64,DATA")
    return Image(url, media_type, data)
