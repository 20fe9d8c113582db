"""tooloo config: looking back, going back, and whole documents."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from app.cli import names
from app.cli.client import call, fetch
from app.cli.config import PATH, config
from app.cli.main import print_json
from app.cli.terminal import give, say

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _signed(command: Callable[..., None]) -> Callable[..., None]:
    """Options of every command that writes a revision."""
    for option in (
        _JSON,
        click.option("--by", "author", default=None, help="Author of the revision (default: your login name)."),
        click.option("--reason", default=None, help="Kept with the revision."),
    ):
        command = option(command)
    return command


@config.command()
@click.option("--last", default=20, show_default=True, type=click.IntRange(1, 100), help="So many revisions.")
@_JSON
def history(last: int, as_json: bool) -> None:
    """List revisions, newest first: who changed what, and why.

    \b
    Example:  tooloo config history --last 5
    """
    revisions = call("GET", f"{PATH}/history?limit={last}")["revisions"]
    if as_json:
        print_json(revisions)
        return
    for revision in revisions:
        say(f"{revision['version']}  {revision['author']}: {revision['reason']}")
        _print_changes(revision["changes"])


@config.command()
@click.argument("start", metavar="FROM", type=int, shell_complete=names.versions)
@click.argument("end", metavar="[TO]", type=int, required=False, shell_complete=names.versions)
@_JSON
def diff(start: int, end: int | None, as_json: bool) -> None:
    """Show what differs between two versions; without TO, between FROM and now.

    \b
    Example:  tooloo config diff 3 7
    """
    found = call("GET", f"{PATH}/diff?from={start}" + ("" if end is None else f"&to={end}"))
    print_json(found) if as_json else _print_changes(found["changes"])


@config.command()
@click.argument("version", type=int, shell_complete=names.versions)
@_signed
def rollback(version: int, reason: str | None, author: str | None, as_json: bool) -> None:
    """Bring the settings of an earlier version back, as a new one.

    \b
    Example:  tooloo config rollback 3 --reason "latency got worse"
    """
    _write("rollback", {"version": version}, reason, author, as_json)


@config.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write (default: print).")
@click.option("--json", "as_json", is_flag=True, help="Accepted for symmetry: the document is JSON.")
def export(output: Path | None, as_json: bool) -> None:
    """Print the live document, for `tooloo config import`.

    \b
    Example:  tooloo config export --output before-the-launch.json
    """
    text = fetch(f"{PATH}/export")
    if output is None:
        give(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None


@config.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@_signed
def import_(file: Any, reason: str | None, author: str | None, as_json: bool) -> None:
    """Take over the settings of an export or a snapshot file; - reads standard input.

    \b
    Example:  tooloo config import before-the-launch.json
    """
    try:
        document = json.load(file)
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"{file.name} is not JSON: {error}") from None
    _write("import", {"document": document}, reason or f"imported from {file.name}"[:1000], author, as_json)


@config.command()
@click.confirmation_option("--yes", prompt="Reset every setting to its default?", help="Do not ask.")
@_signed
def reset(reason: str | None, author: str | None, as_json: bool) -> None:
    """Bring every setting back to its default, as a new version; `rollback` undoes it.

    \b
    Example:  tooloo config reset --yes
    """
    _write("reset", {}, reason, author, as_json)


def _write(what: str, wanted: dict[str, Any], reason: str | None, author: str | None, as_json: bool) -> None:
    signature = {"updatedBy": author or getpass.getuser(), **({} if reason is None else {"reason": reason})}
    document = call("POST", f"{PATH}/{what}", {**wanted, **signature})
    print_json(document) if as_json else say(f"version {document['version']}")


def _print_changes(changes: list[dict[str, Any]]) -> None:
    for change in changes:
        before, after = (json.dumps(change[side]) if side in change else "(none)" for side in ("from", "to"))
        say(f"    {change['path']}: {before} → {after}")
