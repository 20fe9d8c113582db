"""How provider JSON is read: by shape, and without trust in any single field."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

from app.errors import ProviderError, ServerError, UnusableAnswer
from app.providers.wire import problem, surrogates
from app.providers.wire.problem import NO_STATUS, Problem

T = TypeVar("T")


class _ElseAbsent:
    """A value that is not as we know it counts as absent: one odd field must not cost the whole answer."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


class EachThatFits:
    """A list without those of its elements that are none: one odd element must not cost the others.

    One by itself stands for a list of it, and a text for a block that holds it.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kind = handler(source)  # looked at again only where it does not fit as it is
        salvaged = core_schema.no_info_before_validator_function(_objects, kind)
        return core_schema.union_schema([kind, salvaged], mode="left_to_right")


def _objects(value: object) -> list[object]:
    given = value if isinstance(value, list) else [value]
    blocks = ({"type": "text", "text": each} if isinstance(each, str) else each for each in given)
    return [each for each in blocks if isinstance(each, dict)]


#: a field of provider JSON
Maybe = Annotated[T | None, _ElseAbsent()]
#: a list of objects
Many = Annotated[Annotated[list[T], EachThatFits()] | None, _ElseAbsent()]
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
        # `strict`: some servers leave line breaks in their texts as they are
        read = kind.validate_python(_unlisted(json.loads(surrogates.marked(data), strict=False)))
    except (ValueError, RecursionError):
        raise UnusableAnswer("the answer is not the JSON it should be") from None
    restored: T = surrogates.unmarked(read)
    return restored


def _unlisted(value: Any) -> Any:
    """Google's endpoint of OpenAI's format puts an error into a list."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def error_inside(data: bytes, error_class: Callable[[int, Problem], type[ProviderError]]) -> ProviderError:
    """An error that came with HTTP 200. One that names a status means what that would mean (OpenRouter, Gemini)."""
    found = problem.read(data)
    if found.status is not None:
        kind = error_class(found.status, found)
        return problem.raised(kind, found.status, found, {}, datetime.now(UTC))
    kind = error_class(NO_STATUS, found)
    if kind is not ServerError:  # by its name or its words
        return problem.raised(kind, NO_STATUS, found, {}, datetime.now(UTC))
    error = UnusableAnswer(f"error inside an answer: {found.message}", provider_code=found.code)
    error.quotes = True
    return error


def is_error(data: bytes) -> bool:
    """Does an object that holds nothing of an answer tell of an error? Not all put one under `error`."""
    found = problem.read(data)
    return found.status is not None or bool(found.message and found.names)
