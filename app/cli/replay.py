"""tooloo replay: what a routing policy would have done on a recorded time."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from app import settings
from app.cli.main import print_json
from app.config_files import load_policy
from app.domain.bars import missed
from app.domain.policy import Policy
from app.domain.replay import POLICIES, Replay
from app.domain.replay import replay as run

#: column of the table → key and form of the figure
COLUMNS = {
    "captured": ("captured", "{:.3f}"),
    "failed": ("failRate", "{:.2%}"),
    "p95 ms": ("p95Ms", "{:.0f}"),
    "USD/call": ("costUsd", "{:.6f}"),
    "best share": ("bestShare", "{:.1%}"),
}
#: of a recorded history, where nobody says otherwise; and beside the bars
HISTORY_POLICIES = ("tooloo", "static", "random")
BASELINES = ("static", "epsilon-greedy", "ucb1", "thompson", "random")
BAR_SEEDS = (0, 1, 2)


@click.command()
@click.argument("traces", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--policy", "policies", multiple=True, metavar="NAME", help="tooloo, or a baseline; may be repeated.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of every random choice of the policy.")
@click.option("--decisions", type=click.Path(dir_okay=False, path_type=Path), help="Write the chosen providers here.")
@click.option("--from-history", "history", metavar="AGE", help="Replay what was recorded here, such as 7d or 12h.")
@click.option("--export", type=click.Path(dir_okay=False, path_type=Path), help="Write that history as a trace.")
@click.option("--bars", is_flag=True, help="Hold tooloo, seeds 0-2, to its bars on each trace, beside all baselines.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def replay(
    traces: tuple[Path, ...],
    policies: tuple[str, ...],
    seed: int,
    decisions: Path | None,
    history: str | None,
    export: Path | None,
    bars: bool,
    as_json: bool,
) -> None:
    """Replay tooloo-trace/1 files (gzipped or not) through the code that serves traffic, without servers.

    \b
    A policy sees what a live system sees: benchmark rounds, and of each request what the chosen provider gave.
    Policies: tooloo (default), static, random, fixed:PROVIDER, epsilon-greedy, ucb1, thompson.
    captured: 0 = random choice, 1 = the best provider at every request. First attempts only, no failover.
    adapt: requests after each change of the best provider until 80 % went to the new one.
    Example:  tooloo replay trace.jsonl.gz
              tooloo replay *.jsonl.gz --policy tooloo --policy static --json
              tooloo replay trace.jsonl --policy tooloo --seed 1 --decisions chosen.txt
              tooloo replay --from-history 7d --export history.jsonl
              tooloo replay *.jsonl.gz --bars
    Of a recorded request only the outcome of the provider that was chosen is known: for the others the nearest recorded
    call stands in, and nothing can be said of what was best.
    Exit codes: 0 done, 1 a trace cannot be read, or a bar is missed, 2 wrong usage.
    """
    if not traces and history is None:
        raise click.UsageError("Missing argument 'TRACES...', or --from-history")
    if bars:
        _hold_to_bars(traces, load_policy(settings.load().config_dir), as_json)
        return
    policies = policies or (("tooloo",) if history is None else HISTORY_POLICIES)
    for name in policies:
        if name not in POLICIES and not name.startswith("fixed:"):
            known = ", ".join(POLICIES)
            raise click.BadParameter(
                f"{name!r} is no policy; known are: {known}, fixed:PROVIDER", param_hint="--policy"
            )
    if decisions is not None and (len(traces) + (history is not None)) * len(policies) > 1:
        raise click.UsageError("--decisions writes one list: give one trace and one policy")
    constants = load_policy(settings.load().config_dir)
    replays = [_replay(path, name, constants, seed) for path in traces for name in policies]
    if history is not None:
        from app.cli.history import recorded_lines  # the database: what a trace in a file does not need

        lines = recorded_lines(history, constants)
        if export is not None:
            _put(export, "".join(lines))
        replays += [run(lines, name, constants, seed) for name in policies]
    if decisions is not None:
        _write(decisions, replays[0])
    if as_json:
        print_json({"results": [_shown(each) for each in replays]})
    else:
        _print(replays)


def _replay(path: Path, policy_name: str, constants: Policy, seed: int) -> Replay:
    try:
        return run(_lines(path), policy_name, constants, seed)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise click.ClickException(f"{path}: {error}") from None


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rt", encoding="utf-8") if gzipped else path.open(encoding="utf-8") as file:
        yield from file


def _hold_to_bars(traces: tuple[Path, ...], constants: Policy, as_json: bool) -> None:
    rows = []
    for path in traces:
        ours = [_replay(path, "tooloo", constants, seed) for seed in BAR_SEEDS]
        others = {name: _replay(path, name, constants, 0) for name in BASELINES}
        failed = missed(ours[0].header, [each.figures for each in ours], others["static"].figures)
        rows.append((ours, others, failed))
    if as_json:
        print_json(
            {
                "results": [_shown(each) for ours, others, _ in rows for each in (*ours, *others.values())],
                "missed": {ours[0].header.name: failed for ours, _, failed in rows if failed},
            }
        )
    else:
        _print_bars(rows)
    if any(failed for _, _, failed in rows):
        sys.exit(1)


def _print_bars(rows: list[tuple[list[Replay], dict[str, Replay], list[str]]]) -> None:
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


def _write(path: Path, done: Replay) -> None:
    _put(path, "".join(f"{provider}\n" for provider in done.decisions))


def _put(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or error}") from None


def _shown(done: Replay) -> dict[str, Any]:
    return {
        "trace": done.header.name,
        "simulated": done.header.simulated,
        "policy": done.policy_name,
        "seed": done.seed,
        **done.figures,
    }


def _print(replays: list[Replay]) -> None:
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


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
