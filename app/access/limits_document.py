"""Limits of a key as people write them: in a body of the API, or in TOOLOO_API_KEY_LIMITS."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from app.domain.key_limits import Budget, KeyLimits, zone_of
from app.errors import ConfigError

VARIABLE = "TOOLOO_API_KEY_LIMITS"
#: the largest that anybody means
_MOST_USD, _MOST_PER_MINUTE, _MOST_TOKENS, _MOST_IN_FLIGHT, _MOST_MODELS = 1e9, 1_000_000, 1_000_000_000, 100_000, 50

Usd = Annotated[float, Field(gt=0, le=_MOST_USD, allow_inf_nan=False)]
Model = Annotated[str, Field(min_length=1, max_length=200)]


def _zone(name: str) -> str:
    zone_of(name)
    return name


class BudgetDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    day_usd: Usd | None = None
    month_usd: Usd | None = None
    #: of the IANA database: its midnights begin days and months
    zone: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_zone)] = "UTC"
    #: refuse what is beyond it; false: warn
    hard: bool = True

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if self.day_usd is None and self.month_usd is None:
            raise ValueError("send dayUsd, monthUsd or both; null instead of a budget means none")
        return self

    def budget(self) -> Budget:
        return Budget(self.day_usd, self.month_usd, self.zone, self.hard)


class LimitsDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    rate_per_minute: Annotated[int, Field(ge=1, le=_MOST_PER_MINUTE, strict=True)] | None = None
    #: prompt and answer together
    tokens_per_minute: Annotated[int, Field(ge=1, le=_MOST_TOKENS, strict=True)] | None = None
    #: requests at once
    in_flight: Annotated[int, Field(ge=1, le=_MOST_IN_FLIGHT, strict=True)] | None = None
    budget: BudgetDocument | None = None
    #: providers, models and PROVIDER/MODEL that alone may be called
    models: Annotated[list[Model], Field(max_length=_MOST_MODELS)] | None = None

    def limits(self) -> KeyLimits:
        return KeyLimits(
            requests_per_minute=self.rate_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            in_flight=self.in_flight,
            budget=None if self.budget is None else self.budget.budget(),
            models=tuple(self.models or ()),
        )


def of_environment(text: str | None) -> KeyLimits:
    """Of the key of the environment; raises ConfigError that names the field."""
    if not text:
        return KeyLimits()
    try:
        return LimitsDocument.model_validate_json(text, by_alias=True, by_name=False).limits()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f"{VARIABLE}: {field}{': ' if field else ''}{message}; write JSON such as"
            ' {"ratePerMinute": 600, "budget": {"dayUsd": 5, "zone": "Europe/Zurich"}}',
            field=VARIABLE,
        ) from None
