"""OpenAI's embeddings, checked and answered as the provider does it."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.lab.faults import Mistake, Refused
from app.lab.refusals.rule import Kind
from app.lab.vectors import dimensions_of
from app.lab.wire.base import EmbeddingCall, parameters, to_json, validated

#: inputs of one request
MOST = 2048


class _Body(BaseModel):
    model_config = ConfigDict(extra="allow")

    model: Annotated[str, Field(min_length=1)]
    input: Any
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None


class _Strict(_Body):
    """OpenAI itself looks at every name."""

    model_config = ConfigDict(extra="forbid")


def read(kind: Kind, raw: bytes) -> EmbeddingCall:
    body = validated(_Strict if kind is Kind.OPENAI else _Body, raw)
    given = _inputs(body.input)
    if body.dimensions is not None and body.dimensions > dimensions_of(body.model):
        raise Refused(Mistake.INVALID_VALUE, "it has fewer dimensions", field="dimensions")
    texts = tuple(each for each in given if isinstance(each, str))
    return EmbeddingCall(
        model=body.model,
        inputs=tuple(each if isinstance(each, str) else " ".join(map(str, each)) for each in given),
        texts=texts,
        tokens=sum(len(each) for each in given if not isinstance(each, str)),
        parameters=parameters(raw, without=("input",)),
        dimensions=body.dimensions,
        base64=body.encoding_format == "base64",
    )


def _inputs(given: Any) -> list[Any]:
    listed = given if isinstance(given, list) and given and isinstance(given[0], str | list) else [given]
    if len(listed) > MOST:
        raise Refused(Mistake.INVALID_VALUE, f"array too long: {MOST} inputs at most", field="input")
    for each in listed:
        is_text = isinstance(each, str) and each
        if not is_text and not (isinstance(each, list) and each and all(type(token) is int for token in each)):
            raise Refused(Mistake.INVALID_VALUE, "'$.input' is invalid", field="input")
    return listed


def answer(call: EmbeddingCall, vectors: Sequence[Sequence[float]], tokens: int) -> bytes:
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if call.base64 else list(vector)}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return to_json({"object": "list", "data": data, "model": call.model, "usage": usage})


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
