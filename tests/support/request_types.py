"""Bodies against the vendors' own request types: those of their official SDKs, read as strictly as their APIs read.

The SDKs describe requests for type checkers; nothing in them looks at a body at run time. Here their types become
validators. Unknown keys are refused where the real API refuses them: everywhere at Anthropic and Gemini, and at OpenAI
itself. Others of OpenAI's format have keys of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import openai.types.chat.completion_create_params as chat_params
import openai.types.embedding_create_params as embedding_params
from anthropic.types import message_create_params as message_params
from google.genai import types as gemini
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import SchemaValidator

_CHAT, _MESSAGES, _EMBEDDINGS = "/chat/completions", "/v1/messages", "/embeddings"
_EMBED = ":batchEmbedContents"
_GENERATE = re.compile(r":(stream)?GenerateContent$", re.IGNORECASE)
#: of Anthropic's API up to the version that the SDK is for; who may send them is a rule of the lab's
_EARLIER = ("temperature", "top_p", "top_k")
#: models that only OpenAI itself has
_OPENAIS = re.compile(r"^(gpt-\d|o\d|chatgpt)")


class GenerateContent(BaseModel):
    """What the SDK for Gemini puts around its own types on the wire, which is nowhere a type of its."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    contents: list[gemini.Content]
    system_instruction: gemini.Content | None = None
    generation_config: gemini.GenerationConfig | None = None
    tools: list[gemini.Tool] | None = None
    tool_config: gemini.ToolConfig | None = None
    safety_settings: list[gemini.SafetySetting] | None = None
    cached_content: str | None = None
    labels: dict[str, str] | None = None
    service_tier: str | None = None


class EmbedContents(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    model: str
    content: gemini.Content
    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None


class BatchEmbedContents(BaseModel):
    model_config = ConfigDict(extra="forbid")

    requests: list[EmbedContents]


def knows(path: str) -> bool:
    """Is there a type for what is sent there? What is passed through as it came may be anything."""
    place = urlsplit(path).path
    return place.endswith((_CHAT, _MESSAGES, _EMBEDDINGS, _EMBED)) or _GENERATE.search(place) is not None


def faults(path: str, body: Any, openai_itself: bool = False) -> list[str]:
    """What the SDK's type would not hold, each as `place: why`; [] also where nothing of the kind was asked for."""
    place = urlsplit(path).path
    if not isinstance(body, Mapping):
        return []
    if place.endswith(_CHAT):
        strict = openai_itself or _OPENAIS.match(str(body.get("model"))) is not None
        return _found(_validator("chat", bool(body.get("stream")), strict), body)
    if place.endswith(_MESSAGES):
        told = {name: value for name, value in body.items() if name not in _EARLIER}
        return _found(_validator("messages", bool(body.get("stream")), True), told)
    if place.endswith(_EMBED):
        return _found(TypeAdapter(BatchEmbedContents).validator, body)
    if place.endswith(_EMBEDDINGS):
        return _found(_validator("embeddings", False, str(body.get("model")).startswith("text-embedding-")), body)
    return _found(_generate(), body) if _GENERATE.search(place) else []


def _found(validator: Any, body: Any) -> list[str]:
    try:
        validator.validate_python(body)
    except ValidationError as error:
        return _told(error.errors(include_url=False, include_context=False, include_input=False))
    return []


def _told(errors: Sequence[Any]) -> list[str]:
    """Without the branches of a union that are another role's or another type's, as long as one is left."""
    others = {
        each["loc"][:-1] for each in errors if each["type"] == "literal_error" and each["loc"][-1] in ("role", "type")
    }
    meant = [each for each in errors if not any(each["loc"][: len(other)] == other for other in others)]
    return [f"{_place(each['loc'])}: {each['msg']}" for each in meant or errors]


def _place(loc: Sequence[Any]) -> str:
    """Without the names of unions, which list every type there is."""
    return ".".join(str(part) for part in loc if "[" not in str(part))


@cache
def _generate() -> Any:
    return TypeAdapter(GenerateContent).validator


_TYPES: Mapping[tuple[str, bool], Any] = {
    ("chat", False): chat_params.CompletionCreateParamsNonStreaming,
    ("chat", True): chat_params.CompletionCreateParamsStreaming,
    ("embeddings", False): embedding_params.EmbeddingCreateParams,
    ("messages", False): message_params.MessageCreateParamsNonStreaming,
    ("messages", True): message_params.MessageCreateParamsStreaming,
}


@cache
def _validator(api: str, stream: bool, strict: bool) -> SchemaValidator:
    """The SDKs say Iterable where they take a list, which pydantic would look at only when somebody walks along it."""
    adapter = TypeAdapter(_TYPES[api, stream])
    return SchemaValidator(_tightened(adapter.core_schema, strict))


def _tightened(schema: Any, strict: bool) -> Any:
    if isinstance(schema, list):
        return [_tightened(each, strict) for each in schema]
    if isinstance(schema, tuple):
        return tuple(_tightened(each, strict) for each in schema)
    if not isinstance(schema, dict):
        return schema
    inside = {name: _tightened(each, strict) for name, each in schema.items() if name != "serialization"}
    if inside.get("type") == "generator":
        inside["type"] = "list"
    if inside.get("type") == "typed-dict":
        inside["extra_behavior"] = "forbid" if strict else "ignore"
    if inside.get("type") == "model-fields" and strict:
        inside["extra_behavior"] = "forbid"
    if inside.get("type") == "model":  # an answer's block given back: a class that is built is not read anew
        return {**inside["schema"], **({"ref": inside["ref"]} if "ref" in inside else {})}
    return inside
