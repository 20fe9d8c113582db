"""What other weights, another objective or other references would have done with a recorded time.

The recorded rounds and requests go twice through the code that serves traffic, once as the configuration stands and
once as it would be, with the same draws of chance: weights and exploration stay, evidence comes as it came. Of a
request only the chosen target's outcome is known; for each other target the nearest recorded call stands in
(app.domain.replay.recorded). Differences are paired, request by request, with 95 % intervals by the jackknife over
BLOCKS parts of the time.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.domain.config.runtime_config import Weights
from app.domain.policy import Objective, Policy
from app.domain.replay import trace
from app.domain.replay.baseline_quantiles import jackknife, reach_of
from app.domain.replay.baseline_types import digits
from app.domain.replay.metrics import worth
from app.domain.replay.replay import Served, at
from app.domain.replay.trace import Header, Request, Round, Sample
from app.domain.routing import router

#: parts of the time
BLOCKS = 20
#: of every choice by chance
SEED = 1
#: by measure: how it is called, and whether more is better
MEASURES = ("latencyMs", "costUsd", "success", "quality", "utility")


@dataclass(frozen=True, slots=True)
class Setting:
    weights: Weights
    objective: Objective
    exploration_rate: float

    def to_json(self) -> dict[str, Any]:
        objective = self.objective
        return {
            "weights": self.weights.model_dump(),
            "objective": {
                "latency": objective.latency,
                "cost": objective.cost,
                "latencyRefMs": objective.latency_ref_ms,
                "costRefUsd": objective.cost_ref_usd,
            },
        }


class Steady(Served):
    """TooLoo with weights and exploration that stay."""

    def __init__(self, header: Header, policy: Policy, rng: random.Random, setting: Setting) -> None:
        super().__init__(replace(header, objective=setting.objective), policy, rng)
        update = {"provider_weights": setting.weights, "exploration_rate": setting.exploration_rate}
        self.config = self.config.model_copy(update={"global_": self.config.global_.model_copy(update=update)})

    def close_round(self, round_: Round) -> None:
        self.card = self.card.close_round(self._outcomes(round_), self.policy)

    def order(self, at_s: float) -> list[str]:
        now = at(at_s)
        made = router.plan(self.config, tuple(self.targets.values()), self.card, self.breakers, self.policy, now)
        return [candidate.target.provider for candidate in made.candidates]

    def quality(self, name: str) -> float:
        """As the rounds have it: no live answer is graded."""
        known = self.card.evidence.get(self.targets[name])
        return 1.0 if known is None or known.quality is None else known.quality


@dataclass(frozen=True, slots=True)
class Course:
    """What became of the requests, one by one."""

    chosen: tuple[str, ...]
    #: MEASURES of each
    values: tuple[tuple[float, ...], ...]
    order: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        count, latencies = len(self.chosen), sorted(row[0] for row in self.values)
        means = {name: _mean([row[place] for row in self.values]) for place, name in enumerate(MEASURES)}
        return {
            **{name: digits(value) for name, value in means.items()},
            "p50Ms": digits(latencies[int(0.5 * (count - 1))]) if count else None,
            "p95Ms": digits(latencies[int(0.95 * (count - 1))]) if count else None,
            "shares": {name: round(n / count, 4) for name, n in Counter(self.chosen).most_common()},
        }


def course(lines: Sequence[str], setting: Setting, judged_by: Objective, policy: Policy) -> Course:
    """`judged_by`: the objective that utility is told by."""
    header, rows = trace.read(lines)
    chooser = Steady(header, policy, random.Random(SEED), setting)
    chosen: list[str] = []
    values: list[tuple[float, ...]] = []
    at_s = 0.0
    for row in rows:
        at_s = row.at_s
        if isinstance(row, Round):
            chooser.close_round(row)
        elif isinstance(row, Request) and chooser.card.evidence:  # before the first round there is nothing to choose by
            name = chooser.choose(row.at_s)
            sample = row.samples[name]._replace(quality=chooser.quality(name))
            chooser.learn(row.at_s, name, sample)
            chosen.append(name)
            values.append(_values(sample, judged_by))
    return Course(tuple(chosen), tuple(values), tuple(chooser.order(at_s)))


def _values(sample: Sample, objective: Objective) -> tuple[float, ...]:
    return (sample.latency_ms, sample.cost_usd, float(sample.ok), sample.quality, worth(sample, objective))


def compared(lines: Sequence[str], now: Setting, then: Setting, policy: Policy) -> dict[str, Any]:
    """JSON-safe. Utility is told by the objective of `then`, on both sides."""
    before = course(lines, now, then.objective, policy)
    after = course(lines, then, then.objective, policy)
    count = len(before.chosen)
    moved = sum(a != b for a, b in zip(before.chosen, after.chosen, strict=True))
    return {
        "requests": count,
        "now": now.to_json() | before.to_json(),
        "whatIf": then.to_json() | after.to_json(),
        "moved": round(moved / count, 4) if count else None,
        "differences": {name: _difference(before, after, place) for place, name in enumerate(MEASURES)},
        "flips": flips(before.order, after.order),
    }


def flips(before: Sequence[str], after: Sequence[str]) -> list[dict[str, Any]]:
    """Targets that have another place in the order at the end, 1 is first."""
    ranks = {name: place for place, name in enumerate(after, 1)}
    return [
        {"target": name, "now": place, "whatIf": ranks[name]}
        for place, name in enumerate(before, 1)
        if ranks.get(name, place) != place
    ]


def _difference(before: Course, after: Course, place: int) -> dict[str, Any]:
    """What if less now, per request."""
    steps = [b[place] - a[place] for a, b in zip(before.values, after.values, strict=True)]
    if not any(steps):
        return {"value": 0.0 if steps else None, "low": None, "high": None, "verdict": "the same" if steps else None}
    size = max(1, -(-len(steps) // BLOCKS))
    blocks = [steps[start : start + size] for start in range(0, len(steps), size)]
    value, total = sum(steps) / len(steps), sum(steps)
    if len(blocks) < 5:
        return {"value": digits(value), "low": None, "high": None, "verdict": "cannot tell"}
    without = [(total - sum(block)) / (len(steps) - len(block)) for block in blocks]
    reach = reach_of(len(blocks) - 1) * jackknife(without)
    low, high = value - reach, value + reach
    verdict = "cannot tell" if low <= 0 <= high else "more" if value > 0 else "less"
    return {"value": digits(value), "low": digits(low), "high": digits(high), "verdict": verdict}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
