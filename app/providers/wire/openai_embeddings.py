"""OpenAI's embeddings, and those who copy it. https://platform.openai.com/docs/api-reference/embeddings"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from app.errors import UnusableAnswer
from app.providers.base import ChatRequest, Embedding, Endpoint, Usage, Vector
from app.providers.wire import content
from app.providers.wire.content import Outgoing
from app.providers.wire.lenient import Count, Maybe, Reply, error_inside, reply
from app.providers.wire.openai import auth
from app.providers.wire.openai_errors import error_class
from app.providers.wire.vectors import Embedded


def build(endpoint: Endpoint, model: str, request: ChatRequest, asked: Embedding) -> Outgoing:
    # one by itself goes as a list of one, which every server takes
    document: dict[str, Any] = {"model": model, "input": list(asked.inputs)}
    said = {"encoding_format": asked.encoding, "dimensions": asked.dimensions, "user": asked.user}
    document |= {name: value for name, value in said.items() if value is not None}
    document |= {name: value for name, value in request.extra.items() if name not in document}
    return Outgoing(
        url=f"{endpoint.provider.base_url}/embeddings",
        headers={"content-type": "application/json", **auth(endpoint)},
        body=content.body(document),
        dropped=request.omitted,
    )


class _Item(Reply):
    index: Maybe[int] = None
    embedding: Maybe[list[float] | str] = None


class _Usage(Reply):
    prompt_tokens: Count = None
    total_tokens: Count = None


class _Body(Reply):
    data: Maybe[list[_Item]] = None
    model: Maybe[str] = None
    usage: Maybe[_Usage] = None
    error: Any = None


_BODY = TypeAdapter(_Body)


def read(data: bytes) -> Embedded:
    body = reply(_BODY, data)
    if body.error:
        raise error_inside(data, error_class)
    told = body.usage or _Usage()
    tokens = told.total_tokens if told.prompt_tokens is None else told.prompt_tokens
    usage = None if tokens is None else Usage(tokens, 0)
    return Embedded(_in_order(body.data or []), usage, body.model or "")


def _in_order(items: list[_Item]) -> tuple[Vector, ...]:
    """By their index, where all have one."""
    if all(item.index is not None for item in items):
        items = sorted(items, key=lambda item: item.index or 0)
        if [item.index for item in items] != list(range(len(items))):
            raise UnusableAnswer("the vectors are not numbered one by one")
    return tuple(item.embedding or [] for item in items)
