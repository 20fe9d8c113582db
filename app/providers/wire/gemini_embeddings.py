"""Gemini batchEmbedContents. https://ai.google.dev/api/embeddings"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from app.errors import Unsupported
from app.providers.base import ChatRequest, Embedding, Endpoint, Usage
from app.providers.wire import content
from app.providers.wire.content import Outgoing
from app.providers.wire.gemini import auth, error_class
from app.providers.wire.lenient import Count, Maybe, Reply, error_inside, reply
from app.providers.wire.vectors import Embedded

#: fields that this format alone has, as a caller may spell them → as it spells them
OWN = {"taskType": "taskType", "task_type": "taskType", "title": "title"}


def build(endpoint: Endpoint, model: str, request: ChatRequest, asked: Embedding) -> Outgoing:
    if asked.tokens:
        raise Unsupported("this model takes texts, not tokens: they are OpenAI's, and mean nothing here")
    name = model.removeprefix("models/")
    same: dict[str, Any] = {OWN[field]: value for field, value in request.extra.items() if field in OWN}
    if asked.dimensions is not None:
        same["outputDimensionality"] = asked.dimensions
    document = {
        "requests": [
            {"model": f"models/{name}", "content": {"parts": [{"text": text}]}, **same} for text in asked.texts
        ]
    }
    unknown = (field for field in request.extra if field not in OWN)
    return Outgoing(
        url=f"{endpoint.provider.base_url}/v1beta/models/{quote(name, safe='')}:batchEmbedContents",
        headers={"content-type": "application/json", **auth(endpoint)},
        body=content.body(document),
        dropped=(*request.omitted, *unknown, *(("user",) if asked.user is not None else ())),
    )


class _Reply(Reply):
    model_config = ConfigDict(alias_generator=to_camel)


class _Values(_Reply):
    values: Maybe[list[float]] = None


class _Usage(_Reply):
    prompt_token_count: Count = None


class _Body(_Reply):
    embeddings: Maybe[list[_Values]] = None
    usage_metadata: Maybe[_Usage] = None
    error: Any = None


_BODY = TypeAdapter(_Body)


def read(data: bytes) -> Embedded:
    body = reply(_BODY, data)
    if body.error:
        raise error_inside(data, error_class)
    tokens = body.usage_metadata.prompt_token_count if body.usage_metadata else None
    usage = None if tokens is None else Usage(tokens, 0)
    return Embedded(tuple(each.values or [] for each in body.embeddings or ()), usage, "")
