"""The optimizer's memory from what is recorded: rounds give its tables, revisions all it did to the config."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.domain.evidence.scorecard import Scorecard
from app.domain.optimizer import optimizer, weight_moves
from app.domain.optimizer.optimizer import OptimizerState
from app.domain.optimizer.weight_moves import Triple
from app.domain.outcome import Outcome
from app.domain.policy import Policy


@dataclass(frozen=True, slots=True)
class Change:
    """A revision, as far as weights and exploration go."""

    weights: Triple
    rate: float
    #: optimizer.Verdict; None: not the optimizer's
    verdict: str | None = None
    #: made at the end of a round, not between rounds
    of_round: bool = True


def with_round(
    state: OptimizerState, card_before: Scorecard, outcomes: Sequence[Outcome], policy: Policy
) -> OptimizerState:
    """… that also knows a round which measured everything."""
    table = optimizer.measure(outcomes, policy.objective)
    return optimizer.remember(state, optimizer.known_by_name(card_before.evidence, policy), table, policy)


def with_changes(state: OptimizerState, changes: Iterable[Change], policy: Policy) -> OptimizerState:
    """… that also knows what became of the config: every revision, oldest first."""
    before: Change | None = None
    for change in changes:
        if before is not None and change.verdict is not None:
            state = optimizer.respect_manual_changes(state, before.weights, before.rate, policy)
            state = _moved(state, before, change, policy)
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


def _moved(state: OptimizerState, before: Change, change: Change, policy: Policy) -> OptimizerState:
    """What follows from its verdict, as the optimizer concludes it."""
    if change.verdict == "partial":
        return state
    if change.of_round:
        state = replace(state, rounds_since=state.rounds_since + 1)
    if change.verdict == "rolled_back":
        return replace(state, previous=None, rounds_since=0, hold=policy.weights.hold_rounds)
    if change.verdict == "held":
        return replace(state, hold=max(0, state.hold - 1))
    moved = change.verdict in ("proposed", "better") and not weight_moves.is_close(change.weights, before.weights)
    return replace(state, previous=before.weights, rounds_since=0) if moved else state
