"""The one live document that steers routing: its schema, its rules, its merge.

Pydantic models stand in the domain here because the document is an edge wherever it appears: it is read from
Redis, from Postgres, from a file a person may have edited, and from HTTP. They are frozen; a change is a new document.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from app.domain.catalog import TaskType
from app.domain.config import model_config, partial_weights, segment_names, unknown_fields
from app.domain.config.document import Document, Share
from app.domain.config.model_config import ModelConfig, ModelOverride
from app.errors import InvalidRequest

#: weights may miss the sum of 1 by what rounding to two decimals can cost
SUM_TOLERANCE = 0.011

#: of the longest version, as a BIGINT holds it
VERSION_DIGITS = 18


class Weights(Document):
    """Importance of the three measured things; non-negative, sum 1."""

    latency: Share = 0.4
    cost: Share = 0.3
    reliability: Share = 0.3

    @model_validator(mode="after")
    def _sum_is_one(self) -> Self:
        total = self.latency + self.cost + self.reliability
        if not math.isclose(total, 1.0, abs_tol=SUM_TOLERANCE):
            raise ValueError(f"weights must sum to 1: got {total:.4g}")
        return self


class GlobalConfig(Document):
    provider_weights: Weights = Weights()
    default_model_config: ModelConfig = ModelConfig()
    #: by task type, over the default
    task_model_config: dict[TaskType, ModelOverride] = Field(
        default_factory=lambda: {
            TaskType.CREATIVE: ModelOverride(temperature=0.9),
            TaskType.CODE: ModelOverride(temperature=0.3),
            TaskType.ANALYSIS: ModelOverride(temperature=0.5),
        }
    )
    exploration_rate: Share = 0.1
    #: ms between the optimizer's checks between rounds
    update_frequency: Annotated[int, Field(ge=1_000, le=86_400_000)] = 60_000
    enabled: bool = True


class ModelSettings(Document):
    """What one model of a provider has of its own."""

    #: named by alias only: pydantic keeps `model_config` for itself
    model_parameters: Annotated[ModelOverride | None, Field(alias="modelConfig")] = None


class ProviderConfig(Document):
    enabled: bool = True
    priority: Annotated[int, Field(ge=1, le=10_000)] = 100
    #: ms
    timeout: Annotated[int, Field(ge=100, le=3_600_000)] = 30_000
    weights: Weights | None = None
    #: named by alias only: pydantic keeps `model_config` for itself
    model_parameters: Annotated[ModelOverride | None, Field(alias="modelConfig")] = None
    #: by name, over the provider's
    models: dict[str, ModelSettings] | None = None


class Segment(Document):
    weights: Weights | None = None


class Features(Document):
    smart_routing: bool = True
    metrics_collection: bool = True
    auto_optimization: bool = True
    exploration_mode: bool = False
    user_segmentation: bool = False
    continuous_learning: bool = False
    #: do the model parameters of this document go to /v1 too? Off: there is sent what the caller sent
    v1_model_defaults: Annotated[bool, Field(alias="v1ModelDefaults")] = False
    #: is a prompt marked for Claude's cache, where the caller has marked nothing?
    automatic_cache_marks: bool = False


class Pins(Document):
    """Settings that a person keeps from the optimizer: true, and it leaves them as they are."""

    weights: bool = False
    exploration_rate: bool = False


class Metadata(Document):
    """Who last set what the optimizer sets (weights, exploration rate), when, and how often that was done."""

    optimized_by: str = "system-init"
    optimization_score: Share = 0.5
    #: the true score lies between these, as far as the probes can tell
    optimization_score_low: Share = 0.0
    optimization_score_high: Share = 1.0
    #: probes behind the score; 0: the score is the neutral start value
    optimization_score_samples: Annotated[int, Field(ge=0)] = 0
    last_optimization_time: int
    iteration_count: Annotated[int, Field(ge=0)] = 0


class RuntimeConfig(Document):
    timestamp: int
    #: number of the revision, as text; "0" before the first
    version: str = "0"
    global_: Annotated[GlobalConfig, Field(alias="global")] = GlobalConfig()
    providers: dict[str, ProviderConfig]
    segments: dict[str, Segment] = Field(default_factory=dict)
    features: Features = Features()
    pins: Pins = Pins()
    metadata: Metadata

    #: what a newer release keeps in the document: carried along, shown, and never read
    _unknown: dict[str, Any] = PrivateAttr(default_factory=dict)

    @field_validator("version")
    @classmethod
    def _version_is_a_number(cls, value: str) -> str:
        if not value.isascii() or not value.isdigit() or len(value) > VERSION_DIGITS:
            raise ValueError(f"version must be a revision number: got {value[:40]!r}")
        return value

    @property
    def revision(self) -> int:
        return int(self.version)

    @property
    def learns_continuously(self) -> bool:
        """Does the optimizer look at live evidence between rounds?"""
        on = self.features
        return self.global_.enabled and on.continuous_learning and on.metrics_collection

    @property
    def effective_exploration_rate(self) -> float:
        """The exploration rate that routing uses, flags applied."""
        if not self.global_.enabled or not self.features.smart_routing:
            return 0.0
        rate = self.global_.exploration_rate
        return max(rate, 0.3) if self.features.exploration_mode else rate

    def model_parameters(self, task_type: TaskType, provider: str, model: str | None = None) -> dict[str, float | int]:
        """What is sent where a request says nothing: default < task type < provider < model. snake_case keys."""
        mine = self.providers.get(provider) or ProviderConfig()
        own = (mine.models or {}).get(model or "")
        return model_config.sent(
            (
                self.global_.default_model_config,
                self.global_.task_model_config.get(task_type),
                mine.model_parameters,
                own.model_parameters if own else None,
            )
        )

    def document(self) -> dict[str, Any]:
        """The document as JSON shows it; nulls are left out, but for model parameters that are not sent."""
        return unknown_fields.overlaid(self.model_dump(mode="json", by_alias=True, exclude_none=True), self._unknown)


#: keys of a partial update, and where in the document each of them lives
UPDATE_PATHS: Mapping[str, tuple[str, ...]] = {
    "weights": ("global", "providerWeights"),
    "explorationRate": ("global", "explorationRate"),
    "updateFrequency": ("global", "updateFrequency"),
    "enabled": ("global", "enabled"),
    "modelConfig": ("global", "defaultModelConfig"),
    "taskModelConfig": ("global", "taskModelConfig"),
    "features": ("features",),
    "providers": ("providers",),
    "segments": ("segments",),
    "pins": ("pins",),
}


def initial(now_ms: int, providers: Mapping[str, ProviderConfig]) -> RuntimeConfig:
    """The defaults, before any revision."""
    return RuntimeConfig(timestamp=now_ms, providers=dict(providers), metadata=Metadata(last_optimization_time=now_ms))


def parse(document: object) -> RuntimeConfig:
    """Stored document → RuntimeConfig, of an older release or a newer one; raises InvalidRequest for anything else.

    What an older one lacks has its default. Names that a newer one added are kept aside and written again, so that
    two releases can run side by side and the older one loses nothing of the newer.
    """
    try:
        return _validated(document)
    except ValidationError as error:
        known, unknown = unknown_fields.set_aside(document, error.errors(include_url=False))
        if not unknown:
            raise _as_invalid_request(error) from None
    try:
        config = _validated(known)
    except ValidationError as error:
        raise _as_invalid_request(error) from None
    config._unknown = unknown
    return config


def parse_known(document: object) -> RuntimeConfig:
    """As `parse`, but a name that this release does not know is refused: for documents that people hand in."""
    try:
        config = _validated(document)
    except ValidationError as error:
        raise _as_invalid_request(error) from None
    segment_names.check(config.segments)
    return config


def _validated(document: object) -> RuntimeConfig:
    return RuntimeConfig.model_validate(document, by_alias=True, by_name=False)


def merge(current: RuntimeConfig, update: Mapping[str, Any]) -> RuntimeConfig:
    """A partial update over the current document (JSON merge: null removes an override); version and metadata stay.

    The null of a model parameter is a value: not sent. "inherit" removes what a level says of it.

    Raises InvalidRequest that names the field, as the caller wrote it, and the fix.
    """
    document = current.model_dump(mode="json", by_alias=True, exclude_none=True)
    for key, value in update.items():
        path = UPDATE_PATHS.get(key)
        if path is None:
            raise InvalidRequest(f"unknown setting {key!r}; known are: {', '.join(UPDATE_PATHS)}", field=key)
        if key == "providers":
            refuse_unknown_providers(current, value)
        if key == "segments" and isinstance(value, Mapping):
            segment_names.check(name for name in value if name not in current.segments)
        if key == "weights":
            value = partial_weights.completed(current.global_.provider_weights.model_dump(), value)
        if key in {"providers", "segments"}:
            value = _complete_overrides(current, getattr(current, key), value)
        parent = document
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = _merged(parent.get(path[-1]), value, path)
    try:
        merged = _validated(document)
    except ValidationError as error:
        raise _as_invalid_request(error, renamed={path: key for key, path in UPDATE_PATHS.items()}) from None
    merged._unknown = current._unknown
    return merged


def _merged(old: Any, new: Any, path: tuple[str, ...]) -> Any:
    if not isinstance(new, dict):
        return new
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        here = (*path, key)
        is_parameter = model_config.is_parameter(here)
        if value == model_config.INHERIT if is_parameter else value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value, here)
    return result


def refuse_unknown_providers(current: RuntimeConfig, value: Any) -> None:
    if isinstance(value, Mapping):
        for name, change in value.items():
            if name not in current.providers:
                known = ", ".join(current.providers)
                raise InvalidRequest(f"unknown provider {name!r}; known are: {known}", field=f"providers.{name}")
            if change is None:
                fix = f"providers.{name} cannot be removed: set providers.{name}.enabled to false"
                raise InvalidRequest(fix, field=f"providers.{name}")


def _complete_overrides(current: RuntimeConfig, mine: Mapping[str, Any], value: Any) -> Any:
    """Weights given in part to a provider or a segment are completed from its own, or else from the global ones."""
    if not isinstance(value, Mapping):
        return value
    completed = dict(value)
    for name, change in value.items():
        if isinstance(change, Mapping) and "weights" in change:
            held = mine[name].weights if name in mine else None
            base = (held or current.global_.provider_weights).model_dump()
            completed[name] = {**change, "weights": partial_weights.completed(base, change["weights"])}
    return completed


def _as_invalid_request(error: ValidationError, renamed: Mapping[tuple[str, ...], str] | None = None) -> InvalidRequest:
    first = error.errors(include_url=False, include_context=False)[0]
    path = tuple(str(part) for part in first["loc"])
    for prefix, name in (renamed or {}).items():
        if path[: len(prefix)] == prefix:
            path = (name, *path[len(prefix) :])
            break
    field = ".".join(path)
    message = first["msg"].removeprefix("Value error, ")
    detail = "" if first["type"] == "value_error" else f": got {first.get('input')!r}"
    return InvalidRequest(f"{field}: {message}{detail}", field=field)
