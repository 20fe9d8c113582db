"""The optimizer: once per round, evidence → weights, exploration rate, insights. Propose, verify, roll back.

A round measures every target, so a change of weights can be verified on the rounds that lie behind: what would the
old and the new weights have chosen from what was known before each round, and what was that worth in it? Weights are
preferences; the optimizer corrects a mismatch between them and the objective, it cannot create value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from app.domain.catalog import Target
from app.domain.outcome import Outcome
from app.domain.policy import Objective, Policy, WeightsPolicy
from app.domain.router import Features, features, score
from app.domain.runtime_config import Weights
from app.domain.scorecard import Scorecard

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Insight:
    """A sentence a person can read, with the numbers behind it."""

    kind: str
    text: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RoundTable:
    """What was known of each target before a round, and what it was worth in it."""

    features: Mapping[str, Features]
    utilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class OptimizerState:
    #: smoothed mean latency in ms per target, before the latest round
    baselines: Mapping[str, float] = field(default_factory=dict)
    #: what a slow or unreliable target has added to the exploration rate, and what it was added to
    excess: float = 0.0
    base_rate: float | None = None
    tables: tuple[RoundTable, ...] = ()
    #: weights before the last move of ours, and rounds since it
    previous: Triple | None = None
    rounds_since: int = 0
    #: rounds in which nothing moves, after a rollback
    hold: int = 0
    #: what we set last; anything else was set by a person, and is where we start from
    own_weights: Triple | None = None
    own_rate: float | None = None
    #: weights that proposals stay close to; None: the policy's
    base_weights: Triple | None = None

    @classmethod
    def empty(cls) -> OptimizerState:
        return cls()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> OptimizerState:
        """Raises ValueError for what `to_json` did not write; unknown keys of a later release are passed over."""
        try:
            values = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
            tables = tuple(
                RoundTable({k: tuple(v) for k, v in table["features"].items()}, dict(table["utilities"]))
                for table in values.pop("tables", ())
            )
            triples = {
                name: None if values.get(name) is None else tuple(values[name])
                for name in ("previous", "own_weights", "base_weights")
            }
            return cls(**{**values, **triples, "tables": tables})
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not an optimizer state: {error!r}") from None


@dataclass(frozen=True, slots=True)
class Optimization:
    weights: Weights
    exploration_rate: float
    insights: tuple[Insight, ...]
    #: 0: served no better than at random, 1: as the best target; over `score_samples` probes
    score: float
    score_samples: int
    state: OptimizerState
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """One target in one round."""

    latency_ms: float | None
    success: float
    utility: float
    probes: int


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
    now: datetime,
) -> Optimization:
    """One finished round. `weights` and `exploration_rate` are those in force; `complete`: every probe ran."""
    names = _Names(card_after)
    table = measure(outcomes, policy.objective)
    state = _heed_people(state, weights, exploration_rate, policy)
    known_before = _features_by_name(card_before, policy.objective)
    rate, state, insights = _explore(state, table, names, policy)
    if complete and table and set(map(str, table)) <= set(known_before):
        seen = RoundTable(known_before, {str(target): row.utility for target, row in table.items()})
        state = replace(state, tables=(*state.tables, seen)[-policy.rounds.history :])
    before = _triple(weights)
    after, state, verdict = (
        _weigh(state, before, card_after, policy) if complete and table else (before, state, "partial")
    )
    insights += _weights_insights(before, after, verdict, card_after)
    known_now = _features_by_name(card_after, policy.objective)
    insights += _best_insight(known_now, after, card_after, names)
    worth, samples = optimization_score(known_before or known_now, before, table)
    state = replace(state, own_weights=after, own_rate=rate)
    return Optimization(
        weights=_weights(after),
        exploration_rate=rate,
        insights=tuple(insights),
        score=worth,
        score_samples=samples,
        state=state,
        evidence=_evidence(table, names, before, after, verdict, state.tables, card_after, policy, now),
    )


# ── what the round measured ──────────────────────────────────────────────────────────────────────────────────────────


def measure(outcomes: Sequence[Outcome], objective: Objective) -> dict[Target, Measured]:
    """The round's table, from outcomes that count; latency over successes."""
    by_target: dict[Target, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.counts:
            by_target.setdefault(outcome.target, []).append(outcome)
    return {target: _measured(calls, objective) for target, calls in by_target.items()}


def _measured(calls: Sequence[Outcome], objective: Objective) -> Measured:
    fast = [call.latency_ms for call in calls if call.success]
    return Measured(
        latency_ms=sum(fast) / len(fast) if fast else None,
        success=len(fast) / len(calls),
        utility=sum(_utility(call, objective) for call in calls) / len(calls),
        probes=len(calls),
    )


def _utility(call: Outcome, objective: Objective) -> float:
    good = (1.0 if call.quality is None else call.quality) if call.success else 0.0
    latency = min(1.0, call.latency_ms / objective.latency_ref_ms)
    cost = min(1.0, (call.cost_usd or 0.0) / objective.cost_ref_usd)
    return good - objective.latency * latency - objective.cost * cost


def optimization_score(
    known: Mapping[str, Features], weights: Triple, table: Mapping[Target, Measured]
) -> tuple[float, int]:
    """clip((U_served − U_mean) / (U_best − U_mean), 0, 1), and the number of probes; 1 where all are about as good."""
    worth = {str(target): row.utility for target, row in table.items() if str(target) in known}
    samples = sum(row.probes for row in table.values())
    if not worth:
        return 0.5, 0
    served = worth[_choice(known, weights, worth)]
    mean, best = sum(worth.values()) / len(worth), max(worth.values())
    if best - mean < 0.01:
        return 1.0, samples
    return min(1.0, max(0.0, (served - mean) / (best - mean))), samples


# ── exploration ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _heed_people(state: OptimizerState, weights: Weights, rate: float, policy: Policy) -> OptimizerState:
    """What a person set since our last round is the new base, not something to be undone."""
    if state.own_weights is not None and not _same(state.own_weights, _triple(weights)):
        state = replace(state, base_weights=_triple(weights), previous=None, rounds_since=0, hold=0)
    if state.base_rate is None or (state.own_rate is not None and abs(state.own_rate - rate) > 1e-9):
        state = replace(state, base_rate=rate, excess=0.0)
    return state


def _explore(
    state: OptimizerState, table: Mapping[Target, Measured], names: _Names, policy: Policy
) -> tuple[float, OptimizerState, list[Insight]]:
    limits = policy.exploration
    assert state.base_rate is not None
    was = state.base_rate + state.excess
    alarms = [alarm for target, row in table.items() if (alarm := _alarm(state, target, row, names, policy))]
    excess = limits.raised - limits.base if alarms else state.excess * limits.excess_decay
    if excess < 0.001:
        excess = 0.0
    rate = min(1.0, round(state.base_rate + excess, 4))
    moved = (
        f"exploration {_short(was)} → {_short(rate)}" if _short(was) != _short(rate) else f"exploration {_short(rate)}"
    )
    insights = [Insight(alarm.kind, f"{alarm.text}: {moved}", alarm.data) for alarm in alarms]
    if not alarms and rate < was:
        insights.append(Insight("exploration", f"no target became slow or unreliable: {moved}", {"rate": rate}))
    decay, baselines = limits.baseline_decay, dict(state.baselines)
    for target, row in table.items():
        if row.latency_ms is not None:
            old = baselines.get(str(target), row.latency_ms)
            baselines[str(target)] = decay * old + (1 - decay) * row.latency_ms
    return rate, replace(state, excess=excess, baselines=baselines), insights


def _alarm(state: OptimizerState, target: Target, row: Measured, names: _Names, policy: Policy) -> Insight | None:
    limits, baseline = policy.exploration, state.baselines.get(str(target))
    if baseline and row.latency_ms is not None and row.latency_ms > limits.latency_ratio * baseline:
        ratio = row.latency_ms / baseline
        text = f"{names.of(target)} latency {row.latency_ms:.0f} ms, was {baseline:.0f} ms (×{ratio:.2f})"
        return Insight("latency", text, {"latencyMs": row.latency_ms, "baselineMs": baseline, "ratio": round(ratio, 3)})
    if row.success < limits.success_below:
        text = f"{names.of(target)} success {row.success:.0%} is below {limits.success_below:.0%}"
        return Insight("reliability", text, {"success": row.success, "probes": row.probes})
    return None


# ── weights: propose, verify, roll back ──────────────────────────────────────────────────────────────────────────────


def _weigh(
    state: OptimizerState, before: Triple, card: Scorecard, policy: Policy
) -> tuple[Triple, OptimizerState, str]:
    limits = policy.weights
    state = replace(state, rounds_since=state.rounds_since + 1)
    if _regretted(state, before, limits):
        assert state.previous is not None
        return state.previous, replace(state, previous=None, rounds_since=0, hold=limits.hold_rounds), "rolled_back"
    if state.hold > 0:
        return before, replace(state, hold=state.hold - 1), "held"
    base = state.base_weights or limits.base
    chosen = before
    proposed = _step(before, _within(_proposal(base, card, limits), base, limits), limits)
    if earned(proposed, state.tables, limits) >= earned(before, state.tables, limits) - limits.accept_slack:
        chosen = proposed
    if len(state.tables) >= limits.neighbour_min_rounds:
        near = max(_neighbours(before, base, limits), key=lambda w: earned(w, state.tables, limits), default=chosen)
        if earned(near, state.tables, limits) > earned(chosen, state.tables, limits) + limits.neighbour_gain:
            chosen = near
    if _same(chosen, before):
        return before, state, "kept"
    return chosen, replace(state, previous=before, rounds_since=0), "accepted"


def _regretted(state: OptimizerState, now: Triple, limits: WeightsPolicy) -> bool:
    """Would the weights before our last move have earned clearly more since?"""
    if state.previous is None or state.rounds_since < limits.rollback_rounds:
        return False
    recent = state.tables[-limits.rollback_rounds :]
    return earned(state.previous, recent, limits) > earned(now, recent, limits) + limits.rollback_loss


def earned(weights: Triple, tables: Sequence[RoundTable], limits: WeightsPolicy) -> float:
    """J(w) = Σ_h decay^(H−h) · u_h[argmax_p w·f_h(p)] / Σ_h decay^(H−h), over the last `horizon_rounds` rounds."""
    total = mass = 0.0
    for age, table in enumerate(reversed(tables[-limits.horizon_rounds :])):
        share = limits.horizon_decay**age
        total += share * table.utilities[_choice(table.features, weights, table.utilities)]
        mass += share
    return total / mass if mass else 0.0


def _choice(known: Mapping[str, Features], weights: Triple, among: Mapping[str, float]) -> str:
    return max(among, key=lambda name: sum(w * f for w, f in zip(weights, known[name], strict=True)))


def _proposal(base: Triple, card: Scorecard, limits: WeightsPolicy) -> Triple:
    """The policy's answer to what the scorecard shows, as a displacement of `base`."""
    if worst_success(card, limits.unreliable_sigma) < limits.unreliable_below:
        target = limits.unreliable
    elif latency_spread(card) > limits.spread_above:
        target = limits.spread
    else:
        target = limits.base
    return _as_triple(b + t - d for b, t, d in zip(base, target, limits.base, strict=True))


def worst_success(card: Scorecard, sigma: float = 0.0) -> float:
    """The lowest success rate, each taken `sigma` standard errors higher: ten calls are few."""
    rates = (
        known.success + sigma * math.sqrt(known.success * (1 - known.success) / max(known.mass, 1.0))
        for known in card.evidence.values()
    )
    return min(rates, default=1.0)


def latency_spread(card: Scorecard) -> float:
    """e = (max L − min L) / mean L"""
    latencies = [known.latency_ms for known in card.evidence.values() if known.latency_ms]
    return (max(latencies) - min(latencies)) / (sum(latencies) / len(latencies)) if latencies else 0.0


def _within(target: Triple, base: Triple, limits: WeightsPolicy) -> Triple:
    """The nearest weights that are close to the base and above the floor; a base below the floor may stay there."""
    low = [max(min(limits.floor, b), b - limits.radius) for b in base]
    high = [b + limits.radius for b in base]
    clipped = [max(lo, min(hi, t)) for t, lo, hi in zip(target, low, high, strict=True)]
    missing = 1.0 - sum(clipped)
    room = [(hi if missing > 0 else lo) - c for c, lo, hi in zip(clipped, low, high, strict=True)]
    share = missing / sum(room) if abs(missing) > 1e-9 else 0.0
    return _as_triple(c + share * r for c, r in zip(clipped, room, strict=True))


def _step(before: Triple, target: Triple, limits: WeightsPolicy) -> Triple:
    """Towards the target, at most `step` per weight."""
    moves = [t - b for t, b in zip(target, before, strict=True)]
    share = min(1.0, limits.step / max(max(map(abs, moves)), 1e-12))
    return _as_triple(b + share * move for b, move in zip(before, moves, strict=True))


def _neighbours(before: Triple, base: Triple, limits: WeightsPolicy) -> list[Triple]:
    grid, near = limits.neighbour_grid, []
    steps = [n * grid for n in range(-round(limits.step / grid), round(limits.step / grid) + 1)]
    for latency in steps:
        for cost in steps:
            weights = (before[0] + latency, before[1] + cost, before[2] - latency - cost)
            close = all(abs(w - b) <= limits.radius + 1e-9 for w, b in zip(weights, base, strict=True))
            if close and abs(latency + cost) <= limits.step + 1e-9 and min(weights) >= limits.floor - 1e-9:
                near.append(_as_triple(weights))
    return near


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _weights_insights(before: Triple, after: Triple, verdict: str, card: Scorecard) -> list[Insight]:
    moved = f"weights {_shown(before)} → {_shown(after)}"
    data = {"before": before, "after": after, "spread": round(latency_spread(card), 4)}
    if verdict == "accepted":
        text = f"{moved}: latency spread {latency_spread(card):.2f}, worst success {worst_success(card):.0%}"
        return [Insight("weights", text, data)]
    if verdict == "rolled_back":
        return [Insight("rollback", f"{moved}: the older weights would have earned more since the move", data)]
    if verdict == "partial":
        return [Insight("partial", "not every probe ran: the weights stay as they are", data)]
    return []


def _best_insight(known: Mapping[str, Features], weights: Triple, card: Scorecard, names: _Names) -> list[Insight]:
    if not known:
        return []
    scores = {target: score(_weights(weights), known[str(target)]) for target in card.evidence if str(target) in known}
    best = max(scores, key=lambda target: scores[target])
    shown = {names.of(target): round(value, 4) for target, value in scores.items()}
    return [Insight("best", f"Best provider: {names.of(best)} (score: {scores[best]:.3f})", {"scores": shown})]


def _evidence(
    table: Mapping[Target, Measured],
    names: _Names,
    before: Triple,
    after: Triple,
    verdict: str,
    tables: Sequence[RoundTable],
    card: Scorecard,
    policy: Policy,
    now: datetime,
) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "at": int(now.timestamp() * 1000),
        "spread": round(latency_spread(card), 4),
        "earned": {
            "before": round(earned(before, tables, policy.weights), 5),
            "after": round(earned(after, tables, policy.weights), 5),
            "rounds": min(len(tables), policy.weights.horizon_rounds),
        },
        "targets": {names.of(target): asdict(row) for target, row in table.items()},
    }


class _Names:
    """How people call a target: by its provider alone where that has one model."""

    def __init__(self, card: Scorecard) -> None:
        providers = [target.provider for target in card.evidence]
        self._alone = {name for name in providers if providers.count(name) == 1}

    def of(self, target: Target) -> str:
        return target.provider if target.provider in self._alone else str(target)


def _features_by_name(card: Scorecard, objective: Objective) -> dict[str, Features]:
    return {str(target): shares for target, shares in features(card.evidence, objective).items()}


def _triple(weights: Weights) -> Triple:
    return (weights.latency, weights.cost, weights.reliability)


def _weights(triple: Triple) -> Weights:
    """To six digits, with a sum of exactly 1."""
    latency, cost = round(triple[0], 6), round(triple[1], 6)
    return Weights(latency=latency, cost=cost, reliability=round(1.0 - latency - cost, 6))


def _as_triple(values: Any) -> Triple:
    latency, cost, reliability = (round(value, 9) for value in values)
    return (latency, cost, reliability)


def _same(one: Triple, other: Triple) -> bool:
    return all(abs(a - b) < 1e-6 for a, b in zip(one, other, strict=True))


def _short(value: float) -> str:
    """.10 or .125, as the specification writes shares."""
    text = f"{value:.3f}".removesuffix("0")
    return text.removeprefix("0") if value < 1 else text


def _shown(weights: Triple) -> str:
    return "(" + ", ".join(_short(value) for value in weights) + ")"
