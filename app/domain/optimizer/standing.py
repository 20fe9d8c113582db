"""How what is served compares with the best there is: the optimization score, and what no weights can repair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.domain.optimizer.gains import Gain, gained
from app.domain.optimizer.moves import choices
from app.domain.optimizer.round_table import RoundTable, between, recent
from app.domain.optimizer.weight_moves import Triple
from app.domain.policy import WeightsPolicy

#: utility; where the best target is no further above the average one, there is nothing to choose
NEAR = 0.01


@dataclass(frozen=True, slots=True)
class Score:
    """0: served no better than at random, 1: as the best target, as far as anyone can tell; within low..high."""

    value: float
    low: float
    high: float
    #: probes behind it
    samples: int


def score(weights: Triple, tables: Sequence[RoundTable], limits: WeightsPolicy) -> Score | None:
    """(U_served − U_mean) / (U_best − U_mean) over the remembered rounds, as these weights would have served them.

    1 unless some target's gain over what is served is beyond chance, for all targets together. None: no round.
    """
    rounds = recent(tables, limits)
    if not rounds:
        return None
    samples = sum(table.calls for _, table in rounds)
    gains = _gains(choices(weights, rounds), rounds, limits)
    sure = [gain for gain in gains.values() if gain.low > 0]
    best = max(sure or gains.values(), key=lambda gain: gain.value, default=None)
    if best is None:
        return Score(1.0, 0.0, 1.0, samples)
    mean = sum(gain.value for gain in gains.values()) / len(gains)
    spread = best.value - mean
    if spread < NEAR:
        return Score(1.0, 1.0, 1.0, samples)
    low, value, high = (min(1.0, max(0.0, 1 - lost / spread)) for lost in (best.high, best.value, best.low))
    return Score(value if sure else 1.0, low, high if sure else 1.0, samples)


def _gains(served: Sequence[str], rounds: Sequence[tuple[float, RoundTable]], limits: WeightsPolicy) -> dict[str, Gain]:
    """By target, what it was worth more than what was served; where that is known."""
    targets = dict.fromkeys(name for _, table in rounds for name in table.worth)
    others = len(targets) - 1
    found = {name: gained(between(rounds, [name] * len(rounds), served), limits, among=others) for name in targets}
    return {name: gain for name, gain in found.items() if gain is not None}


def better_than(
    preferred: str, among: Mapping[str, object], tables: Sequence[RoundTable], limits: WeightsPolicy
) -> tuple[str, Gain] | None:
    """The target that is worth most more per call than the one that weights put first; None: none is, beyond chance."""
    rounds = recent(tables, limits)
    if len(rounds) < limits.least_rounds:
        return None
    gains = _gains([preferred] * len(rounds), rounds, limits)
    sure = {name: gain for name, gain in gains.items() if name in among and gain.low > 0}
    best = max(sure, key=lambda name: sure[name].value, default=None)
    return None if best is None else (best, sure[best])
