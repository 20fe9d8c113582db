"""tooloo explain: why a request went where it went."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from app.cli.client import call
from app.cli.main import print_json
from app.cli.terminal import say


@click.command()
@click.argument("request_id")
@click.option("--json", "as_json", is_flag=True, help="The whole entry, with the evidence behind every score.")
def explain(request_id: str, as_json: bool) -> None:
    """Show the route of a request: who could have answered, who did, and why.

    \b
    Example:  tooloo explain req-0f1e2d3c4b5a69788796a5b4c3d2e1f0
    """
    data = call("GET", f"/api/v1/requests/{request_id}")
    if as_json:
        print_json(data)
        return
    for line in lines(data):
        say(line)


def lines(data: dict[str, Any]) -> list[str]:
    when = datetime.fromtimestamp(data["timestamp"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    served = f"answered by {data['provider']}/{data['model']}: " if data["provider"] else ""
    cost = "cost unknown" if data["cost"] is None else f"${data['cost']:.6f}"
    notes = [data["asked"], data["status"], f"{data['latency']:.0f} ms", cost, f"config {data['configVersion']}"]
    notes += ["streamed"] if data["stream"] else []
    notes += [f"segment {data['segment']}"] if data["segment"] else []
    notes += ["SIMULATED"] if data["simulated"] else []
    why = data["explanation"]
    told = [f"{when}Z  {' · '.join(notes)}", served + data["why"]]
    told += ["", "attempts"] if data["attempts"] else []
    for number, attempt in enumerate(data["attempts"], 1):
        error = attempt.get("error")
        end = "answered" if attempt["success"] else f"{error['code']}: {error['message']}" if error else "client gone"
        told.append(f"  {number}. {attempt['provider']}/{attempt['model']}  {attempt['latency']:.0f} ms  {end}")
    told += [ceiling_line(why["ceiling"])] if why.get("ceiling") is not None else []
    told += ["", "candidates, in the order of the ranking"]
    for number, candidate in enumerate(why["candidates"], 1):
        score = "–" if candidate.get("score") is None else f"{candidate['score']:.3f}"
        used_up = why.get("quota", {}).get(f"{candidate['provider']}/{candidate['model']}")
        reasons = "; ".join([*candidate.get("reasons", []), *([used_up] if used_up else [])])
        told.append(f"  {number}. {candidate['provider']}/{candidate['model']}  {score}  {reasons}".rstrip())
    return told


def ceiling_line(held: dict[str, Any]) -> str:
    """How objective.max_cost_usd stands."""
    spent = held["meanCostUsd"]
    text = f"ceiling: {held['maxCostUsd']:g} USD per request"
    text += "; nothing spent yet" if spent is None else f"; last day {spent:.6g} in {held['requests']} requests"
    if not held["canBeHeld"]:
        return f"{text}; it cannot be held: " + ("all targets cost more" if held["binds"] else "no price is known")
    if not held["binds"]:
        return f"{text}; slack"
    shares = ", ".join(f"{target} {share:.0%}" for target, share in held["shares"].items())
    return f"{text}; {held['lambdaPerUsd']:.4g} utility per USD: {shares}"
