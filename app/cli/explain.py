"""tooloo explain: why a request went where it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import click

from app.cli import names
from app.cli.client import call
from app.cli.main import print_json
from app.cli.terminal import say
from app.domain import shown


@click.command()
@click.argument("request_id", shell_complete=names.requests)
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
    told += _exploring(why)
    told += ["", "attempts"] if data["attempts"] else []
    for number, attempt in enumerate(data["attempts"], 1):
        error = attempt.get("error")
        end = "answered" if attempt["success"] else f"{error['code']}: {error['message']}" if error else "client gone"
        told.append(f"  {number}. {attempt['provider']}/{attempt['model']}  {attempt['latency']:.0f} ms  {end}")
    told += [ceiling_line(why["ceiling"])] if why.get("ceiling") is not None else []
    told += ["", *_weights(why), "candidates, in the order of the ranking"]
    told += [f"  {line}" for line in why_lines(why["candidates"], why.get("quota", {}))]
    if more := why.get("candidatesLeftOut"):
        told.append(f"  and {more} more, not kept")
    return told


def _exploring(why: dict[str, Any]) -> list[str]:
    """What chance had to do with it."""
    if why.get("propensity") is None:
        return []
    text = f"it was to be first with probability {shown.share(why['propensity'])}"
    if why.get("explored"):
        text = f"explored: {text}"
    return [f"{text}, exploration {shown.share(why['explorationRate'])}"]


def _weights(why: dict[str, Any]) -> list[str]:
    weights = why.get("weights")
    return [] if not weights else ["weights " + ", ".join(f"{name} {shown.share(weights[name])}" for name in weights)]


def why_lines(candidates: Sequence[dict[str, Any]], used_up: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Of each candidate the score and its parts, and beneath why it is where it is."""
    return [line for place, each in enumerate(candidates, 1) for line in _why_lines(place, each, used_up)]


def _why_lines(place: int, candidate: dict[str, Any], used_up: Mapping[str, str]) -> list[str]:
    name = f"{candidate['provider']}/{candidate['model']}"
    score, parts = candidate.get("score"), candidate.get("parts")
    head = f"{place}. {name}  {'–' if score is None else shown.points(score)}"
    if parts:
        made = shown.adding_up(list(parts.values()), score or 0.0, 3)
        named = zip(made, ("latency", "cost", "success × quality"), strict=True)
        head += " = " + " + ".join(f"{shown.points(part)} {word}" for part, word in named)
    quota = [used_up[name]] if name in used_up else _quota(candidate.get("quota") or {})
    told = [*candidate.get("reasons", []), *quota, *([candidate["why"]] if candidate.get("why") else [])]
    return [head, *(f"     {each}" for each in told)]


def _quota(quota: dict[str, Any]) -> list[str]:
    if quota.get("usedUp"):
        return [quota["usedUp"]]
    left = quota.get("left") or {}
    known = [f"{each['left']} of {each['of']} {kind}" for kind, each in left.items() if each["of"] is not None]
    return [f"quota: {', '.join(known)} left"] if known else []


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
