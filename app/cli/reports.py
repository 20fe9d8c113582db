"""tooloo scorecard, tooloo insights."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click
from rich.table import Table
from rich.text import Text

from app.cli import names
from app.cli.client import call
from app.cli.console import Console
from app.cli.explain import ceiling_line, why_lines
from app.cli.main import print_json
from app.cli.terminal import one_line, say
from app.domain import shown

SYSTEM = "/api/v1/system"


@click.command()
@click.option(
    "--task", default="default", show_default=True, shell_complete=names.tasks, help="As it is for this task type."
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def scorecard(task: str, as_json: bool) -> None:
    """Show what is known of every target, the order that requests are sent in, and why.

    The parts of a score add up to it. Under the table: by how much a target leads or is behind, in what, and the
    latency, cost or quality at which the lead would change, all else as it is.

    \b
    Example:  tooloo scorecard
              tooloo scorecard --task code
    """
    data = call("GET", f"{SYSTEM}/scorecard?taskType={quote(task)}")
    if as_json:
        print_json(data)
        return
    console = Console()
    console.show(_table(data))
    for line in why_lines(data["candidates"]):
        console.print(line)
    console.print(objective_line(data["objective"]))
    if data.get("ceiling") is not None:
        console.print(ceiling_line(data["ceiling"]))
    for left in data["leftOut"]:
        console.print(f"left out: {left['provider']}: {left['reason']}")


def objective_line(objective: dict[str, Any]) -> str:
    """What is too slow and too dear, and who says so."""
    who = {True: "learned", False: "declared"}
    latency, cost = (who[name in objective["learned"]] for name in ("latencyRefMs", "costRefUsd"))
    return (
        f"too slow is {objective['latencyRefMs']:.0f} ms ({latency}), "
        f"too dear ${objective['costRefUsd']:.2g} a call ({cost})"
    )


def _table(data: dict[str, Any]) -> Table:
    title = f"config {data['configVersion']}, exploration {shown.share(data['explorationRate'])}"
    title += " · SIMULATED" if data["simulated"] else ""
    # without lines, and with no number ever cut, it fits a terminal of 80 columns
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    for name in ("#", "target", "score", "ms", "success", "quality", "cost USD", "calls", "seen"):
        table.add_column(name, justify="left" if name == "target" else "right", no_wrap=name != "target")
    for place, candidate in enumerate(data["candidates"], 1):
        table.add_row(str(place), *_cells(candidate))
    return table


def _cells(candidate: dict[str, Any]) -> list[str]:
    known = candidate.get("evidence") or {}
    calls = (known.get("benchmarkCount") or 0) + (known.get("liveCount") or 0)
    age_s = known.get("ageS")
    return [
        f"{candidate['provider']}/{candidate['model']}" + (" (simulated)" if candidate.get("simulated") else ""),
        "–" if candidate.get("score") is None else shown.points(candidate["score"]),
        _number(known.get("latencyMs"), "{:.0f}"),
        "–" if known.get("success") is None else shown.share(known["success"]),
        _quality(known),
        _number(known.get("costUsd"), "{:.6f}"),
        f"{calls:.0f}",
        "–" if age_s is None else f"{shown.age(age_s)} ago",
    ]


def _quality(known: dict[str, Any]) -> str:
    """With the farther end of its interval: two standard errors, but where the best or worst grade cuts it."""
    value, ends = known.get("quality"), known.get("qualityInterval")
    if value is None or not ends:
        return "–" if value is None else shown.share(value)
    return f"{shown.share(value)}±{shown.share(max(value - ends[0], ends[1] - value))}"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


@click.command()
@click.option("--last", "-n", type=click.IntRange(1, 100), default=5, help="Of how many rounds.", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def insights(last: int, as_json: bool) -> None:
    """Show what the optimizer saw, did, and why; newest first.

    \b
    Example:  tooloo insights --last 3
    """
    data = call("GET", f"{SYSTEM}/insights?limit={last}")
    if as_json:
        print_json(data)
        return
    console = Console()
    for insight in data["insights"]:
        when = datetime.fromtimestamp(insight["timestamp"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        simulated = " [simulated]" if insight["simulated"] else ""
        line = f"{when}{simulated}  {insight['text']}"
        # a terminal gets whole words in each line, a pipe one line each
        console.print(Text(one_line(line))) if sys.stdout.isatty() else say(line)
