"""Names that a shell completes: providers, models and prompts of config/, task types, paths of the live document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


def _paths() -> Iterator[str]:
    from app.cli.client import call
    from app.cli.config import PATH, known_paths

    return iter(known_paths(call("GET", PATH, timeout_s=2)))


providers, models, prompts = _completing(_providers), _completing(_models), _completing(_prompts)
paths = _completing(_paths)
tasks = _completing(lambda: (task.value for task in TaskType))


def assignments(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Paths that a value follows."""
    items: list[Any] = paths(ctx, parameter, incomplete)
    return [CompletionItem(f"{item.value}=") for item in items]
