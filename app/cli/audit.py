"""tooloo audit: who changed what."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from rich.table import Table

from app.cli.client import call
from app.cli.console import Console
from app.cli.main import print_json


@click.command()
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="Entries, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def audit(limit: int, as_json: bool) -> None:
    """Who changed the config or a key, or started a round; when, from where, by which key. Needs an admin key.

    \b
    Example:  tooloo audit --limit 20
    """
    found = call("GET", f"/api/v1/system/audit?limit={limit}")["entries"]
    if as_json:
        print_json(found)
        return
    table = Table("when", "what", "of", "who", "key", "from", "request", box=None)
    for each in found:
        when = datetime.fromtimestamp(each["timestamp"] / 1000, UTC)
        told = (each["action"], each["subject"], each["actor"], each["key"], each["address"], each["requestId"])
        table.add_row(f"{when:%Y-%m-%d %H:%M:%S}Z", *told)
    Console().show(table)
