"""What one round measured of each target, and what the choice among them was worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median_low
from typing import Any

from app.domain.catalog import Target
from app.domain.evidence.evidence import slow
from app.domain.optimizer.round_table import RoundTable, clustered, table_of
from app.domain.outcome import Outcome
from app.domain.policy import Objective, Policy
from app.domain.routing.scoring import BEYOND_P95, Features


@dataclass(frozen=True, slots=True)
class Measured:
    """One target in one round."""

    latency_ms: float | None
    success: float
    utility: float
    probes: int
    #: by prompt, what its calls were worth
    by_prompt: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "latency_ms": self.latency_ms,
            "success": self.success,
            "utility": self.utility,
            "probes": self.probes,
        }


def measure(outcomes: Sequence[Outcome], objective: Objective) -> dict[Target, Measured]:
    """The round's table, from outcomes that count; latency over successes.

    A target at which something is to be mended by a person is left out: how fast a key is refused, and at what price,
    says nothing of the model.
    """
    by_target: dict[Target, list[Outcome]] = {}
    broken = {outcome.target for outcome in outcomes if outcome.needs_person}
    for outcome in outcomes:
        if outcome.counts and outcome.target not in broken:
            by_target.setdefault(outcome.target, []).append(outcome)
    return {target: _measured(calls, objective) for target, calls in by_target.items()}


def _measured(calls: Sequence[Outcome], objective: Objective) -> Measured:
    fast = [call.latency_ms for call in calls if call.success]
    worth = [_utility(call, objective) for call in calls]
    if objective.p95:
        worth = [value - tail for value, tail in zip(worth, _tails(calls, objective), strict=True)]
    return Measured(
        latency_ms=sum(fast) / len(fast) if fast else None,
        success=len(fast) / len(calls),
        utility=fmean(worth),
        probes=len(calls),
        by_prompt=_by_prompt(calls, worth),
    )


def _by_prompt(calls: Sequence[Outcome], worth: Sequence[float]) -> Mapping[str, float]:
    """Calls that name no prompt stand for the prompts in their order, which is the same in every round of a trace."""
    prompts: dict[str, list[float]] = {}
    for place, (call, value) in enumerate(zip(calls, worth, strict=True)):
        prompts.setdefault(f"#{place}" if call.prompt_id is None else call.prompt_id, []).append(value)
    return clustered(prompts)


def _utility(call: Outcome, objective: Objective) -> float:
    good = (1.0 if call.quality is None else call.quality) if call.success else 0.0
    latency = min(1.0, call.latency_ms / objective.latency_ref_ms)
    cost = min(1.0, (call.cost_usd or 0.0) / objective.cost_ref_usd)
    return good - objective.latency * latency - objective.cost * cost


def _tails(calls: Sequence[Outcome], objective: Objective) -> list[float]:
    """What each call adds to what is lost by the tail: of the target p95 · min(1, 20 · share of slow ones)."""
    beyond = [slow(call, objective) if call.success else 0.0 for call in calls]
    each = objective.p95 * min(1 / BEYOND_P95, len(calls) / max(1.0, sum(beyond)))
    return [each * one for one in beyond]


def was_down(row: Measured, policy: Policy) -> bool:
    """The gate's limit, beyond chance."""
    error = math.sqrt(row.success * (1 - row.success) / row.probes)
    return row.success + policy.weights.unreliable_sigma * error < policy.gate.success_floor


def round_table(known: Mapping[str, Features], table: Mapping[Target, Measured], policy: Policy) -> RoundTable | None:
    """The round for later verification; None: it gave no choice, and teaches nothing about weights.

    Nor does a target that was down in it: gate and breakers take it out within a few calls under any weights, while
    here those that happened not to favour it would look better by all that an answer is worth.
    """
    up = {str(target): row for target, row in table.items() if not was_down(row, policy)}
    if not known.keys() & up.keys():
        return None
    utilities = {name: row.utility for name, row in up.items()}
    return table_of(known, utilities, {name: row.by_prompt for name, row in up.items()})


def prompt_mix(table: Mapping[Target, Measured], usual_ms: Mapping[Target, float]) -> float:
    """How many times as long as usual this round's prompts take, by the middle one of the targets; 1: nobody knows."""
    known = {target: row.latency_ms for target, row in table.items() if row.latency_ms is not None}
    ratios = [latency_ms / usual_ms[target] for target, latency_ms in known.items() if usual_ms.get(target)]
    return median_low(ratios) if ratios else 1.0
