"""Names that a shell completes: those of config/, and what the API tells of rounds, requests, keys and versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import chain
from typing import Any

import click
from click.shell_completion import CompletionItem

from app import config_files, settings
from app.domain.catalog import TaskType
from app.errors import TooLooError

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completing(names: Callable[[], Iterator[str]]) -> Complete:
    """What cannot be read completes nothing: a shell has no place for an error."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            return [CompletionItem(name) for name in names() if name.startswith(incomplete)]
        except (TooLooError, click.ClickException):
            return []

    return complete


def _providers() -> Iterator[str]:
    return (provider.name for provider in config_files.load_providers(settings.load().config_dir))


def _models() -> Iterator[str]:
    for provider in config_files.load_providers(settings.load().config_dir):
        yield from (str(target) for target in provider.targets)


def _prompts() -> Iterator[str]:
    return (prompt.id for prompt in config_files.load_prompts(settings.load().config_dir))


def _told(path: str) -> Any:
    """By the API, if it is quick about it."""
    from app.cli.client import call

    return call("GET", f"/api/v1{path}", timeout_s=2)


def _paths() -> Iterator[str]:
    from app.cli.config import known_paths

    return iter(known_paths(_told("/system/runtime-config")))


def _tried() -> Iterator[str]:
    return chain(_providers(), _models())


def _plain_models() -> Iterator[str]:
    return (model.partition("/")[2] for model in _models())


def _asked() -> Iterator[str]:
    return chain(["auto", *(f"auto:{task.value}" for task in TaskType if task is not TaskType.DEFAULT)], _tried())


def _rounds() -> Iterator[str]:
    """The one that runs, if any, and the latest."""
    ended = _told("/system/benchmark-results?limit=20&fields=summary")["history"]
    running = _told("/system/benchmarks/estimate")["running"]
    return chain([running] if running else [], (each["id"] for each in ended))


def _requests() -> Iterator[str]:
    return (each["requestId"] for each in _told("/requests?limit=50&fields=summary")["requests"])


def _valid_keys() -> Iterator[dict[str, Any]]:
    return (key for key in _told("/system/keys")["keys"] if key["revokedAt"] is None)


def _versions() -> Iterator[str]:
    return (str(each["version"]) for each in _told("/system/runtime-config/history?limit=50")["revisions"])


def _policies() -> Iterator[str]:
    from app.domain.replay.replay import POLICIES

    return chain(POLICIES, (f"fixed:{name}" for name in _providers()))


def _figures() -> Iterator[str]:
    from app.lab.profiles import Profile

    return (f"{figure.name}=" for figure in fields(Profile))


def _segments() -> Iterator[str]:
    return iter(_told("/system/runtime-config")["segments"])


providers, models, prompts = _completing(_providers), _completing(_models), _completing(_prompts)
plain_models, tried, asked = _completing(_plain_models), _completing(_tried), _completing(_asked)
paths = _completing(_paths)
tasks = _completing(lambda: (task.value for task in TaskType))
rounds, requests = _completing(_rounds), _completing(_requests)
key_ids = _completing(lambda: (key["id"] for key in _valid_keys()))
key_names = _completing(lambda: (key["name"] for key in _valid_keys()))
figures, policies = _completing(_figures), _completing(_policies)
versions, segments = _completing(_versions), _completing(_segments)


def assignments(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Paths that a value follows."""
    items: list[Any] = paths(ctx, parameter, incomplete)
    return [CompletionItem(f"{item.value}=") for item in items]
