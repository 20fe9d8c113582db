"""What `tooloo replay` prints for people."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table

from app.cli.console import Console
from app.domain.replay.prompt_bars import Held, Report
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
    # without lines it fits 80 columns
    table = Table(box=None, pad_edge=False, collapse_padding=True)
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
    Console(width=None if sys.stdout.isatty() else 160).show(table)


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
    Console(width=None if sys.stdout.isatty() else 200).show(table)


def print_prompts(name: str, report: Report) -> None:
    """Rewards are grades, from 0 to 1; all are means over the seeds."""
    setting = report.setting
    drawn = "the same each time" if setting.fixed else "drawn afresh"
    print(
        f"{name}: {report.requests} requests, {report.rounds} rounds of {setting.per_round} prompts, {drawn}"
        f" ({report.held_out} held out); seeds {', '.join(map(str, setting.seeds))}"
    )
    table = _table("reward by ceiling; in hindsight: the best of what knows all grades", "ceiling USD")
    for column in ("tooloo", "cost/ceiling", "two models", "per category", "oracle"):
        table.add_column(column, justify="right", no_wrap=True)
    for ceiling, runs, known in zip(setting.ceilings, report.steady, report.hindsight, strict=True):
        spent = _mean([run.cost_usd / ceiling for run in runs])
        cells = [_mean([run.reward for run in runs]), spent]
        cells += [_mean([each[key] for each in known]) for key in ("mixture", "perCategory", "oracle")]
        table.add_row(f"{ceiling:g}", *(f"{cell:.3f}" for cell in cells))
    alone = _table("one model alone", "model")
    for column in ("reward", "USD/request"):
        alone.add_column(column, justify="right", no_wrap=True)
    for model, offer in report.fixed.items():
        alone.add_row(model, f"{offer.value:.3f}", f"{offer.cost_usd:.6f}")
    bars = _table("bars", "bar")
    for column in ("ceiling USD", "by seed", "bar", ""):
        bars.add_column(column, justify="right" if column != "" else "left", no_wrap=True)
    for held in report.held:
        bars.add_row(held.name, f"{held.ceiling_usd:g}", *_held(held))
    for each in (table, alone, bars):
        Console(width=None if sys.stdout.isatty() else 160).show(each)


def _table(title: str, first: str) -> Table:
    table = Table(box=box.SIMPLE, padding=(0, 1), title=title, title_justify="left")
    table.add_column(first, no_wrap=True)
    return table


def _held(held: Held) -> tuple[str, str, str]:
    whole = held.bar == int(held.bar)
    figures = ("never" if each is None else f"{each:.0f}" if whole else f"{each:.3f}" for each in held.figures)
    verdict = f"moot: {held.moot}" if held.moot else "met" if held.met else "missed"
    return " ".join(figures), f"{held.bar:g}" if whole else f"{held.bar:.3f}", verdict


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _named(done: Replay) -> str:
    return f"{done.header.name} (simulated)" if done.header.simulated else done.header.name


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
