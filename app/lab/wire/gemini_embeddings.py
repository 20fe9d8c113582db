"""Gemini's embedContent and batchEmbedContents, checked and answered as the provider does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from app.lab.faults import Mistake, Refused
from app.lab.vectors import dimensions_of
from app.lab.wire.base import EmbeddingCall, Place, to_json, validated

#: requests of one batch
MOST = 100

_TaskType = Literal[
    "TASK_TYPE_UNSPECIFIED",
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
]


class _Camel(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class _Part(_Camel):
    text: str


class _Content(_Camel):
    role: str | None = None
    parts: Annotated[list[_Part], Field(min_length=1)]


class _Request(_Camel):
    model: str = ""
    content: _Content
    task_type: _TaskType | None = None
    title: str | None = None
    output_dimensionality: Annotated[int, Field(ge=1)] | None = None


class _Batch(_Camel):
    requests: Annotated[list[_Request], Field(min_length=1)]


def read(place: Place, raw: bytes) -> EmbeddingCall:
    """`stream` of the place: one text by itself."""
    requests = [validated(_Request, raw)] if place.stream else validated(_Batch, raw).requests
    if len(requests) > MOST:
        why = f"* BatchEmbedContentsRequest.requests: at most {MOST} requests can be in one batch"
        raise Refused(Mistake.INVALID_VALUE, why, field="requests")
    for number, request in enumerate(requests):
        if request.model.removeprefix("models/") != place.model and not place.stream:
            why = "requests[].model must be the model of the batch"
            raise Refused(Mistake.INVALID_VALUE, why, field=f"requests.{number}.model")
    first = requests[0]
    if (first.output_dimensionality or 0) > dimensions_of(place.model):
        raise Refused(Mistake.INVALID_VALUE, "it has fewer dimensions", field="output_dimensionality")
    texts = tuple("\n".join(part.text for part in request.content.parts) for request in requests)
    said: dict[str, Any] = first.model_dump(exclude={"content", "model"}, exclude_none=True, by_alias=True)
    return EmbeddingCall(place.model, texts, texts, 0, said, first.output_dimensionality, single=place.stream)


def answer(call: EmbeddingCall, vectors: Sequence[Sequence[float]], tokens: int) -> bytes:
    values = [{"values": list(vector)} for vector in vectors]
    usage = {"usageMetadata": {"promptTokenCount": tokens}}
    if call.single:
        return to_json({"embedding": values[0] if values else {}, **usage})
    return to_json({"embeddings": values, **usage})
