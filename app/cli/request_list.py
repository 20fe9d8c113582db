"""tooloo requests: past requests by their columns. tooloo usage: what was used and spent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import click
from rich.table import Table

from app.cli import names
from app.cli.client import call
from app.cli.console import Console
from app.cli.main import print_json
from app.cli.terminal import say

#: option → parameter of the API
_TEXTS = {
    "since": ("from", "From then on: 2h, 7d, a time with its zone, or epoch ms."),
    "until": ("to", "Before that; the same."),
    "provider": ("provider", "Who served it."),
    "model": ("model", "Model that served it."),
    "status": ("status", "ok, client_gone, an error's code, or failed for all of those."),
    "tried": ("tried", "PROVIDER or PROVIDER/MODEL that was called."),
    "error": ("error", "Code that an attempt failed with."),
    "key": ("key", "Name of the API key."),
    "segment": ("segment", "Segment."),
    "task": ("taskType", "Task type."),
    "asked": ("asked", "Model asked for."),
    "config": ("configVersion", "Version of the config that routed it."),
    "before": ("before", "Go on behind a page: as its last line says."),
}
_NAMES = {
    "provider": names.providers,
    "model": names.plain_models,
    "tried": names.tried,
    "key": names.key_names,
    "segment": names.segments,
    "task": names.tasks,
    "asked": names.asked,
    "config": names.versions,
}
_FLAGS = {"explored": "explored", "fell-over": "fellOver", "stream": "stream", "simulated": "simulated"}


def _filters(command: Any) -> Any:
    for name in reversed(_FLAGS):
        command = click.option(f"--{name}/--no-{name}", default=None, help="Only those; or all but those.")(command)
    for name, (_, text) in reversed(_TEXTS.items()):
        command = click.option(f"--{name}", shell_complete=_NAMES.get(name), help=text)(command)
    return command


@click.command()
@_filters
@click.option("--min-ms", type=click.FloatRange(0), help="Only those that took as long.")
@click.option("--last", "-n", type=click.IntRange(1, 200), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def requests(min_ms: float | None, last: int, as_json: bool, **given: Any) -> None:
    """Show past requests, newest first.

    \b
    Example:  tooloo requests --since 24h --status failed
              tooloo requests --fell-over --tried openai
              tooloo requests --min-ms 5000 --key ci
    """
    asked: dict[str, Any] = {"fields": "summary", "limit": last, "minMs": min_ms}
    asked |= {parameter: given[name] for name, (parameter, _) in _TEXTS.items()}
    asked |= {parameter: _spelled(given[name.replace("-", "_")]) for name, parameter in _FLAGS.items()}
    asked |= {name: _moment(asked[name]) for name in ("from", "to")}
    data = call("GET", f"/api/v1/requests?{urlencode({k: v for k, v in asked.items() if v is not None})}")
    if as_json:
        print_json(data)
        return
    _print_requests(data)


def _spelled(flag: bool | None) -> str | None:
    return None if flag is None else str(flag).lower()


def _moment(text: str | None) -> str | None:
    """An age, as elsewhere on the command line, is so long before now."""
    return f"now-{text}" if text and text[0].isdigit() and text[-1:] in "mhdw" else text


def _print_requests(data: dict[str, Any]) -> None:
    shown = data["requests"]
    for each in shown:
        for line in _lines(each):
            say(line)
    span = f"from {_time(data['from'])}Z to {_time(data['to'])}Z"
    if not shown:
        say(f"no requests {span}")
        say(f"the log is kept {data['keptDays']} days")
    elif data["total"] is not None:
        say(f"{len(shown)} of {data['total']} {span}")
    if data["next"] is not None:
        say(f"more: --before {data['next']}")


def _lines(each: dict[str, Any]) -> tuple[str, str]:
    """When, what its id is and how it ended; below, who served it and what that took."""
    served = f"{each['provider']}/{each['model']}" if each["provider"] else "nobody"
    cost = "cost unknown" if each["cost"] is None else f"${each['cost']:.6f}"
    marks = [name for name, is_so in (("explored", each["explored"]), ("fell over", each["fellOver"])) if is_so]
    marks += ["SIMULATED"] if each["simulated"] else []
    facts = [served, f"{each['latency']:.0f} ms", cost, *marks]
    return f"{_time(each['timestamp'])}Z  {each['requestId']}  {each['status']}", f"  {' · '.join(facts)}"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


@click.command()
@click.option("--since", default="30d", show_default=True, help="From that day on: 7d, a time with its zone, epoch ms.")
@click.option("--until", help="Before that; the same.")
@click.option("--by", default="day,provider", show_default=True, help="Of day, key, segment, provider, model.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def usage(since: str, until: str | None, by: str, as_json: bool) -> None:
    """Show what was used and spent, by live traffic and rounds in one sum. Days are those of UTC.

    \b
    Example:  tooloo usage
              tooloo usage --since 7d --by key
    """
    asked = {"from": _moment(since), "to": _moment(until), "by": by}
    data = call("GET", f"/api/v1/system/spend?{urlencode({k: v for k, v in asked.items() if v is not None})}")
    if as_json:
        print_json(data)
        return
    console = Console()
    console.show(_spend_table(data))
    for line in _below(data):
        say(line)


#: heading → figure; all of them numbers
_SUMS = {
    "requests": ("requests", "{:.0f}"),
    "failed": ("failed", "{:.0f}"),
    "live USD": ("liveUsd", "{:.4f}"),
    "rounds USD": ("roundsUsd", "{:.4f}"),
    "USD": ("totalUsd", "{:.4f}"),
}


def _spend_table(data: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for name in data["by"]:
        table.add_column(name, overflow="fold")
    for name in _SUMS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in data["spend"]:
        table.add_row(*(row[name] or "–" for name in data["by"]), *_sums(row))
    for total in data["totals"]:
        name = "all, SIMULATED" if total["simulated"] else "all"
        table.add_row(*([name, *[""] * len(data["by"])][: len(data["by"])]), *_sums(total))
    return table


def _sums(row: dict[str, Any]) -> list[str]:
    figures = {**row, "roundsUsd": row["benchmarkUsd"] + row["judgeUsd"]}
    return [form.format(figures[name]) for name, form in _SUMS.values()]


def _below(data: dict[str, Any]) -> list[str]:
    unpriced = sum(total["unpriced"] for total in data["totals"])
    told = [f"{unpriced} answers have no known price and are not in it"] if unpriced else []
    for each in data["failures"]:
        errors = ", ".join(f"{code} {count}" for code, count in sorted(each["errors"].items(), key=lambda e: -e[1]))
        told.append(f"failed: {each['provider']}/{each['model']} {each['failed']} of {each['calls']} calls: {errors}")
    budget = data["budget"]
    return [*told, f"rounds: ${budget['spentUsd']:.4f} of ${budget['dayUsd']:g} in 24 h, ${budget['leftUsd']:.4f} left"]
