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


@click.command()
@click.argument("traces", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--policy", "policies", multiple=True, metavar="NAME", help="tooloo, or a baseline; may be repeated.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of every random choice of the policy.")
@click.option("--decisions", type=click.Path(dir_okay=False, path_type=Path), help="Write the chosen providers here.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def replay(
    traces: tuple[Path, ...], policies: tuple[str, ...], seed: int, decisions: Path | None, as_json: bool
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
    Exit codes: 0 done, 1 a trace cannot be read, 2 wrong usage.
    """
    policies = policies or ("tooloo",)
    for name in policies:
        if name not in POLICIES and not name.startswith("fixed:"):
            known = ", ".join(POLICIES)
            raise click.BadParameter(
                f"{name!r} is no policy; known are: {known}, fixed:PROVIDER", param_hint="--policy"
            )
    if decisions is not None and len(traces) * len(policies) > 1:
        raise click.UsageError("--decisions writes one list: give one trace and one policy")
    constants = load_policy(settings.load().config_dir)
    replays = [_replay(path, name, constants, seed) for path in traces for name in policies]
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


def _write(path: Path, done: Replay) -> None:
    try:
        path.write_text("".join(f"{provider}\n" for provider in done.decisions), encoding="utf-8")
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
    for name in ("trace", "policy", "requests", *COLUMNS, "adapt"):
        table.add_column(name, justify="left" if name in {"trace", "policy"} else "right", no_wrap=True)
    for done in replays:
        figures = done.figures
        name = f"{done.header.name} (simulated)" if done.header.simulated else done.header.name
        cells = [_cell(figures[key], form) for key, form in COLUMNS.values()]
        adapt = " ".join("never" if count is None else str(count) for count in figures["adapt"])
        table.add_row(name, done.policy_name, str(figures["requests"]), *cells, adapt)
    # into a pipe a table is as wide as it is
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
