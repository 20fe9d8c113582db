"""What one round measured of each target, and what the choice among them was worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median_low, variance

from app.domain.catalog import Target
from app.domain.optimizer import weight_moves
from app.domain.optimizer.weight_moves import Triple
from app.domain.outcome import Outcome
from app.domain.policy import Objective, Policy
from app.domain.routing.scoring import Features


@dataclass(frozen=True, slots=True)
class Measured:
    """One target in one round."""

    latency_ms: float | None
    success: float
    utility: float
    probes: int
    #: standard error of `utility`; None: one call cannot tell
    utility_error: float | None = None


def measure(outcomes: Sequence[Outcome], objective: Objective) -> dict[Target, Measured]:
    """The round's table, from outcomes that count; latency over successes."""
    by_target: dict[Target, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.counts:
            by_target.setdefault(outcome.target, []).append(outcome)
    return {target: _measured(calls, objective) for target, calls in by_target.items()}


def _measured(calls: Sequence[Outcome], objective: Objective) -> Measured:
    fast = [call.latency_ms for call in calls if call.success]
    worth = [_utility(call, objective) for call in calls]
    return Measured(
        latency_ms=sum(fast) / len(fast) if fast else None,
        success=len(fast) / len(calls),
        utility=fmean(worth),
        probes=len(calls),
        utility_error=math.sqrt(variance(worth) / len(worth)) if len(worth) > 1 else None,
    )


def _utility(call: Outcome, objective: Objective) -> float:
    good = (1.0 if call.quality is None else call.quality) if call.success else 0.0
    latency = min(1.0, call.latency_ms / objective.latency_ref_ms)
    cost = min(1.0, (call.cost_usd or 0.0) / objective.cost_ref_usd)
    return good - objective.latency * latency - objective.cost * cost


def was_down(row: Measured, policy: Policy) -> bool:
    """The gate's limit, beyond chance."""
    error = math.sqrt(row.success * (1 - row.success) / row.probes)
    return row.success + policy.weights.unreliable_sigma * error < policy.gate.success_floor


def optimization_score(
    known: Mapping[str, Features], weights: Triple, table: Mapping[Target, Measured]
) -> tuple[float, int]:
    """clip((U_served − U_mean) / (U_best − U_mean), 0, 1), and the number of probes; 1 where all are about as good."""
    worth = {str(target): row.utility for target, row in table.items()}
    served = {name: shares for name, shares in known.items() if name in worth}
    samples = sum(row.probes for row in table.values())
    if not served:
        return 0.5, 0
    mean, best = sum(worth.values()) / len(worth), max(worth.values())
    if best - mean < 0.01:
        return 1.0, samples
    score = (worth[weight_moves.choice(served, weights)] - mean) / (best - mean)
    return min(1.0, max(0.0, score)), samples


def prompt_mix(table: Mapping[Target, Measured], usual_ms: Mapping[Target, float]) -> float:
    """How many times as long as usual this round's prompts take, by the middle one of the targets; 1: nobody knows."""
    known = {target: row.latency_ms for target, row in table.items() if row.latency_ms is not None}
    ratios = [latency_ms / usual_ms[target] for target, latency_ms in known.items() if usual_ms.get(target)]
    return median_low(ratios) if ratios else 1.0
