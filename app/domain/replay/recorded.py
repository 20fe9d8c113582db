"""A `tooloo-trace/1` from what an installation has recorded, and its limits.

A round becomes a round row: every target, the same prompts. A request becomes a request row at its first attempt. Of it
only the chosen target's outcome is known; of each other target a recorded call stands in, the nearest one in time. So
a policy under replay meets real outcomes, but not those of this very request; what people asked, and load, are not in
it; and what a target did while nobody called it is the nearest round's word. No `expected`: what was best is not known.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from itertools import pairwise
from typing import Any

from app.domain.catalog import Target
from app.domain.evidence.references import References
from app.domain.outcome import Outcome
from app.domain.policy import Policy
from app.domain.replay.trace import FORMAT


@dataclass(slots=True)
class Calls:
    """One target's calls, in order of time."""

    at_s: list[float] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)

    def add(self, at_s: float, row: list[float]) -> None:
        place = bisect_left(self.at_s, at_s)
        self.at_s.insert(place, at_s)
        self.rows.insert(place, row)

    def nearest(self, at_s: float) -> list[float]:
        place = bisect_left(self.at_s, at_s)
        around = [n for n in (place - 1, place) if 0 <= n < len(self.rows)]
        return self.rows[min(around, key=lambda n: abs(self.at_s[n] - at_s))]


@dataclass(frozen=True, slots=True)
class FinishedRound:
    """A round that reached the scorecard."""

    at: datetime
    outcomes: Sequence[Outcome]
    #: it measured all there was, and well: it moved weights, or could have
    complete: bool = True


@dataclass(frozen=True, slots=True)
class LiveCall:
    """One attempt; `first`: it was the route's first choice, the others were made because of it."""

    outcome: Outcome
    first: bool

    @property
    def at(self) -> datetime:
        return self.outcome.at


def trace_lines(events: Iterable[FinishedRound | LiveCall], policy: Policy, *, simulated: bool) -> Iterator[str]:
    """Header and rows. Targets that no round measured are left out. Raises ValueError where there is no round."""
    ordered = sorted(events, key=lambda event: event.at)
    measured = _measured_throughout([event for event in ordered if isinstance(event, FinishedRound)])
    if not measured:
        raise ValueError("no finished round is recorded in that time: there is nothing to replay")
    start = ordered[0].at
    names = {target: str(target) for target in measured}
    calls = _calls(ordered, start, names)
    yield _line(_header(names.values(), ordered, policy, simulated))
    for event in ordered:
        at_s = round((event.at - start).total_seconds(), 3)
        if isinstance(event, FinishedRound):
            table: dict[str, list[list[float]]] = {name: [] for name in names.values()}
            for outcome in event.outcomes:
                if outcome.target in names and outcome.counts:
                    table[names[outcome.target]].append(_row(outcome))
            yield _line({"t": at_s, "round": table})
        elif event.first and event.outcome.target in names and event.outcome.counts:
            own = names[event.outcome.target]
            nearest = {name: calls[name].nearest(at_s) for name in names.values()}
            yield _line({"t": at_s, "request": {**nearest, own: _row(event.outcome)}, "chosen": own})


def _measured_throughout(rounds: Sequence[FinishedRound]) -> list[Target]:
    seen: dict[Target, None] = {}
    for each in rounds:
        seen.update(dict.fromkeys(outcome.target for outcome in each.outcomes if outcome.counts))
    return list(seen)


def _calls(events: Sequence[FinishedRound | LiveCall], start: datetime, names: dict[Target, str]) -> dict[str, Calls]:
    calls = {name: Calls() for name in names.values()}
    for event in events:
        outcomes = event.outcomes if isinstance(event, FinishedRound) else (event.outcome,)
        for outcome in outcomes:
            if outcome.target in names and outcome.counts:
                calls[names[outcome.target]].add((event.at - start).total_seconds(), _row(outcome))
    return calls


def _row(outcome: Outcome) -> list[float]:
    quality = 1.0 if outcome.quality is None else outcome.quality
    cost_usd = outcome.cost_usd or 0.0
    return [round(outcome.latency_ms, 3), int(outcome.success), cost_usd, quality, outcome.completion_tokens or 0]


def _header(
    names: Iterable[str], events: Sequence[FinishedRound | LiveCall], policy: Policy, simulated: bool
) -> dict[str, Any]:
    rounds = [event for event in events if isinstance(event, FinishedRound)]
    references = reduce(lambda known, round_: known.after({}, round_.outcomes), rounds, References())
    objective = references.in_force(policy.objective)
    ends = [event.at for event in rounds]
    gaps = sorted((later - before).total_seconds() for before, later in pairwise(ends))
    return {
        "format": FORMAT,
        "name": "history",
        "providers": list(names),
        "latencyRefMs": objective.latency_ref_ms,
        "costRefUsd": objective.cost_ref_usd,
        "objective": {"latency": objective.latency, "cost": objective.cost},
        "roundIntervalS": max(1.0, gaps[len(gaps) // 2]) if gaps else float(policy.rounds.interval_s),
        "simulated": simulated,
        "changes": [],
    }


def _line(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":")) + "\n"
