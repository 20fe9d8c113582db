"""Simulated traffic of which the truth is known."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from app.domain.evidence.histogram import GROWTH
from app.domain.policy import Objective
from app.domain.replay import baselines
from app.domain.replay.baseline_types import Comparison, LiveCell, RoundCell, Sums

OBJECTIVE = Objective()
BLOCKS, PER_BLOCK, PROMPTS = 24, 50, 10


@dataclass(frozen=True)
class Kind:
    """A target: mean latency, cost, success and quality; `drift`: its latency grows by this share until the end."""

    latency_ms: float
    cost_usd: float = 0.001
    success: float = 0.97
    quality: float = 0.9
    drift: float = 0.0

    def mean_ms(self, block: int) -> float:
        return self.latency_ms * (1 + self.drift * block / BLOCKS)


class World:
    """Logs of a policy that puts the first target first and draws the others with `rate`; live calls take `longer`."""

    def __init__(self, kinds: Mapping[str, Kind], seed: int, *, rate: float = 0.2, longer: float = 1.3) -> None:
        self.kinds, self.rng, self.rate, self.longer = kinds, random.Random(seed), rate, longer
        self.prompts = {(t, p): self.rng.gauss(0, 0.05) for t in kinds for p in range(PROMPTS)}
        self.live: dict[tuple[int, str], list[tuple[float, Sums]]] = defaultdict(list)
        self.rounds: list[RoundCell] = []
        for block in range(BLOCKS):
            self.rounds += [self.probe(block, target, prompt) for target in kinds for prompt in range(PROMPTS)]
            for _ in range(PER_BLOCK):
                self.request(block)

    def call(self, target: str, block: int, factor: float = 1.0) -> Sums:
        kind = self.kinds[target]
        ms = kind.mean_ms(block) * factor * self.rng.lognormvariate(-0.045, 0.3)
        ok = self.rng.random() < kind.success
        cost = kind.cost_usd if ok else 0.0
        return (ms, min(1.0, ms / OBJECTIVE.latency_ref_ms), cost, min(1.0, cost / OBJECTIVE.cost_ref_usd), float(ok))

    def probe(self, block: int, target: str, prompt: int) -> RoundCell:
        sums = self.call(target, block, math.exp(self.prompts[target, prompt]))
        graded = int(sums[4])
        grade = self.kinds[target].quality + self.prompts[target, prompt] if graded else 0.0
        return RoundCell(block, target, str(prompt), 1, sums, graded, grade)

    def request(self, block: int) -> None:
        names = list(self.kinds)
        chances = [1 - self.rate, *[self.rate / (len(names) - 1)] * (len(names) - 1)]
        (target,) = self.rng.choices(names, chances)
        sums = self.call(target, block, self.longer)
        self.live[block, target].append((chances[names.index(target)], sums))

    def cells(self) -> list[LiveCell]:
        return [_cell(block, target, calls) for (block, target), calls in self.live.items()]

    def compare(self, first: str = "b") -> Comparison:
        return baselines.compare(self.cells(), self.rounds, first, OBJECTIVE)

    def true_ms(self, target: str) -> float:
        return self.longer * sum(self.kinds[target].mean_ms(block) for block in range(BLOCKS)) / BLOCKS


def _cell(block: int, target: str, calls: Sequence[tuple[float, Sums]]) -> LiveCell:
    weights = [1 / chance for chance, _ in calls]

    def sums(by: Sequence[float]) -> Sums:
        a, b, c, d, e = (sum(w * s[place] for w, (_, s) in zip(by, calls, strict=True)) for place in range(5))
        return a, b, c, d, e

    latencies: dict[int, tuple[int, float]] = {}
    for weight, (_, each) in zip(weights, calls, strict=True):
        bucket = math.floor(math.log(max(each[0], 1.0), GROWTH))
        count, mass = latencies.get(bucket, (0, 0.0))
        latencies[bucket] = (count + 1, mass + weight)
    squares = sum(weight**2 for weight in weights)
    plain = sums([1.0] * len(calls))
    return LiveCell(block, target, len(calls), sum(weights), squares, plain, sums(weights), latencies)


DIFFERENT = {
    "a": Kind(400, 0.002, drift=0.5),
    "b": Kind(500, 0.0012, 0.95),
    "c": Kind(700, 0.0004, 0.99, 0.85),
}


# ── what is true ─────────────────────────────────────────────────────────────────────────────────────────────────────

#: of a lognormal call of mean 1, by equal parts of its probability
_NORMAL = NormalDist()
_CALLS = [math.exp(-0.045 + 0.3 * _NORMAL.inv_cdf((part + 0.5) / 400)) for part in range(400)]
_SHARES = {"p50Ms": 0.5, "p95Ms": 0.95}


def difference(world: World, target: str | None, measure: str) -> float:
    """Of the policy less the target, or less one at random, in expectation."""
    names = list(world.kinds)
    served = dict(zip(names, [1 - world.rate, *[world.rate / (len(names) - 1)] * (len(names) - 1)], strict=True))
    other = {name: float(name == target) if target else 1 / len(names) for name in names}
    if measure in _SHARES:
        return _quantile(world, served, _SHARES[measure]) - _quantile(world, other, _SHARES[measure])
    return sum((served[name] - other[name]) * _mean(world, name, measure) for name in names)


def _mean(world: World, name: str, measure: str) -> float:
    kind = world.kinds[name]
    if measure == "latencyMs":
        return world.true_ms(name)
    if measure == "utility":
        dear = kind.success * min(1.0, kind.cost_usd / OBJECTIVE.cost_ref_usd)
        return kind.quality * kind.success - OBJECTIVE.latency * _late(world, name) - OBJECTIVE.cost * dear
    return {"costUsd": kind.cost_usd * kind.success, "success": kind.success, "quality": kind.quality}[measure]


def _late(world: World, name: str) -> float:
    means = [world.kinds[name].mean_ms(block) * world.longer for block in range(BLOCKS)]
    late = [min(1.0, mean * call / OBJECTIVE.latency_ref_ms) for mean in means for call in _CALLS]
    return sum(late) / len(late)


def _quantile(world: World, shares: Mapping[str, float], at: float) -> float:
    low, high = 1.0, 100_000.0
    for _ in range(50):
        middle = (low + high) / 2
        below = sum(share * _below(world, name, middle) for name, share in shares.items())
        low, high = (middle, high) if below < at else (low, middle)
    return low


def _below(world: World, name: str, ms: float) -> float:
    means = [world.kinds[name].mean_ms(block) * world.longer for block in range(BLOCKS)]
    return sum(_NORMAL.cdf((math.log(ms / mean) + 0.045) / 0.3) for mean in means) / BLOCKS
