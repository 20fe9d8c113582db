"""The optimizer's memory from what is recorded: rounds give its tables, revisions all it did to the config."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

from app.domain.evidence.scorecard import Scorecard
from app.domain.optimizer import insights, moves, optimizer
from app.domain.optimizer.moves import Move, Verdict
from app.domain.optimizer.state import OptimizerState, respect_manual_changes
from app.domain.optimizer.weight_moves import Triple
from app.domain.outcome import Outcome
from app.domain.policy import Policy


@dataclass(frozen=True, slots=True)
class Change:
    """A revision, as far as weights and exploration go."""

    weights: Triple
    rate: float
    #: moves.Verdict, or a word of an older release's; None: not the optimizer's
    verdict: str | None = None


def with_round(
    state: OptimizerState, before: Scorecard, after: Scorecard, outcomes: Sequence[Outcome], policy: Policy
) -> OptimizerState:
    """… that also knows a round which measured everything; the scorecard before it, and after."""
    if insights.references(policy.objective, before.references, after.references):
        state = replace(state, tables=())
    before, policy = before.measured_by(after.references, policy), after.in_force(policy)
    table = optimizer.measure(outcomes, policy.objective)
    return optimizer.remember(state, optimizer.known_by_name(before.evidence, policy), table, policy)


def with_changes(state: OptimizerState, changes: Iterable[Change], policy: Policy) -> OptimizerState:
    """… that also knows what became of the config: every revision, oldest first."""
    before: Change | None = None
    for change in changes:
        if before is not None and change.verdict is not None:
            state = respect_manual_changes(state, before.weights, before.rate, policy)
            state = _moved(state, before, change)
            # what a target has added to the rate is what the rate is above its base
            base = change.rate if state.base_rate is None else state.base_rate
            state = replace(
                state,
                excess=max(0.0, round(change.rate - base, 4)),
                given_weights=before.weights,
                own_weights=change.weights,
                given_rate=before.rate,
                own_rate=change.rate,
            )
        before = change
    return state


def _moved(state: OptimizerState, before: Change, change: Change) -> OptimizerState:
    """What follows from its verdict, as the optimizer concludes it; `held` was one of an older release."""
    if change.verdict not in get_args(Verdict):
        return state
    return moves.after_move(state, before.weights, Move(cast(Verdict, change.verdict), change.weights))
