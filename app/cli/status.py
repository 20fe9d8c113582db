"""tooloo status: what needs a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from app.cli.client import call
from app.cli.exits import NEEDS_YOU
from app.cli.main import print_json
from app.cli.terminal import say

PATH = "/api/v1/system/attention"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show what needs a person, since when, and what to do about it.

    \b
    Example:  tooloo status
    Exit codes: 0 nothing does, 4 something does.
    """
    found = call("GET", PATH)
    if as_json:
        print_json(found)
    else:
        for line in lines(found):
            say(line)
    ctx.exit(NEEDS_YOU if found else 0)


def lines(found: list[dict[str, Any]]) -> list[str]:
    if not found:
        return ["nothing needs you"]
    return [line for item in found for line in (_what(item), f"    → {item['cure']}")]


def _what(item: dict[str, Any]) -> str:
    since = "" if item["since"] is None else f", since {_time(item['since'])}"
    return f"{item['severity']}: {item['text']}{since}"


def _time(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
