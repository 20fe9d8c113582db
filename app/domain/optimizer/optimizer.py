"""The optimizer: once per round, evidence → weights, exploration rate, insights. Propose, test, undo.

A round measures every target, so a change of weights can be tested on the rounds that lie behind: what would the old
and the new weights have chosen from what was known before each round, and what was that worth in it? Weights are
preferences; the optimizer corrects a mismatch between them and the objective, it cannot create value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from app.domain.catalog import Target
from app.domain.config.runtime_config import Weights
from app.domain.evidence import evidence
from app.domain.evidence.evidence import Evidence
from app.domain.evidence.scorecard import Scorecard
from app.domain.insight import Insight, Names
from app.domain.optimizer import insights as insights_
from app.domain.optimizer import standing, weight_moves
from app.domain.optimizer.moves import Move, after_move, best_move
from app.domain.optimizer.round_summary import Measured, measure, prompt_mix, round_table
from app.domain.optimizer.standing import Score
from app.domain.optimizer.state import OptimizerState, respect_manual_changes
from app.domain.optimizer.weight_moves import Triple
from app.domain.outcome import Outcome
from app.domain.policy import Policy
from app.domain.rounds.measurement import own_trouble
from app.domain.routing import scoring
from app.domain.routing.scoring import Features

__all__ = ["Insight", "Optimization", "OptimizerState", "measure", "optimize"]


@dataclass(frozen=True, slots=True)
class Optimization:
    weights: Weights
    exploration_rate: float
    insights: tuple[Insight, ...]
    #: how what is served compares with the best there is; None: this moves nothing, or is no round
    score: Score | None
    state: OptimizerState
    evidence: dict[str, Any]


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
    keys: Mapping[str, str] = MappingProxyType({}),
    now: datetime,
) -> Optimization:
    """One finished round. `weights` and `exploration_rate` are those in force; `complete`: every probe ran.

    `trimmed`: of a part of the prompts, so that its latencies are not those of the rounds before. `keys`:
    by provider, the variable its key is in.
    """
    declared = policy.objective
    changed = insights_.references(declared, card_before.references, card_after.references)
    card_before = card_before.measured_by(card_after.references, policy)
    policy = card_after.in_force(policy)
    table = measure(outcomes, policy.objective)
    names = Names(table)
    before = weight_moves.of_weights(weights)
    state = respect_manual_changes(state, before, exploration_rate, policy)
    if changed:  # what the tables hold was measured by another objective
        state = replace(state, tables=())
    known_before = known_by_name(card_before.evidence, policy)
    known = {target: card_after.evidence[target] for target in table if target in card_after.evidence}
    ranked = scoring.comparable(known, policy)
    trouble = own_trouble(outcomes)
    rate, said, move = exploration_rate, [*insights_.needs_person(outcomes, keys), *changed], Move("partial", before)
    worth: Score | None = None
    if complete and trouble is None:
        state = remember(state, known_before, table, policy)
        usual_ms = {target: known.baseline_ms for target, known in card_before.evidence.items() if known.baseline_ms}
        rate, state, alarms = _explore(state, exploration_rate, usual_ms, table, names, policy, trimmed=trimmed)
        said += alarms
        worth = _score(state, before, table, ranked, policy)
        move, state = _weigh(state, before, known, policy)
    said += [trouble] if trouble is not None else insights_.weights(before, move, list(known.values()), policy.weights)
    after = weight_moves.to_weights(move.weights)
    if complete and trouble is None:
        said += _beyond_weights(state, move.weights, ranked, names, policy)
        said += insights_.beyond_references(outcomes, declared)
        said += _best(after, ranked, table, names, policy)
    state = replace(state, given_weights=before, own_weights=move.weights, given_rate=exploration_rate, own_rate=rate)
    return Optimization(
        weights=after,
        exploration_rate=rate,
        insights=tuple(said),
        score=worth,
        state=state,
        evidence=_evidence(move, known, table, names, now),
    )


def _best(
    weights: Weights, ranked: Mapping[Target, Features], table: Mapping[Target, Measured], names: Names, policy: Policy
) -> list[Insight]:
    """Of those that answered in the round: a target that only failed may have been fast and cheap at it."""
    lean = scoring.effective(weights, policy)
    answered = {target: shares for target, shares in ranked.items() if table[target].success > 0}
    return insights_.best({names.of(target): scoring.score(lean, shares) for target, shares in answered.items()})


def _evidence(
    move: Move, known: Mapping[Target, Evidence], table: Mapping[Target, Measured], names: Names, now: datetime
) -> dict[str, Any]:
    """What the revision keeps of why."""
    return {
        "verdict": move.verdict,
        "at": int(now.timestamp() * 1000),
        "spread": round(weight_moves.latency_spread(known.values()), 4),
        "earned": None if move.gain is None else move.gain.to_json(),
        "targets": {names.of(target): row.to_json() for target, row in table.items()},
    }


def _score(
    state: OptimizerState,
    weights: Triple,
    table: Mapping[Target, Measured],
    ranked: Mapping[Target, Features],
    policy: Policy,
) -> Score | None:
    """Over the rounds remembered; before there is one, of what the first round alone says."""
    first = [] if state.tables else [round_table(_by_name(ranked, policy), table, policy)]
    return standing.score(weights, state.tables or [each for each in first if each is not None], policy.weights)


def _beyond_weights(
    state: OptimizerState, weights: Triple, ranked: Mapping[Target, Features], names: Names, policy: Policy
) -> list[Insight]:
    """What the weights put first, although by the objective another target is worth more."""
    known = {str(target): target for target in ranked}
    if not known:
        return []
    preferred = weight_moves.choice(_by_name(ranked, policy), weights)
    found = standing.better_than(preferred, known, state.tables, policy.weights)
    if found is None:
        return []
    better, gain = found
    return [insights_.worth_more(names.of(known[better]), names.of(known[preferred]), gain)]


def known_by_name(known: Mapping[Target, Evidence], policy: Policy) -> dict[str, Features]:
    """What a choice could have been made by."""
    return _by_name(scoring.comparable(known, policy), policy)


def _by_name(known: Mapping[Target, Features], policy: Policy) -> dict[str, Features]:
    return {str(target): scoring.leaned(shares, policy) for target, shares in known.items()}


def remember(
    state: OptimizerState, known: Mapping[str, Features], table: Mapping[Target, Measured], policy: Policy
) -> OptimizerState:
    """The round for later verification."""
    remembered = round_table(known, table, policy)
    if remembered is None:
        return state
    return replace(state, tables=(*state.tables, remembered)[-policy.weights.horizon_rounds :])


# ── exploration ──────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── weights ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _weigh(
    state: OptimizerState, before: Triple, known: Mapping[Target, Evidence], policy: Policy
) -> tuple[Move, OptimizerState]:
    if len(known) < 2:
        return Move("kept", before), state
    move = best_move(state, before, list(known.values()), policy)
    return move, after_move(state, before, move)
