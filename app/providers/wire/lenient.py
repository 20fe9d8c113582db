"""How provider JSON is read: by shape, and without trust in any single field."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

from app.errors import BadRequest, ProviderError, UnusableAnswer
from app.providers.wire import problem, surrogates
from app.providers.wire.problem import Problem

T = TypeVar("T")

#: of an error that came with success and names none: no class has this one
NO_STATUS = 200


class _ElseAbsent:
    """A value that is not as we know it counts as absent: one odd field must not cost the whole answer."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


#: a field of provider JSON
Maybe = Annotated[T | None, _ElseAbsent()]
#: a token count; a negative one is none, nor is one that no integer column holds
Count = Annotated[Annotated[int, Field(ge=0, lt=2**31)] | None, _ElseAbsent()]


class Reply(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


def reply(kind: TypeAdapter[T], data: bytes) -> T:
    """JSON → model; raises UnusableAnswer for bytes that are not a JSON object."""
    try:
        read: T = kind.validator.validate_json(data)  # without the adapter's own looks at options that are not given
    except ValidationError:
        pass
    else:
        return read
    # one reason may be half a surrogate pair: joined with its other half, or replaced, where the draft is written
    try:
        read = kind.validate_json(surrogates.marked(data))
    except ValidationError:
        raise UnusableAnswer("the answer is not the JSON it should be") from None
    restored: T = surrogates.unmarked(read)
    return restored


def error_inside(data: bytes, error_class: Callable[[int, Problem], type[ProviderError]]) -> ProviderError:
    """An error that came with HTTP 200. One that names a status means what that would mean (OpenRouter, Gemini)."""
    found = problem.read(data)
    if found.status is not None:
        kind = error_class(found.status, found)
        return problem.raised(kind, found.status, found, {}, datetime.now(UTC))
    kind = error_class(NO_STATUS, found)
    if issubclass(kind, BadRequest) or kind.needs_person:  # by its name or its words
        return problem.raised(kind, NO_STATUS, found, {}, datetime.now(UTC))
    return UnusableAnswer(f"error inside an answer: {found.message}", provider_code=found.code)
