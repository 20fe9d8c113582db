"""The optimizer between rounds (`continuousLearning`): what live evidence alone can move, by the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from app.domain.catalog import Target
from app.domain.config.runtime_config import Weights
from app.domain.evidence import evidence
from app.domain.evidence.evidence import Evidence
from app.domain.evidence.scorecard import Scorecard
from app.domain.insight import Insight, Names
from app.domain.optimizer import insights, weight_moves
from app.domain.optimizer.moves import Move, after_move, best_move
from app.domain.optimizer.optimizer import Optimization
from app.domain.optimizer.state import OptimizerState, respect_manual_changes
from app.domain.policy import Policy


def optimize(
    state: OptimizerState, card: Scorecard, weights: Weights, exploration_rate: float, policy: Policy
) -> Optimization | None:
    """Between rounds, on live evidence: raise exploration, move weights by the same test; None: nothing to do.

    Rounds alone lower exploration again and keep the score: live traffic shows of each request one target only. What a
    person must mend at a target says nothing, and what fails everywhere at once is our own trouble.
    """
    policy = card.in_force(policy)
    evidence_ = {target: known for target, known in card.evidence.items() if known.needs_person is None}
    if len(evidence_) < 2 or _all_fail(evidence_, policy):
        return None
    names, before = Names(card.evidence), weight_moves.of_weights(weights)
    state = respect_manual_changes(state, before, exploration_rate, policy)
    said = [alarm for target, known in evidence_.items() if (alarm := _live_alarm(names.of(target), known, policy))]
    limits, base = policy.exploration, exploration_rate if state.base_rate is None else state.base_rate
    raised = min(1.0, round(base + limits.raised - limits.base, 4)) if said else exploration_rate
    rate = max(exploration_rate, raised)
    found = insights.exploration(said, exploration_rate, rate) if rate > exploration_rate else []
    known = list(evidence_.values())
    move = best_move(state, before, known, policy) if state.tables else Move("kept", before)
    if weight_moves.is_close(move.weights, before) and rate <= exploration_rate:
        return None
    found += insights.weights(before, move, known, policy.weights)
    state = after_move(state, before, move)
    excess = limits.raised - limits.base if rate > exploration_rate else state.excess
    state = replace(
        state, excess=excess, given_weights=before, own_weights=move.weights, given_rate=exploration_rate, own_rate=rate
    )
    return Optimization(
        weights=weight_moves.to_weights(move.weights),
        exploration_rate=rate,
        insights=tuple(found),
        score=None,
        state=state,
        evidence={"verdict": move.verdict, "earned": None if move.gain is None else move.gain.to_json()},
    )


def _all_fail(evidence_: Mapping[Target, Evidence], policy: Policy) -> bool:
    failing = all(known.failure_run >= policy.breaker.failures for known in evidence_.values())
    return failing and len({target.provider for target in evidence_}) > 1


def _live_alarm(name: str, known: Evidence, policy: Policy) -> Insight | None:
    """A target that became slow or unreliable since its last round, by enough live calls to tell."""
    limits, baseline = policy.exploration, known.baseline_ms
    if known.latency_mass < policy.drift.min_instances or known.live_count == 0:
        return None
    if (
        baseline is not None
        and known.latency_ms is not None
        and evidence.became_slow(known.latency_ms, baseline, limits)
    ):
        return insights.became_slow(name, known.latency_ms, baseline)
    if known.success < limits.success_below and (known.usual_success or 0.0) >= limits.success_below:
        return insights.became_unreliable(name, known.success, round(known.mass), limits.success_below)
    return None
