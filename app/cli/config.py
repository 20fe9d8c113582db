"""tooloo config: the runtime config."""

from __future__ import annotations

import getpass
import json
from typing import Any

import click

from app.cli.client import call
from app.cli.main import print_json
from app.cli.terminal import give, say

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


@config.command()
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="Quote texts, as JSON does.")
def get(path: str, as_json: bool) -> None:
    """Print one value.

    \b
    Example:  tooloo config get global.explorationRate
    """
    value: Any = call("GET", PATH)
    for step in path.split("."):
        if not isinstance(value, dict) or step not in value:
            raise click.ClickException(f"there is no {path!r} in the document (stopped at {step!r})")
        value = value[step]
    give(value if isinstance(value, str) and not as_json else json.dumps(value))


@config.command("set")
@click.argument("assignments", nargs=-1, required=True, metavar="KEY=VALUE…")
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
        _put(change, key.split("."), _value(text))
    document = call("POST", PATH, {**change, "reason": reason, "updatedBy": author or getpass.getuser()})
    print_json(document) if as_json else say(f"version {document['version']}")


def _put(change: dict[str, Any], path: list[str], value: Any) -> None:
    for step in path[:-1]:
        change = change.setdefault(step, {})
    change[path[-1]] = value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
