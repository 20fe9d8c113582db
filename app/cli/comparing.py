"""tooloo better, tooloo whatif."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import click
from rich.table import Table

from app.cli.client import call
from app.cli.console import Console
from app.cli.main import print_json
from app.cli.terminal import say
from app.domain import shown

SYSTEM = "/api/v1/system"
#: measure → heading, and how a figure of it is written
FIGURES = {
    "latencyMs": ("ms", "{:.0f}".format),
    "p95Ms": ("p95", "{:.0f}".format),
    "costUsd": ("USD", "{:.6f}".format),
    "success": ("success", shown.share),
    "quality": ("quality", shown.share),
    "utility": ("utility", shown.points),
}
#: in a table
CANNOT_TELL = "?"
#: s that a replay may take
PATIENCE_S = 120


def since_option(command: Any) -> Any:
    return click.option("--since", metavar="AGE", default="7d", show_default=True, help="Such as 24h, 7d, 4w.")(command)


def query(since: str) -> str:
    return urlencode({"from": f"now-{since}"})


@click.command()
@since_option
@click.option("--by", type=click.Choice(["day", "week", "month"]), help="A line for each, of what routing differs by.")
@click.option("--measure", type=click.Choice(list(FIGURES)), default="utility", show_default=True, help="With --by.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output, with every interval.")
def better(since: str, by: str | None, measure: str, as_json: bool) -> None:
    """Show what routing gave beside other ways to choose: always the first, the cheapest, the best, one at random.

    Per call, first attempts. A difference is said where its 95 % interval does not hold nothing, with half its width.

    \b
    Example:  tooloo better --since 30d
              tooloo better --since 30d --by week --measure latencyMs
    """
    asked = query(since) + (f"&by={by}" if by else "")
    data = call("GET", f"{SYSTEM}/baselines?{asked}", timeout_s=PATIENCE_S)
    if as_json:
        print_json(data)
        return
    if by:
        Console().show(_series(data["series"], measure))
        say(f"{measure} per call, routing less each; {CANNOT_TELL}: nobody can tell")
        say(_basis(data))
        return
    Console().show(_table([("routing", data["routing"]), *((_name(b), b["values"]) for b in data["baselines"])]))
    for each in data["baselines"]:
        word = "live calls and rounds" if each["source"] == "live" else "rounds alone"
        say(f"{each['text']}  [{word}; {each['effectiveCalls']:.0f} effective calls]")
    say(_basis(data) if data["baselines"] else data["text"])


def _series(periods: list[dict[str, Any]], measure: str) -> Table:
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    table.add_column("from (UTC)", no_wrap=True)
    table.add_column("requests", justify="right")
    names = list(dict.fromkeys(each["name"] for period in periods for each in period["baselines"]))
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for period in periods:
        found = {each["name"]: each["differences"][measure] for each in period["baselines"]}
        at = datetime.fromtimestamp(period["from"] / 1000, UTC)
        told = [_difference(found.get(name), measure) for name in names]
        table.add_row(f"{at:%Y-%m-%d}", f"{period['requests']:,}", *told)
    return table


def _difference(found: dict[str, Any] | None, measure: str) -> str:
    if found is None or found["verdict"] == "cannot tell":
        return CANNOT_TELL
    write = FIGURES[measure][1]
    sign = "+" if found["value"] > 0 else "−"
    return f"{sign}{write(abs(found['value']))} ±{write((found['high'] - found['low']) / 2)}"


def _name(baseline: dict[str, Any]) -> str:
    return baseline["name"] if baseline["target"] is None else f"{baseline['name']}: {baseline['target']}"


def _basis(data: dict[str, Any]) -> str:
    text = f"{data['requests']} requests whose target was drawn"
    text += f"; {data['readShare']:.1%} of them were read" if data["readShare"] < 1 else ""
    text += f"; {data['hoursWaiting']} hours are not summed up yet" if data["hoursWaiting"] else ""
    return text + ("; SIMULATED" if data["simulated"] else "")


def _table(rows: list[tuple[str, dict[str, Any]]]) -> Table:
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    table.add_column("")
    for heading, _ in FIGURES.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for name, values in rows:
        table.add_row(name, *(_figure(values[key], write) for key, (_, write) in FIGURES.items()))
    return table


def _figure(value: float | None, write: Any) -> str:
    return "–" if value is None else str(write(value))


@click.command()
@click.option("--latency", type=click.FloatRange(0, 1), help="Weight; what is not said shares the rest.")
@click.option("--cost", type=click.FloatRange(0, 1), help="Weight.")
@click.option("--reliability", type=click.FloatRange(0, 1), help="Weight.")
@click.option("--objective-latency", type=click.FloatRange(0, 10), help="What an answer loses that is too slow.")
@click.option("--objective-cost", type=click.FloatRange(0, 10), help="What an answer loses that is too dear.")
@click.option("--latency-ref-ms", type=click.FloatRange(0, min_open=True), help="From where on it is too slow.")
@click.option("--cost-ref-usd", type=click.FloatRange(0, min_open=True), help="From where on it is too dear.")
@since_option
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output, with every interval.")
def whatif(since: str, as_json: bool, **given: float | None) -> None:
    """Replay the recorded time with other weights, another objective or other references. It changes nothing.

    Of a request only the outcome of the target that was chosen is known: for the others the nearest call stands in.

    \b
    Example:  tooloo whatif --latency .6
              tooloo whatif --latency-ref-ms 3000 --since 30d
    Apply:    tooloo config set weights.latency=.6 --reason "the chat window waits"
    The objective stands in config/policy.toml.
    """
    asked = _asked(given)
    if not asked:
        raise click.UsageError("say what is to be another: --latency, --cost, --reliability, --latency-ref-ms, …")
    data = call("POST", f"{SYSTEM}/what-if?{query(since)}", asked, timeout_s=PATIENCE_S)
    if as_json:
        print_json(data)
        return
    for line in _told(data):
        say(line)


#: options of the objective → field of the API
_OBJECTIVE = {
    "objective_latency": "latency",
    "objective_cost": "cost",
    "latency_ref_ms": "latencyRefMs",
    "cost_ref_usd": "costRefUsd",
}


def _asked(given: dict[str, float | None]) -> dict[str, Any]:
    known = {name: value for name, value in given.items() if value is not None}
    weights = {name: value for name, value in known.items() if name not in _OBJECTIVE}
    objective = {_OBJECTIVE[name]: value for name, value in known.items() if name in _OBJECTIVE}
    return {**({"weights": weights} if weights else {}), **({"objective": objective} if objective else {})}


def _told(data: dict[str, Any]) -> list[str]:
    if not data["requests"]:
        return ["no request is recorded after the first round of that time: only what is routed can be replayed"]
    Console().show(_table([("now", data["now"]), ("what if", data["whatIf"])]))
    lines = [f"{data['moved']:.1%} of {data['requests']} requests would have gone elsewhere"]
    shares = dict.fromkeys((*data["now"]["shares"], *data["whatIf"]["shares"]), 0.0)
    for name in shares:
        before, after = (data[side]["shares"].get(name, 0.0) for side in ("now", "whatIf"))
        lines.append(f"  {name}  {before:.1%} → {after:.1%}")
    lines += [f"rank {flip['now']} → {flip['whatIf']}: {flip['target']}" for flip in data["flips"]]
    unclear = [FIGURES[name][0] for name, each in data["differences"].items() if each["verdict"] == "cannot tell"]
    return [*lines, *([f"cannot tell a difference in: {', '.join(unclear)}"] if unclear else [])]
