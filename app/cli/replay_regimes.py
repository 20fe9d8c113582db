"""`tooloo replay --regimes`: every policy through every regime and seed, on all processors, held to the bars."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

from app.cli.main import print_json
from app.cli.regime_files import SHIPPED, load_regimes
from app.domain.policy import Policy
from app.domain.replay.regimes.regime import Regime
from app.domain.replay.regimes.trial import Trial, trial
from app.domain.replay.thresholds import missed_in_regime
from app.errors import ConfigError

#: at work at once, at most: each holds a regime in memory
MOST_JOBS = 8


def run_regimes(path: Path | None, wanted: Sequence[str], seeds: Sequence[int], constants: Policy, form: str) -> None:
    """Prints; exits with 1 where a bar is missed. `form`: json, markdown or table."""
    chosen = _chosen(path, wanted)
    rows: list[tuple[Sequence[Trial], Sequence[str]]] = []
    for trials in _tried(chosen, seeds, constants):
        rows.append((trials, missed_in_regime(trials)))
        if sys.stderr.isatty():
            click.echo(f"{len(rows)} of {len(chosen)}: {trials[0].name}", err=True)
    if form == "json":
        print_json(_document(rows))
    elif form == "markdown":
        from app.cli.regime_tables import markdown

        click.echo(markdown(rows))
    else:
        from app.cli.regime_tables import print_regimes  # rich: what --json does not need

        print_regimes(rows)
    if any(missed for _, missed in rows):
        sys.exit(1)


def _chosen(path: Path | None, wanted: Sequence[str]) -> dict[str, Regime]:
    """Those named, by their own names or by that of their draw; all of the file where none is."""
    try:
        known = load_regimes(path or SHIPPED)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    names = {*known, *(regime.family for regime in known.values())}
    for name in wanted:
        if name not in names:
            raise click.BadParameter(f"{name!r} is no regime; known are: {', '.join(known)}", param_hint="--regime")
    return {name: regime for name, regime in known.items() if not wanted or name in wanted or regime.family in wanted}


def _tried(chosen: Mapping[str, Regime], seeds: Sequence[int], constants: Policy) -> Iterator[Sequence[Trial]]:
    """In the order of the file."""
    jobs = min(MOST_JOBS, os.cpu_count() or 1, len(chosen) * len(seeds))
    if jobs == 1:  # no process for one that this one can do
        yield from ([trial(name, regime, seed, constants) for seed in seeds] for name, regime in chosen.items())
        return
    pool = ProcessPoolExecutor(jobs, get_context("spawn"))
    try:
        begun = [
            [pool.submit(trial, name, regime, seed, constants) for seed in seeds] for name, regime in chosen.items()
        ]
        for futures in begun:
            yield [future.result() for future in futures]
    finally:  # who interrupts it does not wait for what has not begun
        pool.shutdown(cancel_futures=True)


def _document(rows: Sequence[tuple[Sequence[Trial], Sequence[str]]]) -> dict[str, Any]:
    return {
        "results": [
            {
                "regime": each.name,
                "about": each.regime.about,
                "source": each.regime.source,
                "seed": each.seed,
                "simulated": True,
                "bestFixed": each.best_fixed,
                "policies": each.figures,
            }
            for trials, _ in rows
            for each in trials
        ],
        "missed": {trials[0].name: missed for trials, missed in rows if missed},
    }
