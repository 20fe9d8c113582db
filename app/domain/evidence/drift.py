"""Has a target become slower since it was last looked at? Page–Hinkley on the logarithm of its latencies.

    m ← m + (x − x̄ − delta)    with x̄ the mean of all x so far;   an alarm if m − min m > threshold

A lasting rise gathers; single slow answers are paid back by the quick ones after them. One outcome costs a few
additions, and what is remembered of a target is four numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.domain.catalog import Target
from app.domain.outcome import Outcome
from app.domain.policy import DriftPolicy


@dataclass(frozen=True, slots=True)
class PageHinkley:
    count: int = 0
    #: of ln(latency)
    mean: float = 0.0
    gathered: float = 0.0
    least: float = 0.0

    def after(self, value: float, policy: DriftPolicy) -> PageHinkley:
        count = self.count + 1
        mean = self.mean + (value - self.mean) / count
        gathered = self.gathered + value - mean - policy.delta
        return PageHinkley(count, mean, gathered, min(self.least, gathered))

    def found(self, policy: DriftPolicy) -> bool:
        return self.count >= policy.min_instances and self.gathered - self.least > policy.threshold


@dataclass(frozen=True, slots=True)
class Watched:
    """A detector per target, and what they found that nobody has acted on yet."""

    detectors: Mapping[Target, PageHinkley] = field(default_factory=dict)
    found: tuple[str, ...] = ()

    def after(self, outcomes: Iterable[Outcome], policy: DriftPolicy) -> Watched:
        """A detector that found something begins anew: at the level that it found."""
        detectors, found = dict(self.detectors), list(self.found)
        for outcome in outcomes:
            if not (outcome.success and outcome.counts and outcome.latency_ms > 0):
                continue
            before = detectors.get(outcome.target, PageHinkley())
            after = before.after(math.log(outcome.latency_ms), policy)
            if after.found(policy):
                usual_ms = math.exp(before.mean)
                found.append(f"{outcome.target} drifts: {outcome.latency_ms:.0f} ms, was about {usual_ms:.0f} ms")
                after = PageHinkley()
            detectors[outcome.target] = after
        return Watched(detectors, tuple(found[-10:]))

    def to_json(self) -> dict[str, Any]:
        return {
            "detectors": {str(target): _DETECTOR.dump_python(each) for target, each in self.detectors.items()},
            "found": list(self.found),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Watched:
        """Nothing for what `to_json` did not write: a detector that begins anew is late by a few outcomes."""
        try:
            each = document.get("detectors", {}).items()
            detectors = {Target.parse(name): _DETECTOR.validate_python(one) for name, one in each}
            return cls(detectors, tuple(str(text) for text in document.get("found", ())))
        except (AttributeError, TypeError, ValueError, ValidationError):
            return cls()


_DETECTOR = TypeAdapter(PageHinkley)
