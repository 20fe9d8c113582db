"""What evidence is worth: gate, features, score, utility. Router and optimizer judge by the same formulas.

    utility  U = S·Q − a·l − b·c
             l = S·E[min(1, L / L_ref)] + (1 − S)·E_failed[min(1, L / L_ref)],   c = S·E[min(1, C / C_ref)]
    features f = (1 − l, 1 − c, S·Q)
    score    s = Σ e·f,   e_i ∝ w_i · o_i / w0_i,   Σ e = 1,   o = (a, b, 1)
    gate     S at its best ≥ min(success_floor, max S − success_slack)  and  Q + 2·√(V/n) ≥ quality_share·max Q

Where the objective asks for it, the share of slow calls counts beside l: a·l + p·min(1, 20·P(L > p95_ms)) is what time
costs, all of it is lost where five calls in a hundred take p95_ms, and (a + p) stands for a in all that is above.

w: the weights in force, w0: the base weights of the policy. At w = w0 the score is (U + a + b) / (1 + a + b): the
default weights are the declared objective, and others lean from there. Latency and cost are clipped call by call, so
that one answer of 30 s counts as one that is too slow, and no feature of a target depends on which others there are.

S is drawn to what is usual among the targets, by USUAL_MASS calls. A gap in what is known is filled from the others, so
that it neither wins nor loses by itself where that is possible: an ungraded target is as good as the graded ones are on
average (1 where none was graded), an unknown price is the dearest one known, an unknown speed the slowest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

from app.domain.catalog import Target
from app.domain.config.runtime_config import Weights
from app.domain.evidence.evidence import Evidence
from app.domain.policy import Objective, Policy

#: of latency, cost, reliability; each 0..1, 1 is the best
Features = tuple[float, float, float]
#: calls that the usual success rate is worth beside those of a target
USUAL_MASS = 10.0
#: the share of calls that lie beyond a 95th percentile
BEYOND_P95 = 0.05
#: a base weight below this counts as this: who sets it to nothing gets no infinite lean
LEAST_BASE = 0.01


class Figures(NamedTuple):
    """Of one target, without gaps."""

    #: mean of successes
    latency_ms: float
    cost_usd: float
    #: success × quality, the success drawn to what is usual
    good: float
    #: 0..1: per call, what it costs in time and money as shares of what is too slow and too dear
    late: float
    dear: float
    quality: float = 1.0


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
        elif success_at_best(known) < success:
            refused[target] = f"success {known.success:.2f} is below {success:.2f} beyond chance"
        elif known.quality is not None and known.quality + 2 * known.quality_error < quality:
            refused[target] = f"quality {known.quality:.2f} is below {quality:.2f}"
    return refused


def success_at_best(known: Evidence) -> float:
    """Upper end of the interval in which the success rate lies, two standard errors (Agresti and Coull 1998)."""
    mass = known.mass + 4
    middle = (known.success * known.mass + 2) / mass
    return min(1.0, middle + 2 * math.sqrt(middle * (1 - middle) / mass))


def figures(evidence: Mapping[Target, Evidence], objective: Objective) -> dict[Target, Figures]:
    latencies = [known.latency_ms for known in evidence.values() if known.latency_ms is not None]
    costs = [known.cost_usd for known in evidence.values() if known.cost_usd is not None]
    grades = [known.quality for known in evidence.values() if known.quality is not None]
    slowest = max(latencies, default=objective.latency_ref_ms)
    dearest = max(costs, default=0.0)
    slowest_share = max((known.slow.mean for known in evidence.values() if known.slow.mass), default=0.0)
    average = sum(grades) / len(grades) if grades else 1.0
    usual = median(known.success for known in evidence.values()) if evidence else 1.0
    return {
        target: _figures(
            known,
            slowest if known.latency_ms is None else known.latency_ms,
            dearest if known.cost_usd is None else known.cost_usd,
            average if known.quality is None else known.quality,
            _drawn(known, usual),
            known.slow.mean if known.slow.mass else slowest_share,
            objective,
        )
        for target, known in evidence.items()
    }


def _drawn(known: Evidence, usual: float) -> float:
    """Success, drawn to what is usual here: one failure of ten calls is mostly chance (James and Stein)."""
    return (known.success * known.mass + usual * USUAL_MASS) / (known.mass + USUAL_MASS)


def _figures(
    known: Evidence,
    latency_ms: float,
    cost_usd: float,
    quality: float,
    served: float,
    slow: float,
    objective: Objective,
) -> Figures:
    late = known.late.mean if known.late.mass else min(1.0, latency_ms / objective.latency_ref_ms)
    dear = known.dear.mean if known.dear.mass else min(1.0, cost_usd / objective.cost_ref_usd)
    late = served * late + (1 - served) * (known.late_failed if known.late_failed_mass else late)
    if objective.p95:
        late = (objective.latency * late + objective.p95 * min(1.0, slow / BEYOND_P95)) / objective.time
    return Figures(
        latency_ms,
        cost_usd,
        good=served * quality,
        late=late,
        dear=served * dear,
        quality=quality,
    )


def features(known: Figures) -> Features:
    return (1.0 - known.late, 1.0 - known.dear, known.good)


def effective(weights: Weights, policy: Policy) -> Features:
    """What the weights make of the objective: e, with a sum of 1."""
    lean = leaned((weights.latency, weights.cost, weights.reliability), policy)
    whole = sum(lean)
    if whole <= 0:  # all that counts is what the objective is indifferent to
        return (weights.latency, weights.cost, weights.reliability)
    return (lean[0] / whole, lean[1] / whole, lean[2] / whole)


def leaned(of_three: Features, policy: Policy) -> Features:
    """Each by what the objective gives for a unit of its base weight: o / w0, as a share of all the objective gives."""
    objective, base = policy.objective, policy.weights.base
    whole = objective.time + objective.cost + 1.0
    return (
        of_three[0] * objective.time / max(base[0], LEAST_BASE) / whole,
        of_three[1] * objective.cost / max(base[1], LEAST_BASE) / whole,
        of_three[2] / max(base[2], LEAST_BASE) / whole,
    )


def score(effective_weights: Features, shares: Features) -> float:
    return sum(weight * share for weight, share in zip(effective_weights, shares, strict=True))


def utility(known: Figures, objective: Objective) -> float:
    return known.good - objective.time * known.late - objective.cost * known.dear


def comparable(evidence: Mapping[Target, Evidence], policy: Policy) -> dict[Target, Features]:
    """Features of those that pass the gate."""
    refused = gate(evidence, policy)
    known = figures(evidence, policy.objective)
    return {target: features(known[target]) for target in evidence if target not in refused}
