"""What `tooloo replay` prints for people."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from app.cli.console import Console
from app.domain.replay.replay import Replay
from app.domain.replay.thresholds import BAR_SEEDS, BASELINES

#: column of the table → key and form of the figure
COLUMNS = {
    "captured": ("captured", "{:.3f}"),
    "failed": ("failRate", "{:.2%}"),
    "p95 ms": ("p95Ms", "{:.0f}"),
    "USD/call": ("costUsd", "{:.6f}"),
    "best share": ("bestShare", "{:.1%}"),
}


def print_replays(replays: Sequence[Replay]) -> None:
    table = Table(box=box.SIMPLE, padding=(0, 1))
    for name in ("trace", "policy", "requests", *COLUMNS, "U", "adapt"):
        table.add_column(name, justify="left" if name in {"trace", "policy"} else "right", no_wrap=True)
    for done in replays:
        figures = done.figures
        cells = [_cell(figures[key], form) for key, form in COLUMNS.values()]
        worth = figures["utility"] or {}
        cells.append(_cell(worth.get("policy", worth.get("observed")), "{:.3f}"))
        adapt = " ".join("never" if count is None else str(count) for count in figures["adapt"])
        table.add_row(_named(done), done.policy_name, str(figures["requests"]), *cells, adapt)
    # into a pipe a table is as wide as it is
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def print_bars(rows: Sequence[tuple[Sequence[Replay], Mapping[str, Replay], Sequence[str]]]) -> None:
    table = Table(box=box.SIMPLE, padding=(0, 1), title="captured; first attempts", title_justify="left")
    for name in ("trace", *(f"tooloo {seed}" for seed in BAR_SEEDS), *BASELINES, "failed", "adapt", "bars"):
        table.add_column(name, justify="left" if name in {"trace", "bars"} else "right", no_wrap=name != "bars")
    for ours, others, failed in rows:
        adapt = [count for each in ours for count in each.figures["adapt"]]
        slowest = "never" if None in adapt else str(max(adapt, default="–"))
        cells = [_cell(each.figures["captured"], "{:.3f}") for each in (*ours, *others.values())]
        failures = f"{max(each.figures['failRate'] for each in ours):.2%}"
        verdict = f"missed: {'; '.join(failed)}" if failed else "met"
        table.add_row(_named(ours[0]), *cells, failures, slowest, verdict)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _named(done: Replay) -> str:
    return f"{done.header.name} (simulated)" if done.header.simulated else done.header.name


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
