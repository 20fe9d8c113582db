"""Where weights may move, and whom they put first. Pure arithmetic on (latency, cost, reliability) triples."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from app.domain.config.runtime_config import Weights
from app.domain.evidence.evidence import Evidence
from app.domain.policy import WeightsPolicy
from app.domain.routing.scoring import Features

Triple = tuple[float, float, float]


def choice(known: Mapping[str, Features], weights: Triple) -> str:
    """The target that these weights put first."""
    return max(known, key=lambda name: _score(weights, known[name]))


def _score(weights: Triple, shares: Features) -> float:
    return weights[0] * shares[0] + weights[1] * shares[1] + weights[2] * shares[2]


def latency_spread(known: Collection[Evidence]) -> float:
    """e = (max L − min L) / mean L"""
    latencies = [each.latency_ms for each in known if each.latency_ms]
    return (max(latencies) - min(latencies)) / (sum(latencies) / len(latencies)) if latencies else 0.0


def worst_success(known: Collection[Evidence], sigma: float = 0.0) -> float:
    """The lowest success rate, each taken `sigma` standard errors higher: ten calls are few."""
    rates = (
        each.success + sigma * math.sqrt(max(0.0, each.success * (1 - each.success)) / max(each.mass, 1.0))
        for each in known
    )
    return min(rates, default=1.0)


def proposal(before: Triple, base: Triple, known: Collection[Evidence], limits: WeightsPolicy) -> Triple:
    """The next step towards the policy's answer to what is known, as a displacement of `base`."""
    if worst_success(known, limits.unreliable_sigma) < limits.unreliable_below:
        target = limits.unreliable
    elif latency_spread(known) > limits.spread_above:
        target = limits.spread
    else:
        target = limits.base
    moved = triple(b + t - d for b, t, d in zip(base, target, limits.base, strict=True))
    return _step(before, _within(moved, base, limits), limits)


def _within(target: Triple, base: Triple, limits: WeightsPolicy) -> Triple:
    """The nearest weights that are close to the base and above the floor; a base below the floor may stay there."""
    low = [max(min(limits.floor, b), b - limits.radius) for b in base]
    high = [b + limits.radius for b in base]
    clipped = [max(lo, min(hi, t)) for t, lo, hi in zip(target, low, high, strict=True)]
    missing = 1.0 - sum(clipped)
    room = [(hi if missing > 0 else lo) - c for c, lo, hi in zip(clipped, low, high, strict=True)]
    share = missing / sum(room) if abs(missing) > 1e-9 else 0.0
    return triple(c + share * r for c, r in zip(clipped, room, strict=True))


def _step(before: Triple, target: Triple, limits: WeightsPolicy) -> Triple:
    """Towards the target, at most `step` per weight."""
    moves = [t - b for t, b in zip(target, before, strict=True)]
    share = min(1.0, limits.step / max(max(map(abs, moves)), 1e-12))
    return triple(b + share * move for b, move in zip(before, moves, strict=True))


def neighbours(before: Triple, base: Triple, limits: WeightsPolicy) -> list[Triple]:
    """What one step can reach on the grid, close to the base and above the floor."""
    grid, near = limits.neighbour_grid, []
    steps = [n * grid for n in range(-round(limits.step / grid), round(limits.step / grid) + 1)]
    for latency in steps:
        for cost in steps:
            weights = (before[0] + latency, before[1] + cost, before[2] - latency - cost)
            close = is_close(weights, base, limits.radius)
            if close and abs(latency + cost) <= limits.step + 1e-9 and min(weights) >= limits.floor - 1e-9:
                near.append(triple(weights))
    return near


def is_close(one: Triple, other: Triple, radius: float = 0.0) -> bool:
    """Equal, to what six digits can tell, or no weight further off than `radius`."""
    return all(abs(a - b) <= radius + 1e-6 for a, b in zip(one, other, strict=True))


def triple(values: Iterable[float]) -> Triple:
    latency, cost, reliability = (round(value, 9) for value in values)
    return (latency, cost, reliability)


def of_weights(weights: Weights) -> Triple:
    return (weights.latency, weights.cost, weights.reliability)


def to_weights(values: Triple) -> Weights:
    """To six digits, with a sum of exactly 1."""
    latency, cost = round(values[0], 6), round(values[1], 6)
    return Weights(latency=latency, cost=cost, reliability=round(1.0 - latency - cost, 6))
