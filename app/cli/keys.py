"""tooloo keys: who may call the API."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import click
from rich.table import Table

from app.cli import key_limits, names
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
    """Create, list, change and revoke API keys. Needs an admin key where there is one (TOOLOO_ADMIN_KEY).

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
@key_limits.options
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
    parameters: str | None,
    expires: str | None,
    as_json: bool,
    **limits: Any,
) -> None:
    """Make a key. It is shown once, and kept nowhere.

    \b
    Example:  tooloo keys create "mobile app" --scope chat --segment free --rate 60
              tooloo keys create intern --day-usd 2 --zone Europe/Zurich --model openai
              export TOOLOO_ADMIN_KEY=$(tooloo keys create ops --scope admin --expires 30d)
    """
    wanted = {
        "name": name,
        "scopes": list(scopes),
        "segment": segment,
        "parameters": parameters,
        "expiresAt": None if expires is None else _moment_ms(expires, datetime.now(UTC)),
        **key_limits.wanted(limits),
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
    table = Table("id", "name", "scopes", "segment", "limits", "parameters", "expires", "state", box=None)
    for key in found:
        table.add_row(*_row(key))
    Console().show(table)


@keys.command("set")
@click.argument("key_id", metavar="ID", shell_complete=names.key_ids)
@key_limits.options
@click.option("--segment", default=None, shell_complete=names.segments, help="Weights of this segment apply.")
@click.option("--expires", metavar="TIME", default=None, help="Refused from then on, as for `create`.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def set_(key_id: str, segment: str | None, expires: str | None, as_json: bool, **limits: Any) -> None:
    """Change what a key may use, from now on; its secret stays. `none` instead of a value ends a limit.

    \b
    Example:  tooloo keys set 3f9a0c5b71de --day-usd 5 --rate none
    """
    held = {key["id"]: key for key in call("GET", PATH)["keys"]}
    body = key_limits.wanted(limits, held.get(key_id))
    if segment is not None:
        body["segment"] = None if segment == key_limits.NONE else segment
    if expires is not None:
        body["expiresAt"] = None if expires == key_limits.NONE else _moment_ms(expires, datetime.now(UTC))
    changed = call("PATCH", f"{PATH}/{quote(key_id, safe='')}", body)
    if as_json:
        print_json(changed)
        return
    say(f"key {changed['id']} ({changed['name']}): {key_limits.shown(changed) or 'no limits'}")


@keys.command()
@click.argument("key_id", metavar="ID", shell_complete=names.key_ids)
@click.option("--last", is_flag=True, help="Also the last key of an admin: then nobody can change anything.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def revoke(key_id: str, last: bool, as_json: bool) -> None:
    """Refuse a key from now on, for good.

    \b
    Example:  tooloo keys revoke 3f9a0c5b71de
    """
    revoked = call("DELETE", f"{PATH}/{quote(key_id, safe='')}", {"last": True} if last else {})
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
    told = (
        key["segment"] or "",
        key_limits.shown(key),
        key.get("parameters") or "",
        "" if ends is None else _day(ends),
        state,
    )
    return [key["id"], key["name"], ", ".join(key["scopes"]), *told]


def _day(epoch_ms: float) -> str:
    return f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%Y-%m-%d %H:%M}Z"
