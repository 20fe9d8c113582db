"""POST /v1/embeddings: its body, read into a Call, and the answer in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.api.allowed import allowance
from app.api.auth import caller
from app.api.current import asked_by, client
from app.api.names import Name
from app.api.openai import answer, extras, models
from app.api.openai.fields import MODEL_LIMIT, Text, Tokens
from app.errors import InvalidRequest, UnknownModel
from app.gateway.calls import Call, Reply
from app.gateway.embedding import targets_of
from app.providers.base import Embedding
from app.providers.wire.vectors import as_wanted
from app.services import Services

#: of a token; no vocabulary is larger
MOST_TOKEN = 2**31

Inputs = tuple[str, ...] | tuple[tuple[int, ...], ...]


class EmbeddingRequest(BaseModel):
    """What is honoured. `segment` is ours: on whose account."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: Annotated[str, Field(min_length=1, max_length=MODEL_LIMIT)]
    #: a text, texts, the tokens of a text, or of several
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Tokens | None = None
    user: Text | None = None
    segment: Name | None = None


class _Rest(EmbeddingRequest):
    """The same; the input is looked at by itself, for pydantic would tell the faults of thousands."""

    input: Any


@dataclass(frozen=True, slots=True)
class Asked:
    call: Call
    #: as the vectors are wanted
    encoding: str | None


def read(document: Mapping[str, Any], services: Services, treatment: str | None) -> Asked:
    """Raises InvalidRequest that names the field, or UnknownModel. `treatment`: as for a chat."""
    said = {name: value for name, value in document.items() if value is not None}
    wanted = _validated({name: value for name, value in said.items() if name in EmbeddingRequest.model_fields})
    provider, model = choose(services, wanted.model)
    how = extras.treatment(treatment, caller().parameters, named=True, required=False)
    unknown = {name: value for name, value in said.items() if name not in EmbeddingRequest.model_fields}
    beside = extras.treated(unknown, how)
    segment, key = asked_by(wanted.segment)
    call = Call(
        messages=(),
        segment=segment,
        key=key,
        provider=provider,
        model=model,
        embedding=Embedding(inputs(wanted.input), wanted.dimensions, wanted.encoding_format, wanted.user),
        extra=beside.passed,
        omitted=beside.omitted,
        verbatim=True,
        client=client(),
        limits=caller().limits,
        allowance=allowance(),
    )
    return Asked(call, wanted.encoding_format)


def _validated(document: Mapping[str, Any]) -> _Rest:
    try:
        return _Rest.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = str(first["loc"][0])
        raise InvalidRequest(f"{field}: {first['msg'].removeprefix('Value error, ')}", field=field) from None


def inputs(given: object, field: str = "input") -> Inputs:
    """A text or tokens as a list of one. Raises InvalidRequest."""
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, list) or not given:
        raise InvalidRequest(f"{field}: must be a text, or a list of texts, tokens or lists of tokens", field=field)
    if isinstance(given[0], str):
        return tuple(_text(each, f"{field}.{place}") for place, each in enumerate(given))
    if isinstance(given[0], list):
        return tuple(_tokens(each, f"{field}.{place}") for place, each in enumerate(given))
    return (_tokens(given, field),)


def _text(given: object, field: str) -> str:
    if not isinstance(given, str):
        raise InvalidRequest(f"{field}: must be a text, as the first is", field=field)
    return given


def _tokens(given: object, field: str) -> tuple[int, ...]:
    tokens = given if isinstance(given, list) else []
    if not tokens or not all(type(each) is int and 0 <= each < MOST_TOKEN for each in tokens):
        raise InvalidRequest(f"{field}: must be a list of tokens, which are whole numbers from 0 up", field=field)
    return tuple(tokens)


def choose(services: Services, name: str) -> tuple[str | None, str]:
    """The provider, where one is named, and the model: `PROVIDER/MODEL`, or a MODEL, which may have several providers.

    Raises InvalidRequest for what names no model, UnknownModel for one that nobody has: both say which there are.
    """
    known = _known(services)
    if name.partition(":")[0] == models.AUTO or name in {each.name for each in services.providers}:
        raise InvalidRequest(
            f"model: {name!r} names no model, and vectors of two models cannot be compared: name one of: {known}",
            field="model",
        )
    provider, slash, model = name.partition("/")
    if slash and targets_of(services, model, provider):
        return provider, model
    if targets_of(services, name):
        return None, name
    raise UnknownModel(f"there is no model {name!r} for embeddings here; there are: {known}", field="model")


def _known(services: Services) -> str:
    return ", ".join(each["id"] for each in models.embeddings(services)) or (
        "none (`embeddings` of a block in config/providers.toml)"
    )


def written(reply: Reply, encoding: str | None) -> dict[str, Any]:
    """`tooloo` is ours, as in a chat completion."""
    tokens = reply.answer.usage.prompt
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": as_wanted(vector, encoding)}
            for index, vector in enumerate(reply.answer.vectors)
        ],
        "model": str(reply.target),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "tooloo": answer.facts(reply),
    }
