"""What `tooloo replay --regimes` prints for people."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from statistics import fmean

from app.domain.replay.regimes.trial import BEST_FIXED, Trial

COLUMNS = ("regime", "tooloo", "static", "greedy", "fixed best", "best bandit", "regret", "failed", "by quota", "bars")
BANDITS = ("ucb1", "thompson")
Rows = Sequence[tuple[Sequence[Trial], Sequence[str]]]


def print_regimes(rows: Rows) -> None:
    from rich import box
    from rich.table import Table

    from app.cli.console import Console

    table = Table(box=box.SIMPLE, padding=(0, 1), title="captured, means over seeds; simulated", title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in {"regime", "bars"} else "right", no_wrap=name != "bars")
    for trials, missed in rows:
        table.add_row(*_cells(trials, missed))
    # into a pipe a table is as wide as it is
    Console(width=None if sys.stdout.isatty() else 220).show(table)


def markdown(rows: Rows) -> str:
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(_cells(trials, missed) for trials, missed in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(trials: Sequence[Trial], missed: Sequence[str]) -> list[str]:
    bandit = max(BANDITS, key=lambda name: _mean(trials, name, "regret") * -1)
    pairs = [f"{_mean(trials, 'tooloo', key):{form}} / {_mean(trials, 'static', key):{form}}" for key, form in PAIRS]
    return [
        trials[0].name,
        _captured(trials, "tooloo", ends=True),
        _captured(trials, "static"),
        _captured(trials, "utility-greedy"),
        _captured(trials, BEST_FIXED),
        f"{_captured(trials, bandit)} {bandit}",
        *pairs,
        f"missed: {'; '.join(missed)}" if missed else "met",
    ]


#: tooloo / static: figure and form
PAIRS = (("regret", ".4f"), ("failRate", ".2%"), ("limitedRate", ".2%"))


def _mean(trials: Sequence[Trial], policy: str, key: str) -> float:
    return fmean(each.figures[policy][key] for each in trials)


def _captured(trials: Sequence[Trial], policy: str, *, ends: bool = False) -> str:
    """The mean, and the lowest and highest seed; – where nothing is to be won."""
    values = [each.figures[policy]["captured"] for each in trials]
    if None in values:
        return "–"
    if ends and len(values) > 1:
        return f"{fmean(values):.3f} ({min(values):.3f}–{max(values):.3f})"
    return f"{fmean(values):.3f}"
