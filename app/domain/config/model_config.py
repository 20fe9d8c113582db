"""Model parameters of the runtime config, level by level: default < task type < provider < model.

At each level a value is sent, null is not sent whatever the levels below say, and what is absent is as they say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import Field, SerializationInfo, model_serializer

from app.domain.config.document import Document

MaxTokens = Annotated[int, Field(ge=1, le=1_000_000)]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
TopP = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]

#: in an update: this level says nothing of the value any more
INHERIT = "inherit"


class _Parameters(Document):
    """The null of a value is one of its values: it is written, where all other nulls are left out."""

    @model_serializer(mode="plain")
    def _written(self, info: SerializationInfo) -> dict[str, Any]:
        return {
            (field.alias or name) if info.by_alias else name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if name in self.said
        }

    @property
    def said(self) -> Iterable[str]:
        return self.model_fields_set


class ModelConfig(_Parameters):
    """The lowest level: what is absent has its default."""

    max_tokens: MaxTokens | None = 2048
    temperature: Temperature | None = 0.7
    top_p: TopP | None = 0.9
    frequency_penalty: Penalty | None = 0
    presence_penalty: Penalty | None = 0

    @property
    def said(self) -> Iterable[str]:
        return type(self).model_fields


class ModelOverride(_Parameters):
    """A level over it, which may say some only."""

    max_tokens: MaxTokens | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None

    def values(self) -> dict[str, Any]:
        """Those it says, null among them; snake_case keys."""
        return {name: getattr(self, name) for name in self.said}


def sent(levels: Iterable[_Parameters | None]) -> dict[str, float | int]:
    """What is sent, the last word counting; snake_case keys.

    A penalty of 0 is left out: it is every provider's default, and some models refuse to be told.
    """
    merged: dict[str, float | int | None] = {}
    for level in levels:
        if level is not None:
            merged |= {name: getattr(level, name) for name in level.said}
    return {
        name: value for name, value in merged.items() if value is not None and (value or not name.endswith("_penalty"))
    }


def is_parameter(path: Sequence[str]) -> bool:
    """Is this place of the document a model parameter, whose null is a value?"""
    match tuple(path):
        case ("global", "defaultModelConfig", _) | ("global", "taskModelConfig", _, _):
            return True
        case ("providers", _, "modelConfig", _) | ("providers", _, "models", _, "modelConfig", _):
            return True
    return False
