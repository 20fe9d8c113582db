"""Limits of a key as options of a command, and as `tooloo keys list` shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

#: what ends a limit
NONE = "none"


class _OrNone(click.ParamType[Any]):
    """A number, or the word that ends a limit."""

    def __init__(self, kind: click.ParamType[Any]) -> None:
        self._kind = kind
        self.name = kind.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == NONE else self._kind.convert(value, param, ctx)


_OPTIONS = (
    click.option("--rate", type=_OrNone(click.IntRange(1)), help="Requests per minute (default: no limit)."),
    click.option("--tokens", type=_OrNone(click.IntRange(1)), help="Tokens per minute, prompt and answer together."),
    click.option("--in-flight", type=_OrNone(click.IntRange(1)), help="Requests at once, over all processes."),
    click.option("--day-usd", type=_OrNone(click.FloatRange(0, min_open=True)), help="Budget of a day in USD."),
    click.option("--month-usd", type=_OrNone(click.FloatRange(0, min_open=True)), help="Budget of a month in USD."),
    click.option("--zone", help="Zone whose midnights begin its days, such as Europe/Zurich (default: UTC)."),
    click.option("--soft/--hard", default=None, help="Beyond the budget: warn, or refuse (default)."),
    click.option("--model", "models", multiple=True, help="Call this alone: PROVIDER, MODEL or PROVIDER/MODEL."),
)


def options(command: F) -> F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wanted(given: dict[str, Any], before: dict[str, Any] | None = None) -> dict[str, Any]:
    """As the API takes it: only what was given. `before`: the key as it is; a budget is changed, not replaced."""
    named = {"ratePerMinute": given["rate"], "tokensPerMinute": given["tokens"], "inFlight": given["in_flight"]}
    body = {field: None if value == NONE else value for field, value in named.items() if value is not None}
    if given["models"]:
        body["models"] = None if given["models"] == (NONE,) else list(given["models"])
    return body | _budget(given, (before or {}).get("budget"))


def _budget(given: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    soft = given["soft"]
    named = {"dayUsd": given["day_usd"], "monthUsd": given["month_usd"], "zone": given["zone"]}
    named["hard"] = None if soft is None else not soft
    named = {field: value for field, value in named.items() if value is not None}
    if not named:
        return {}
    made = {**(before or {}), **{field: None if value == NONE else value for field, value in named.items()}}
    if made.get("dayUsd") is None and made.get("monthUsd") is None:
        if before is None and NONE not in named.values():
            raise click.UsageError("--zone, --soft and --hard are of a budget: name --day-usd or --month-usd too")
        return {"budget": None}
    return {"budget": {field: value for field, value in made.items() if value is not None}}


def shown(key: dict[str, Any]) -> str:
    """What is bounded, and what is used of it."""
    used = key.get("used") or {}
    parts = []
    if key["ratePerMinute"] is not None:
        parts.append(f"{key['ratePerMinute']} requests/min")
    if key.get("tokensPerMinute") is not None:
        parts.append(f"{key['tokensPerMinute']} tokens/min")
    if key.get("inFlight") is not None:
        parts.append(f"{used.get('inFlight', 0)} of {key['inFlight']} at once")
    parts += _money(key.get("budget"), used)
    if key.get("models"):
        parts.append(f"only {', '.join(key['models'])}")
    return "; ".join(parts)


def _money(budget: dict[str, Any] | None, used: dict[str, Any]) -> list[str]:
    if budget is None:
        return []
    soft = "" if budget["hard"] else ", warns only"
    spent = [(budget["dayUsd"], used.get("dayUsd"), "day"), (budget["monthUsd"], used.get("monthUsd"), "month")]
    return [
        f"{'?' if gone is None else format(gone, '.4g')} of {most:g} USD a {name} ({budget['zone']}{soft})"
        for most, gone, name in spent
        if most is not None
    ]
