"""The names that `model` may have under /v1, and what they stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.domain.catalog import Provider, Target, TaskType
from app.domain.key_limits import NO_LIMITS, KeyLimits
from app.errors import UnknownModel
from app.services import Services

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Chosen:
    """None: not chosen by the request, but by the router, or by what the request says."""

    provider: str | None = None
    model: str | None = None
    task_type: TaskType | None = None


Choice = Callable[[str], Chosen]


def choose(services: Services, name: str) -> Chosen:
    """`auto`, `auto:TASK`, `PROVIDER`, `PROVIDER/MODEL`, or a MODEL: of the provider that has it, or of all that do.

    The last is what makes an existing script run unchanged; of several, each request goes to the best. Raises
    UnknownModel, which says what there is.
    """
    kind, colon, task = name.partition(":")
    if kind == AUTO and (not colon or task in set(TaskType)):
        return Chosen(task_type=TaskType(task) if colon else None)
    names = {provider.name for provider in services.providers}
    provider, slash, model = name.partition("/")
    if name in names:
        return _callable(services, Chosen(name))
    if slash and provider in names and model in _models(services, provider):
        return _callable(services, Chosen(provider, model))
    owners = [each.name for each in services.providers if name in each.models]
    if len(owners) == 1:
        return _callable(services, Chosen(owners[0], name))
    if owners:
        left_out = services.left_out(services.config.value)
        able = [owner for owner in owners if owner not in left_out]
        return Chosen(None, name) if able else _callable(services, Chosen(owners[0], name))
    known = ", ".join(each["id"] for each in listed(services))
    other = "; it is one for embeddings: POST /v1/embeddings" if embeds(services, name) else ""
    raise UnknownModel(f"there is no model {name!r} here{other}; there are: {known}", field="model")


def embeds(services: Services, name: str) -> bool:
    """Is it the name of a model for embeddings?"""
    return any(name in (model, f"{each.name}/{model}") for each in services.providers for model, _ in each.embeddings)


def _callable(services: Services, chosen: Chosen) -> Chosen:
    provider = chosen.provider or ""
    why = services.left_out(services.config.value).get(provider)
    if why is not None:
        raise UnknownModel(f"{provider} cannot be called at the moment: {why}", field="model")
    return chosen


def deployments(services: Services, chosen: Chosen) -> list[Provider]:
    """The providers among which a request for a model is routed."""
    return [
        each
        for each in services.providers
        if each.name in services.endpoints and chosen.provider in (None, each.name) and chosen.model in each.models
    ]


def _models(services: Services, provider: str) -> tuple[str, ...]:
    return next(each.models for each in services.providers if each.name == provider)


def listed(services: Services, limits: KeyLimits = NO_LIMITS) -> list[dict[str, Any]]:
    """Everything that a chat can be asked of now, by a key with these limits."""
    left_out = services.left_out(services.config.value)
    targets = [target for target in services.targets if target.provider not in left_out and limits.allow(target)]
    providers = dict.fromkeys(target.provider for target in targets)
    automatic = [AUTO, *(f"{AUTO}:{task}" for task in TaskType if task is not TaskType.DEFAULT)]
    owned = [(name, "tooloo") for name in automatic]
    owned += [(name, name) for name in providers]
    owned += [(str(target), target.provider) for target in targets]
    counted = Counter(target.model for target in targets if target.model not in providers)
    owned += [(model, "tooloo") for model, count in counted.items() if count > 1]
    return [_model(name, owner) for name, owner in owned]


def embeddings(services: Services, limits: KeyLimits = NO_LIMITS) -> list[dict[str, Any]]:
    """… and what POST /v1/embeddings can be asked for."""
    left_out = services.left_out(services.config.value)
    providers = [provider for provider in services.providers if provider.name not in left_out]
    pairs = [(each.name, Target(each.name, name)) for each in providers for name, _ in each.embeddings]
    return [_model(str(target), owner) for owner, target in pairs if limits.allow(target)]


def completions(services: Services, limits: KeyLimits = NO_LIMITS) -> list[dict[str, Any]]:
    """… and what POST /v1/completions alone can be asked for."""
    left_out = services.left_out(services.config.value)
    providers = [provider for provider in services.providers if provider.name not in left_out]
    pairs = [(each.name, Target(each.name, name)) for each in providers for name in each.completions]
    return [_model(str(target), owner) for owner, target in pairs if limits.allow(target)]


def choose_completion(services: Services, name: str) -> Chosen:
    """As `choose`, and what takes a prompt and does not chat: by its name, never as `auto`."""
    owners = [each.name for each in services.providers if name in each.completions]
    provider, slash, model = name.partition("/")
    if slash and any(each.name == provider and model in each.completions for each in services.providers):
        return _callable(services, Chosen(provider, model))
    return _callable(services, Chosen(owners[0], name)) if len(owners) == 1 else choose(services, name)


def _model(name: str, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}
