"""tooloo config: the runtime config."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from app.cli import names
from app.cli.client import call
from app.cli.main import print_json
from app.cli.terminal import give, say
from app.cli.values import value
from app.domain.config.runtime_config import UPDATE_PATHS

PATH = "/api/v1/system/runtime-config"


@click.group()
def config() -> None:
    """Read and change the runtime config.

    \b
    Example:  tooloo config show
              tooloo config set explorationRate=0.05 --reason "quiet week"
    """


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Accepted for symmetry: the document is JSON.")
def show(as_json: bool) -> None:
    """Print the live document.

    \b
    Example:  tooloo config show
    """
    print_json(call("GET", PATH))


#: names of settings, as `set` and the API take them, and where in the document they live
SHORT = {name: ".".join(path) for name, path in UPDATE_PATHS.items()}


@config.command()
@click.argument("path", shell_complete=names.paths)
@click.option("--json", "as_json", is_flag=True, help="Quote texts, as JSON does.")
def get(path: str, as_json: bool) -> None:
    """Print one value, by the name that `set` takes or by its place in the document.

    \b
    Example:  tooloo config get weights.latency
              tooloo config get global.explorationRate
    """
    document: Any = call("GET", PATH)
    first, dot, rest = path.partition(".")
    value = document
    for step in f"{SHORT.get(first, first)}{dot}{rest}".split("."):
        if not isinstance(value, dict) or step not in value:
            raise click.UsageError(f"there is no {path!r}; there are: {_near(document, path)}")
        value = value[step]
    give(value if isinstance(value, str) and not as_json else json.dumps(value))


@config.command("set")
@click.argument("assignments", nargs=-1, required=True, metavar="KEY=VALUE…", shell_complete=names.assignments)
@click.option("--reason", default="changed with tooloo config set", help="Kept with the revision.")
@click.option("--by", "author", default=None, help="Author of the revision (default: your login name).")
@click.option("--json", "as_json", is_flag=True, help="Print the new document.")
def set_(assignments: tuple[str, ...], reason: str, author: str | None, as_json: bool) -> None:
    """Change settings; dots reach into objects, values are JSON or plain text.

    \b
    Example:  tooloo config set weights.latency=0.6 weights.cost=0.2 weights.reliability=0.2
              tooloo config set features.explorationMode=true providers.openai.enabled=false
    """
    change: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise click.UsageError(f"write KEY=VALUE: got {assignment!r}")
        _put(change, _settable(key), value(text))
    document = call("POST", PATH, {**change, "reason": reason, "updatedBy": author or getpass.getuser()})
    print_json(document) if as_json else say(f"version {document['version']}")


def known_paths(document: Mapping[str, Any]) -> list[str]:
    """Every value of the document, by the shortest name it has."""
    short = sorted(SHORT.items(), key=lambda each: -len(each[1]))
    found = []
    for path in _leaves(document):
        name = next((f"{key}{path[len(at) :]}" for key, at in short if f"{path}.".startswith(f"{at}.")), path)
        found.append(name)
    return found


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for step, inner in value.items():
            yield from _leaves(inner, f"{path}.{step}" if path else str(step))
    else:
        yield path


def _near(document: Mapping[str, Any], path: str) -> str:
    """What there is under the longest part of it that exists; else everything."""
    known = known_paths(document)
    steps = path.split(".")
    for end in range(len(steps) - 1, 0, -1):
        if inside := [each for each in known if each.startswith(".".join(steps[:end]) + ".")]:
            return ", ".join(inside)
    return ", ".join(known)


def _settable(path: str) -> list[str]:
    """As the API takes it: `global.providerWeights.latency` is `weights.latency` there."""
    for name, place in sorted(SHORT.items(), key=lambda each: -len(each[1])):
        if name != place and f"{path}.".startswith(f"{place}."):
            return f"{name}{path[len(place) :]}".split(".")
    return path.split(".")


def _put(change: dict[str, Any], path: list[str], value: Any) -> None:
    for step in path[:-1]:
        change = change.setdefault(step, {})
    change[path[-1]] = value
