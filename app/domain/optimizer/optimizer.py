"""The optimizer: once per round, evidence → weights, exploration rate, insights. Propose, verify, roll back.

A round measures every target, so a change of weights can be verified on the rounds that lie behind: what would the
old and the new weights have chosen from what was known before each round, and what was that worth in it? Weights are
preferences; the optimizer corrects a mismatch between them and the objective, it cannot create value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from app.domain.catalog import Target
from app.domain.config.runtime_config import Weights
from app.domain.evidence import evidence
from app.domain.evidence.evidence import Evidence
from app.domain.evidence.scorecard import Scorecard
from app.domain.insight import Insight, Names
from app.domain.optimizer import insights as insights_
from app.domain.optimizer import weight_moves
from app.domain.optimizer.round_summary import Measured, measure, optimization_score, prompt_mix, was_down
from app.domain.optimizer.weight_moves import RoundTable, Triple, earned
from app.domain.outcome import Outcome
from app.domain.policy import Policy
from app.domain.routing import scoring
from app.domain.routing.scoring import Features

__all__ = ["Insight", "Optimization", "OptimizerState", "measure", "optimize"]

#: `proposed` by the rule or `better` on the grid: moves; `rolled_back`: undone; the others leave weights as they are
Verdict = Literal["proposed", "better", "rolled_back", "held", "kept", "partial"]


@dataclass(frozen=True, slots=True)
class OptimizerState:
    #: what a slow or unreliable target has added to the exploration rate, and what it was added to
    excess: float = 0.0
    base_rate: float | None = None
    tables: tuple[RoundTable, ...] = ()
    #: weights before the last move of ours, and rounds since it
    previous: Triple | None = None
    rounds_since: int = 0
    #: rounds in which nothing moves, after a rollback
    hold: int = 0
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
        """Raises ValueError for what `to_json` did not write; unknown keys of a later release are passed over."""
        try:
            # made here, as it takes milliseconds to make: this is asked once a round, and never by a replay
            return TypeAdapter(OptimizerState).validate_python(document)
        except ValidationError as error:
            raise ValueError(f"not an optimizer state: {error}") from None


@dataclass(frozen=True, slots=True)
class Optimization:
    weights: Weights
    exploration_rate: float
    insights: tuple[Insight, ...]
    #: 0: served no better than at random, 1: as the best target; over `score_samples` probes. None: not a round
    score: float | None
    score_samples: int
    state: OptimizerState
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of the weights; `gain`: in utility per call, over the rounds that decided."""

    verdict: Verdict
    weights: Triple
    gain: float = 0.0


def optimize(
    state: OptimizerState,
    card_before: Scorecard,
    card_after: Scorecard,
    outcomes: Sequence[Outcome],
    weights: Weights,
    exploration_rate: float,
    policy: Policy,
    *,
    complete: bool,
    trimmed: bool = False,
    now: datetime,
) -> Optimization:
    """One finished round. `weights` and `exploration_rate` are those in force; `complete`: every probe ran.

    `trimmed`: of a part of the prompts, so that its latencies are not those of the rounds before.
    """
    table = measure(outcomes, policy.objective)
    names = Names(table)
    before = weight_moves.of_weights(weights)
    state = respect_manual_changes(state, before, exploration_rate, policy)
    known_before = known_by_name(card_before.evidence, policy)
    known = {target: card_after.evidence[target] for target in table if target in card_after.evidence}
    if complete:
        state = remember(state, known_before, table, policy)
        usual_ms = {target: known.baseline_ms for target, known in card_before.evidence.items() if known.baseline_ms}
        rate, state, said = _explore(state, exploration_rate, usual_ms, table, names, policy, trimmed=trimmed)
        move, state = _weigh(state, before, known, policy)
    else:
        rate, said, move = exploration_rate, [], Move("partial", before)
    said += insights_.weights(before, move.weights, move.verdict, move.gain, list(known.values()), policy.weights)
    after = weight_moves.to_weights(move.weights)
    ranked = scoring.comparable(known, policy)
    lean = scoring.effective(after, policy)
    said += insights_.best({names.of(target): scoring.score(lean, shares) for target, shares in ranked.items()})
    worth, samples = optimization_score(known_before or _by_name(ranked, policy), before, table)
    state = replace(state, given_weights=before, own_weights=move.weights, given_rate=exploration_rate, own_rate=rate)
    return Optimization(
        weights=after,
        exploration_rate=rate,
        insights=tuple(said),
        score=worth,
        score_samples=samples,
        state=state,
        evidence={
            "verdict": move.verdict,
            "at": int(now.timestamp() * 1000),
            "spread": round(weight_moves.latency_spread(known.values()), 4),
            "earned": _earnings(before, move, state, policy),
            "targets": {names.of(target): asdict(row) for target, row in table.items()},
        },
    )


def _earnings(before: Triple, move: Move, state: OptimizerState, policy: Policy) -> dict[str, float]:
    """What the weights before and after the move would have earned over the rounds that are remembered."""
    return {
        "before": round(earned(before, state.tables, policy.weights), 5),
        "after": round(earned(move.weights, state.tables, policy.weights), 5),
        "gain": round(move.gain, 5),
        "rounds": min(len(state.tables), policy.weights.horizon_rounds),
    }


def known_by_name(known: Mapping[Target, Evidence], policy: Policy) -> dict[str, Features]:
    """What a choice could have been made by."""
    return _by_name(scoring.comparable(known, policy), policy)


def _by_name(known: Mapping[Target, Features], policy: Policy) -> dict[str, Features]:
    return {str(target): scoring.leaned(shares, policy) for target, shares in known.items()}


def remember(
    state: OptimizerState, known: Mapping[str, Features], table: Mapping[Target, Measured], policy: Policy
) -> OptimizerState:
    """The round for later verification; one that gave no choice teaches nothing about weights.

    Nor does a target that was down in it: gate and breakers take it out within a few calls under any weights, while
    here those that happened not to favour it would look better by all that an answer is worth.
    """
    up = {str(target): row for target, row in table.items() if not was_down(row, policy)}
    if not known.keys() & up.keys():
        return state
    utilities = {name: row.utility for name, row in up.items()}
    errors = {name: row.utility_error for name, row in up.items() if row.utility_error is not None}
    return replace(state, tables=(*state.tables, RoundTable(known, utilities, errors))[-policy.rounds.history :])


# ── exploration ──────────────────────────────────────────────────────────────────────────────────────────────────────


def respect_manual_changes(state: OptimizerState, weights: Triple, rate: float, policy: Policy) -> OptimizerState:
    """What a person set since our last round is the new base, not something to be undone.

    A proposal of ours that was not applied (autoOptimization off) leaves what was given: no person's doing.
    """
    ours = [each for each in (state.own_weights, state.given_weights) if each is not None]
    strange = not weight_moves.is_close(weights, policy.weights.base, policy.weights.radius) if not ours else True
    if strange and not any(weight_moves.is_close(weights, each) for each in ours):
        state = replace(state, base_weights=weights, previous=None, rounds_since=0, hold=0)
    rates = [each for each in (state.own_rate, state.given_rate) if each is not None]
    if not any(abs(rate - each) < 1e-9 for each in rates):
        state = replace(state, base_rate=rate, excess=0.0)
    return state


def _explore(
    state: OptimizerState,
    was: float,
    usual_ms: Mapping[Target, float],
    table: Mapping[Target, Measured],
    names: Names,
    policy: Policy,
    *,
    trimmed: bool,
) -> tuple[float, OptimizerState, list[Insight]]:
    limits = policy.exploration
    base = was if state.base_rate is None else state.base_rate
    mix = prompt_mix(table, usual_ms) if trimmed else None
    found = (_alarm(names.of(target), usual_ms.get(target), row, policy, mix) for target, row in table.items())
    alarms = [alarm for alarm in found if alarm is not None]
    excess = limits.raised - limits.base if alarms else state.excess * limits.excess_decay
    excess = excess if excess >= 0.001 else 0.0
    rate = min(1.0, round(base + excess, 4))
    return rate, replace(state, excess=excess), insights_.exploration(alarms, was, rate)


def _alarm(name: str, usual_ms: float | None, row: Measured, policy: Policy, mix: float | None) -> Insight | None:
    limits, expected_ms = policy.exploration, usual_ms * (mix or 1.0) if usual_ms is not None else None
    if (
        expected_ms is not None
        and row.latency_ms is not None
        and evidence.became_slow(row.latency_ms, expected_ms, limits)
    ):
        return insights_.became_slow(name, row.latency_ms, expected_ms, of_a_part=mix is not None)
    if row.success < limits.success_below:
        return insights_.became_unreliable(name, row.success, row.probes, limits.success_below)
    return None


# ── weights: propose, verify, roll back ──────────────────────────────────────────────────────────────────────────────


def _weigh(
    state: OptimizerState, before: Triple, known: Mapping[Target, Evidence], policy: Policy
) -> tuple[Move, OptimizerState]:
    limits, tables = policy.weights, state.tables
    if len(known) < 2:
        return Move("kept", before), state
    state = replace(state, rounds_since=state.rounds_since + 1)
    recent = tables[-limits.rollback_rounds :]
    if state.previous is not None and state.rounds_since >= limits.rollback_rounds:
        regret = earned(state.previous, recent, limits) - earned(before, recent, limits)
        error = weight_moves.earned_more_error(state.previous, before, recent, limits)
        if regret > max(limits.rollback_loss, limits.rollback_sigma * error):
            move = Move("rolled_back", state.previous, regret)
            return move, replace(state, previous=None, rounds_since=0, hold=limits.hold_rounds)
    if state.hold > 0:
        return Move("held", before), replace(state, hold=state.hold - 1)
    move = best_move(state, before, list(known.values()), policy)
    if weight_moves.is_close(move.weights, before):
        return Move("kept", before), state
    return move, replace(state, previous=before, rounds_since=0)


def best_move(state: OptimizerState, before: Triple, known: Sequence[Evidence], policy: Policy) -> Move:
    limits, tables = policy.weights, state.tables
    base, now = state.base_weights or limits.base, earned(before, tables, limits)
    move = Move("kept", before)
    proposed = weight_moves.proposal(before, base, known, limits)
    gain = earned(proposed, tables, limits) - now
    if gain >= -limits.accept_slack:
        move = Move("proposed", proposed, gain)
    if len(tables) >= limits.neighbour_min_rounds:
        near = weight_moves.neighbours(before, base, limits)
        best = max(near, key=lambda weights: earned(weights, tables, limits), default=before)
        gain = earned(best, tables, limits) - now
        if gain > move.gain + limits.neighbour_gain:
            move = Move("better", best, gain)
    return move
