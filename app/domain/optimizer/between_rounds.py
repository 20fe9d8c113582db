"""The optimizer between rounds (`continuousLearning`): what live evidence alone can move, by the same rules."""

from __future__ import annotations

from dataclasses import replace

from app.domain.config.runtime_config import Weights
from app.domain.evidence import evidence
from app.domain.evidence.evidence import Evidence
from app.domain.evidence.scorecard import Scorecard
from app.domain.insight import Insight, Names
from app.domain.optimizer import insights, weight_moves
from app.domain.optimizer.optimizer import Move, Optimization, OptimizerState, best_move, respect_manual_changes
from app.domain.policy import Policy


def optimize(
    state: OptimizerState, card: Scorecard, weights: Weights, exploration_rate: float, policy: Policy
) -> Optimization | None:
    """Between rounds, on live evidence: raise exploration, move weights by the same verification; None: nothing to do.

    Rounds alone lower exploration again, roll weights back and keep the score: live traffic shows of each request one
    target only.
    """
    if len(card.evidence) < 2:
        return None
    names, before = Names(card.evidence), weight_moves.of_weights(weights)
    state = respect_manual_changes(state, before, exploration_rate, policy)
    said = [alarm for target, known in card.evidence.items() if (alarm := _live_alarm(names.of(target), known, policy))]
    limits, base = policy.exploration, exploration_rate if state.base_rate is None else state.base_rate
    raised = min(1.0, round(base + limits.raised - limits.base, 4)) if said else exploration_rate
    rate = max(exploration_rate, raised)
    found = insights.exploration(said, exploration_rate, rate) if rate > exploration_rate else []
    move = Move("kept", before)
    if state.hold == 0 and state.tables:
        move = best_move(state, before, list(card.evidence.values()), policy)
    moves = not weight_moves.is_close(move.weights, before)
    if not moves and rate <= exploration_rate:
        return None
    if moves:
        known = list(card.evidence.values())
        found += insights.weights(before, move.weights, move.verdict, move.gain, known, policy.weights)
        state = replace(state, previous=before, rounds_since=0)
    excess = limits.raised - limits.base if rate > exploration_rate else state.excess
    state = replace(
        state, excess=excess, given_weights=before, own_weights=move.weights, given_rate=exploration_rate, own_rate=rate
    )
    return Optimization(
        weights=weight_moves.to_weights(move.weights),
        exploration_rate=rate,
        insights=tuple(found),
        score=None,
        score_samples=0,
        state=state,
        evidence={"verdict": move.verdict, "gain": round(move.gain, 5)},
    )


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
