"""What evidence is worth: gate, features, score, utility. Router and optimizer judge by the same formulas.

    gate     S ≥ min(success_floor, max S − success_slack)  and  Q + 2·√(V/n) ≥ quality_share·max Q
    score    s = w_lat·(min L / L) + w_cost·(min C / C) + w_rel·S·Q, the minima over those that pass the gate
    utility  U = S·Q − a·min(1, L / L_ref) − b·min(1, C / C_ref)

A gap in what is known is filled from the others, so that it neither wins nor loses by itself where that is possible: an
ungraded target is as good as the graded ones are on average (1 where none was graded), an unknown price is the
dearest one known, an unknown speed the slowest.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from app.domain.catalog import Target
from app.domain.config.runtime_config import Weights
from app.domain.evidence.evidence import Evidence
from app.domain.policy import Objective, Policy

#: share of a reference below which values count as equal: a free model is not infinitely cheaper than a cheap one
NOTHING = 0.001

#: latency, cost, reliability; each 0..1, 1 is the best
Features = tuple[float, float, float]


class Figures(NamedTuple):
    """Of one target, without gaps."""

    latency_ms: float
    cost_usd: float
    #: success × quality
    good: float


def gate(evidence: Mapping[Target, Evidence], policy: Policy) -> dict[Target, str]:
    """Who may not be first, and why: a dead or wrong target must not win by being cheap and formerly fast."""
    if not evidence:
        return {}
    limits, refused = policy.gate, {}
    success = min(limits.success_floor, max(known.success for known in evidence.values()) - limits.success_slack)
    graded = [known.quality for known in evidence.values() if known.quality is not None]
    quality = limits.quality_share * max(graded, default=0.0)
    for target, known in evidence.items():
        if known.needs_person is not None:
            refused[target] = f"needs a person: {known.needs_person}"
        elif known.success < success:
            refused[target] = f"success {known.success:.2f} is below {success:.2f}"
        elif known.quality is not None and _at_best(known, known.quality) < quality:
            refused[target] = f"quality {known.quality:.2f} is below {quality:.2f}"
    return refused


def _at_best(known: Evidence, quality: float) -> float:
    """Upper end of the interval in which the mean quality lies."""
    return quality + 2 * math.sqrt(known.quality_variance / max(known.quality_mass, 1e-9))


def figures(evidence: Mapping[Target, Evidence], objective: Objective) -> dict[Target, Figures]:
    latencies = [known.latency_ms for known in evidence.values() if known.latency_ms is not None]
    costs = [known.cost_usd for known in evidence.values() if known.cost_usd is not None]
    grades = [known.quality for known in evidence.values() if known.quality is not None]
    slowest = max(latencies, default=objective.latency_ref_ms)
    dearest = max(costs, default=0.0)
    average = sum(grades) / len(grades) if grades else 1.0
    return {
        target: Figures(
            latency_ms=slowest if known.latency_ms is None else known.latency_ms,
            cost_usd=dearest if known.cost_usd is None else known.cost_usd,
            good=known.success * (average if known.quality is None else known.quality),
        )
        for target, known in evidence.items()
    }


def features(
    known: Mapping[Target, Figures], among: Collection[Target], objective: Objective
) -> dict[Target, Features]:
    """min L / L, min C / C and S·Q of the targets `among`, which also set the minima."""
    return dict(zip(among, compared([known[target] for target in among], objective), strict=True))


def compared(all_: Sequence[Figures], objective: Objective) -> list[Features]:
    """Features of targets among themselves, in their order."""
    least_ms, least_usd = NOTHING * objective.latency_ref_ms, NOTHING * objective.cost_ref_usd
    latencies = [max(each.latency_ms, least_ms) for each in all_]
    costs = [max(each.cost_usd, least_usd) for each in all_]
    fastest, cheapest = min(latencies, default=1.0), min(costs, default=1.0)
    return [(fastest / ms, cheapest / usd, each.good) for each, ms, usd in zip(all_, latencies, costs, strict=True)]


def score(weights: Weights, shares: Features) -> float:
    return weights.latency * shares[0] + weights.cost * shares[1] + weights.reliability * shares[2]


def utility(known: Figures, objective: Objective) -> float:
    latency = min(1.0, known.latency_ms / objective.latency_ref_ms)
    cost = min(1.0, known.cost_usd / objective.cost_ref_usd)
    return known.good - objective.latency * latency - objective.cost * cost


def comparable(evidence: Mapping[Target, Evidence], policy: Policy) -> dict[Target, Features]:
    """Features of those that pass the gate."""
    refused = gate(evidence, policy)
    among = [target for target in evidence if target not in refused]
    return features(figures(evidence, policy.objective), among, policy.objective)
