"""What the optimizer remembers from round to round."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.domain.optimizer import weight_moves
from app.domain.optimizer.round_table import RoundTable
from app.domain.optimizer.weight_moves import Triple
from app.domain.policy import Policy


@dataclass(frozen=True, slots=True)
class OptimizerState:
    #: what a slow or unreliable target has added to the exploration rate, and what it was added to
    excess: float = 0.0
    base_rate: float | None = None
    tables: tuple[RoundTable, ...] = ()
    #: weights before the last move of ours: the way back
    previous: Triple | None = None
    #: the rule has had its say, or evidence has: from here on evidence alone moves weights
    spoken: bool = False
    #: in force when we last looked, and what we set then; anything else was set by a person
    given_weights: Triple | None = None
    own_weights: Triple | None = None
    given_rate: float | None = None
    own_rate: float | None = None
    #: weights that proposals stay close to; None: the policy's
    base_weights: Triple | None = None

    @classmethod
    def empty(cls) -> OptimizerState:
        return cls()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: object) -> OptimizerState:
        """Raises ValueError for what `to_json` did not write; keys of another release are passed over."""
        try:
            # made here, as it takes milliseconds to make: this is asked once a round, and never by a replay
            return TypeAdapter(OptimizerState).validate_python(document)
        except ValidationError as error:
            raise ValueError(f"not an optimizer state: {error}") from None


def respect_manual_changes(state: OptimizerState, weights: Triple, rate: float, policy: Policy) -> OptimizerState:
    """What a person set since our last round is the new base, not something to be undone.

    A proposal of ours that was not applied (autoOptimization off, weights pinned) leaves what was given: no person's
    doing, and the proposal is still to be made.
    """
    own, given = state.own_weights, state.given_weights
    ours = [each for each in (own, given) if each is not None]
    strange = not weight_moves.is_close(weights, policy.weights.base, policy.weights.radius) if not ours else True
    if strange and not any(weight_moves.is_close(weights, each) for each in ours):
        state = replace(state, base_weights=weights, previous=None, spoken=False)
    elif own is not None and not weight_moves.is_close(weights, own):
        state = replace(state, previous=None, spoken=False)
    rates = [each for each in (state.own_rate, state.given_rate) if each is not None]
    if not any(abs(rate - each) < 1e-9 for each in rates):
        state = replace(state, base_rate=rate, excess=0.0)
    return state
