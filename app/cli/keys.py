"""tooloo keys: who may call the API."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import click
from rich.table import Table

from app.cli import names
from app.cli.client import call
from app.cli.console import Console
from app.cli.main import print_json
from app.cli.terminal import give, say

#: from now on
_AGE = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
PATH = "/api/v1/system/keys"


@click.group()
def keys() -> None:
    """Create, list and revoke API keys. Needs an admin key where there is one (TOOLOO_ADMIN_KEY).

    \b
    Example:  tooloo keys create "mobile app" --scope chat --segment free --rate 60
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(["admin", "chat", "read", "passthrough"]), default=["chat"]
)
@click.option(
    "--segment", default=None, shell_complete=names.segments, help="Weights of this segment apply to its requests."
)
@click.option("--rate", type=click.IntRange(1), default=None, help="Requests per minute (default: no limit).")
@click.option(
    "--parameters",
    type=click.Choice(["strict", "drop", "pass"]),
    default=None,
    help="What becomes of fields nobody here has a word for (default: passed on to a named provider, else dropped).",
)
@click.option(
    "--expires", metavar="TIME", default=None, help="Refused from then on: 30d, 12h, 90m, or 2027-01-31T14:00Z."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(
    name: str,
    scopes: tuple[str, ...],
    segment: str | None,
    rate: int | None,
    parameters: str | None,
    expires: str | None,
    as_json: bool,
) -> None:
    """Make a key. It is shown once, and kept nowhere.

    \b
    Example:  tooloo keys create "mobile app" --scope chat --segment free --rate 60
              export TOOLOO_ADMIN_KEY=$(tooloo keys create ops --scope admin --expires 30d)
    """
    wanted = {
        "name": name,
        "scopes": list(scopes),
        "segment": segment,
        "ratePerMinute": rate,
        "parameters": parameters,
        "expiresAt": None if expires is None else _moment_ms(expires, datetime.now(UTC)),
    }
    made = call("POST", PATH, {field: value for field, value in wanted.items() if value is not None})
    if as_json:
        print_json(made)
        return
    say(f"key {made['id']} for {made['name']}: keep it now, it is not shown again", err=True)
    give(made["key"])


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List keys, revoked ones too.

    \b
    Example:  tooloo keys list
    """
    found = call("GET", PATH)["keys"]
    if as_json:
        print_json(found)
        return
    table = Table("id", "name", "scopes", "segment", "per minute", "parameters", "expires", "state", box=None)
    for key in found:
        table.add_row(*_row(key))
    Console().show(table)


@keys.command()
@click.argument("key_id", metavar="ID", shell_complete=names.key_ids)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def revoke(key_id: str, as_json: bool) -> None:
    """Refuse a key from now on, for good.

    \b
    Example:  tooloo keys revoke 3f9a0c5b71de
    """
    revoked = call("DELETE", f"{PATH}/{quote(key_id, safe='')}", {})
    print_json(revoked) if as_json else say(f"key {revoked['id']} ({revoked['name']}) is revoked")


def _moment_ms(text: str, now: datetime) -> int:
    if (age := _AGE.fullmatch(text)) is not None:
        return int((now + int(age[1]) * _UNITS[age[2]]).timestamp() * 1000)
    with suppress(ValueError):
        if (at := datetime.fromisoformat(text)).tzinfo is not None:
            return int(at.timestamp() * 1000)
    example = "30d, 12h, 90m, or a time with its zone: 2027-01-31T14:00Z"
    raise click.BadParameter(f"{text!r} is no time to come: {example}", param_hint="--expires")


def _row(key: dict[str, Any]) -> list[str]:
    ends = key.get("expiresAt")
    over = ends is not None and ends <= datetime.now(UTC).timestamp() * 1000
    state = "revoked" if key["revokedAt"] is not None else "expired" if over else "active"
    rate = "" if key["ratePerMinute"] is None else str(key["ratePerMinute"])
    told = (key["segment"] or "", rate, key.get("parameters") or "", "" if ends is None else _day(ends), state)
    return [key["id"], key["name"], ", ".join(key["scopes"]), *told]


def _day(epoch_ms: float) -> str:
    return f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%Y-%m-%d %H:%M}Z"
