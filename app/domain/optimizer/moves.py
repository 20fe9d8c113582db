"""Whether weights move: the rule proposes once, evidence decides from then on, by one test in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from app.domain.evidence.evidence import Evidence
from app.domain.optimizer import weight_moves
from app.domain.optimizer.gains import Gain, gained
from app.domain.optimizer.round_table import RoundTable, between, recent
from app.domain.optimizer.state import OptimizerState
from app.domain.optimizer.weight_moves import Triple
from app.domain.policy import Policy, WeightsPolicy

#: moves: `proposed` by the rule, `better` by evidence, `rolled_back`: the way back, by evidence; no moves:
#: `contradicted`, the rule's proposal by evidence, and the others
Verdict = Literal["proposed", "better", "rolled_back", "contradicted", "kept", "partial"]


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of the weights; `gain`: of the move, or of the one that evidence contradicts."""

    verdict: Verdict
    weights: Triple
    #: None: there is too little to tell
    gain: Gain | None = None


def best_move(state: OptimizerState, before: Triple, known: Sequence[Evidence], policy: Policy) -> Move:
    """The best of the moves that evidence is sure of; else the rule's proposal, once, unless evidence is against it."""
    limits = policy.weights
    base = state.base_weights or limits.base
    rule = weight_moves.proposal(before, base, known, limits)
    tested = _tested(before, _candidates(state, before, base, rule, limits), state.tables, limits)
    sure = {weights: gain for weights, gain in tested.items() if gain is not None and gain.low > 0}
    if sure:
        best = max(sure, key=lambda weights: sure[weights].value)  # the first of those that choose the same
        return Move(_verdict(state, best, rule), best, sure[best])
    inside = weight_moves.is_close(before, base, limits.radius)
    if weight_moves.is_close(rule, before) or (state.spoken and inside):
        return Move("kept", before)
    gain = tested[rule]
    if gain is not None and gain.high < 0:
        return Move("contradicted", before, gain)
    return Move("proposed", rule, gain)


def after_move(state: OptimizerState, before: Triple, move: Move) -> OptimizerState:
    """What follows for the moves to come."""
    if move.verdict == "contradicted":
        return replace(state, spoken=True)
    if weight_moves.is_close(move.weights, before):
        return state
    return replace(state, spoken=True, previous=None if move.verdict == "rolled_back" else before)


def _candidates(
    state: OptimizerState, before: Triple, base: Triple, rule: Triple, limits: WeightsPolicy
) -> list[Triple]:
    """The rule's first, then the way back, then what is near: the nearer to the base the sooner."""
    near = weight_moves.neighbours(before, base, limits)
    near.sort(key=lambda weights: sum(abs(a - b) for a, b in zip(weights, base, strict=True)))
    way_back = [] if state.previous is None else [state.previous]
    return [rule, *way_back, *near]


def _verdict(state: OptimizerState, best: Triple, rule: Triple) -> Verdict:
    if state.previous is not None and weight_moves.is_close(best, state.previous):
        return "rolled_back"
    return "proposed" if weight_moves.is_close(best, rule) else "better"


def _tested(
    before: Triple, candidates: Sequence[Triple], tables: Sequence[RoundTable], limits: WeightsPolicy
) -> dict[Triple, Gain | None]:
    """What each would have gained over the present weights; those that choose the same are one and the same choice."""
    rounds = recent(tables, limits)
    if len(rounds) < limits.least_rounds:
        return dict.fromkeys(candidates)
    now = choices(before, rounds)
    chosen = {weights: choices(weights, rounds) for weights in candidates}
    among = len(set(chosen.values()) - {now}) * limits.looks  # for all that is looked at in so many rounds together
    gains = {other: gained(between(rounds, other, now), limits, among) for other in set(chosen.values())}
    return {weights: gains[other] for weights, other in chosen.items()}


def choices(weights: Triple, rounds: Sequence[tuple[float, RoundTable]]) -> tuple[str, ...]:
    """Whom these weights would have put first before each round, of those that were up in it."""
    return tuple(
        weight_moves.choice({name: known for name, known in table.features.items() if name in table.worth}, weights)
        for _, table in rounds
    )
