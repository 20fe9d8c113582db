"""Profiles: what a simulated provider is like. Named sets stand in profiles.toml; one can be changed while it runs."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from app.errors import InvalidRequest
from app.lab.faults import Fault
from app.lab.prompt_cache import Cached
from app.lab.refusals import table

Milliseconds = Annotated[float, Field(ge=0, le=3_600_000, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
UsdPerMillion = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Units and meanings stand at the top of profiles.toml."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    latency: Milliseconds
    sigma: Annotated[float, Field(ge=0, le=3, allow_inf_nan=False)]
    tokens_per_s: Annotated[float, Field(ge=1, le=1_000_000_000, allow_inf_nan=False)]
    error_rate: Share
    error_kind: Fault
    fail_latency: Milliseconds
    input_price: UsdPerMillion
    output_price: UsdPerMillion
    quality: Share
    prompt_quality: Mapping[str, Share] = field(default_factory=dict)
    reasoning_tokens: Annotated[int, Field(ge=0, le=100_000)] = 0
    tool_rate: Share = 0.0
    prompt_token_ms: Milliseconds = 0.0
    rpm: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    tpm: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    #: by the id of a rule, or "*": is it on?
    refusals: Mapping[str, bool] = field(default_factory=dict)

    def quality_of(self, prompt_id: str | None) -> float:
        return self.prompt_quality.get(prompt_id or "", self.quality)

    def cost_usd(self, prompt_tokens: int, completion_tokens: int, cached: Cached) -> float:
        return (cached.billed(prompt_tokens) * self.input_price + completion_tokens * self.output_price) / 1e6


_PROFILE = TypeAdapter(Profile)
#: what the keys of a figure that is a table name
_KEYED_BY = {"prompt_quality": "prompt", "refusals": "rule"}
FIGURES = tuple(figure.name for figure in fields(Profile))


def names() -> tuple[str, ...]:
    return tuple(_file())


def named(name: str, providers: Collection[str]) -> dict[str, Profile]:
    """The set `name` for these providers; raises InvalidRequest where there is none of that name."""
    if name not in _file():
        raise InvalidRequest(f"there is no profile {name!r}; there are: {', '.join(names())}", field="profile")
    blocks = _file()[name]
    return {provider: _checked({**blocks["*"], **blocks.get(provider, {})}) for provider in providers}


def changed(profile: Profile, changes: Mapping[str, Any], prompt_ids: Collection[str] = ()) -> Profile:
    """`profile` with other figures. `prompt_quality` and `refusals` are merged; None there takes an override away.

    Raises InvalidRequest naming the field and what it may be.
    """
    for name in changes:
        if name not in FIGURES:
            raise InvalidRequest(f"{name}: a profile has no such figure; it has: {', '.join(FIGURES)}", field=name)
    values = {**asdict(profile), **changes}
    for name, known in (("prompt_quality", prompt_ids), ("refusals", (table.ALL, *table.RULES))):
        if name in changes:
            values[name] = _merged(name, getattr(profile, name), changes[name], known)
    return _checked(values)


def _merged(figure: str, present: Mapping[str, Any], changes: Any, known: Collection[str]) -> Any:
    if not isinstance(changes, Mapping):
        return changes
    for name in changes:
        if name not in known:
            what = _KEYED_BY[figure]
            raise InvalidRequest(
                f"{figure}.{name}: there is no such {what}; there are: {', '.join(known) or 'none'}",
                field=f"{figure}.{name}",
            )
    return {key: value for key, value in {**present, **changes}.items() if value is not None}


def _checked(values: Mapping[str, Any]) -> Profile:
    try:
        # through JSON, because only there strict means "no text for numbers" and still takes an enum by its value
        return _PROFILE.validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{name}: {first['msg']}: got {first.get('input')!r}", field=name) from None


@cache
def _file() -> dict[str, dict[str, dict[str, Any]]]:
    return tomllib.loads(Path(__file__).with_name("profiles.toml").read_text(encoding="utf-8"))
