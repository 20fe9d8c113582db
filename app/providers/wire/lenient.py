"""How provider JSON is read: by shape, and without trust in any single field."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

from app.errors import UnusableAnswer
from app.providers.wire import problem

T = TypeVar("T")


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
        return kind.validate_json(data)
    except ValidationError:
        raise UnusableAnswer("the answer is not the JSON it should be") from None


def error_inside(data: bytes) -> UnusableAnswer:
    """An error that came with HTTP 200."""
    found = problem.read(data)
    return UnusableAnswer(f"error inside an answer: {found.message}", provider_code=found.code)
