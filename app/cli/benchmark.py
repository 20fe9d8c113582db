"""tooloo benchmark, tooloo results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn
from rich.table import Table
from rich.text import Text

from app.cli import names
from app.cli.client import call
from app.cli.console import Console
from app.cli.main import print_json
from app.cli.terminal import one_line, say
from app.domain.shown import share

SYSTEM = "/api/v1/system"
FINAL = {"done", "partial", "failed"}
#: how often a waiting command looks
POLL_S = 0.25


@click.command()
@click.option(
    "--provider",
    "-p",
    "providers",
    multiple=True,
    shell_complete=names.providers,
    help="Only this provider (may be repeated).",
)
@click.option(
    "--prompt", "-n", "prompts", multiple=True, shell_complete=names.prompts, help="Only this prompt (may be repeated)."
)
@click.option("--wait", is_flag=True, help="Watch it to its end, then show its table.")
@click.option("--beside", is_flag=True, help="Also where a round is under way: both are paid in full.")
@click.option(
    "--watch", "watched", metavar="ID", shell_complete=names.rounds, help="Start none: watch this one to its end."
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_context
def benchmark(
    ctx: click.Context,
    providers: tuple[str, ...],
    prompts: tuple[str, ...],
    wait: bool,
    beside: bool,
    watched: str | None,
    as_json: bool,
) -> None:
    """Start a benchmark round now, or watch one that runs.

    \b
    Example:  tooloo benchmark --wait
              tooloo benchmark --provider deepseek --prompt maths-problem
              tooloo benchmark --watch benchmark-1765326651024
    Exit codes: 0 started (watched: every probe ran), 1 partial or failed, 2 wrong usage, 3 no API, 6 over the budget.
    """
    if watched is not None and (providers or prompts or beside):
        raise click.UsageError("--watch starts no round: leave --provider, --prompt and --beside out")
    body = {"providers": list(providers), "prompts": list(prompts), **({"beside": True} if beside else {})}
    round_id: str = watched or call("POST", f"{SYSTEM}/benchmarks", body)["roundId"]
    if not wait and watched is None:
        print_json({"roundId": round_id}) if as_json else say(f"started {round_id}")
        return
    state = _watched(round_id, quiet=as_json)
    shown = next(
        (r for r in call("GET", f"{SYSTEM}/benchmark-results?limit=10")["history"] if r["id"] == round_id), None
    )
    if as_json:
        print_json(shown)
    elif shown is not None:
        show_round(shown)
    if state["status"] != "done":
        ctx.exit(1)


def _watched(round_id: str, *, quiet: bool) -> dict[str, Any]:
    """To its end; who stops looking is told that it goes on."""
    try:
        return _watch(round_id, quiet=quiet)
    except KeyboardInterrupt:
        say(f"{round_id} goes on; watch it again with: tooloo benchmark --watch {round_id}", err=True)
        raise


class PlainColumn(TextColumn):
    """Text without markup: rich would take `[red]` in a provider's name for its own."""

    def render(self, task: Task) -> Text:
        return Text(one_line(self.text_format.format(task=task)), style=self.style, justify=self.justify)


def _watch(round_id: str, *, quiet: bool) -> dict[str, Any]:
    console = Console(stderr=True, quiet=quiet)
    columns = (PlainColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), PlainColumn("{task.fields[eta]}"))
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(round_id, total=None, eta="")
        told = False
        while True:
            state: dict[str, Any] = call("GET", f"{SYSTEM}/benchmarks/{round_id}")
            if not told:
                for left in state["leftOut"]:
                    progress.console.print(f"left out: {left['provider']}: {left['reason']}")
                told = True
            progress.update(
                bar, total=state["expected"], completed=state["done"], description=state["status"], eta=_eta(state)
            )
            if state["status"] in FINAL:
                return state
            time.sleep(POLL_S)


def _eta(state: dict[str, Any]) -> str:
    """How long it will take, and for whom."""
    if state["etaMs"] is None:
        return "first answers are awaited"
    late = [name for name, row in state["providers"].items() if row["done"] < row["expected"]]
    return f"about {state['etaMs'] / 1000:.0f} s left ({', '.join(late)})" if late else "evaluating"


@click.command()
@click.option("--last", "-n", type=click.IntRange(1, 100), default=1, help="How many rounds.", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def results(last: int, as_json: bool) -> None:
    """Show finished rounds, newest first.

    \b
    Example:  tooloo results --last 3
    """
    data = call("GET", f"{SYSTEM}/benchmark-results?limit={last}")
    if as_json:
        print_json(data)
        return
    if not data["history"]:
        say("no round has finished yet: start one with `tooloo benchmark --wait`")
    for each in data["history"]:
        show_round(each)


def show_round(shown: dict[str, Any]) -> None:
    """A table per provider, then what the optimizer said."""
    console = Console()
    console.show(_table(shown))
    for line in _figures(shown):
        console.print(line)
    for line in shown["summary"]["improvements"]:
        console.print(f"  · {line}")
    for left in shown["leftOut"]:
        console.print(f"  · left out: {left['provider']}: {left['reason']}")


def _table(shown: dict[str, Any]) -> Table:
    title = f"{shown['id']} · {shown['status']} · {shown['duration']} ms"
    title += " · SIMULATED" if shown["simulated"] else ""
    title += " · MEASUREMENT DEGRADED" if shown["degraded"] else ""
    # without lines, and with no number ever cut, it fits a terminal of 80 columns
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    for name in ("provider", "ok", "latency ms", "first token ms", "tokens/s", "quality", "cost USD", "errors"):
        table.add_column(name, justify="left" if name in {"provider", "errors"} else "right", no_wrap=name != "errors")
    by_provider: dict[str, list[dict[str, Any]]] = {}
    for result in shown["results"]:
        by_provider.setdefault(result["provider"], []).append(result)
    for provider, rows in by_provider.items():
        table.add_row(provider, *_cells(rows))
    return table


def _cells(rows: list[dict[str, Any]]) -> list[str]:
    """Of one provider."""
    ok = [row for row in rows if row["success"]]
    return [
        f"{len(ok)}/{len(rows)}",
        _mean([row["latency"] for row in ok], "{:.0f}"),
        _mean([row["timeToFirstToken"] for row in ok], "{:.0f}"),
        _mean([row["tokensPerSecond"] for row in ok], "{:.0f}"),
        _mean([row["qualityScore"] for row in ok], share),
        _sum([row["cost"] for row in rows]),
        ", ".join(sorted({row["error"] for row in rows if row["error"]})),
    ]


def _figures(shown: dict[str, Any]) -> Iterator[str]:
    """Of the round as a whole, a line each."""
    summary = shown["summary"]
    yield (
        f"{summary['successCount']}/{summary['providersAttempted']} probes ok, "
        f"{_means(summary)}"
        f"cost {_usd(summary['totalCostUsd'])} (expected {_usd(summary['estimatedCostUsd'])})"
    )
    if (off := shown["measurementError"]) is not None:
        yield (
            f"measured latencies are off by {off['p50Ms']} ms (p50), {off['p95Ms']} ms (p95), {off['p99Ms']} ms (p99), "
            f"by {off['calls']} canary calls"
        )
    if (judge := summary["judge"]) is not None:
        yield (
            f"judge: {judge['answers']} answers, {judge['close']:.0%} of verdicts close to the grade, "
            f"bias {judge['bias']:+.2f}, cost {_usd(summary['judgeCostUsd'])}"
        )


def _means(summary: dict[str, Any]) -> str:
    """Nothing where nothing answered."""
    latency, quality = summary["avgLatency"], summary["avgQualityScore"]
    told = "" if latency is None else f"mean latency {latency} ms, "
    return told if quality is None else f"{told}mean quality {share(quality)}, "


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"${value:.4f}"


def _mean(values: list[float | None], form: str | Callable[[float], str]) -> str:
    known = [value for value in values if value is not None]
    write = form.format if isinstance(form, str) else form
    return write(sum(known) / len(known)) if known else "–"


def _sum(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known):.6f}" if known else "unknown"
