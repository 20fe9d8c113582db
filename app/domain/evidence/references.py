"""What counts as too slow and too dear, where nobody declared it: what is slow or dear here.

    reference = 2 · usual
    usual     = exp of the mean of ln x over the rounds, fading by KEPT a round
    x         = the middle target's mean of what a successful call took, or cost; of two in the middle the faster one,
                and the dearer one

Twice the usual leaves room on both sides of it: a share of 0 is free, .5 usual, 1 twice as bad. The middle does not
move when one target, or half of them, become slow, or a dear one is added. Prices differ by a hundred as a rule, and
half of them are high: the dearer middle keeps the dear half apart. A reference stays until what is usual has moved by
more than MOVED, for all that was measured against it is told anew then.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median_high, median_low

from app.domain.catalog import Target
from app.domain.evidence.evidence import Evidence
from app.domain.outcome import Outcome
from app.domain.policy import Objective

#: until a round has measured anything: ms, USD per call
UNTIL_MEASURED = (1000.0, 0.006)
#: share of what older rounds say
KEPT = 0.7
#: factor by which what is usual must have moved, for a reference to follow
MOVED = 1.5


@dataclass(frozen=True, slots=True)
class Reference:
    """One of the two; 0: nothing was measured yet."""

    value: float = 0.0
    usual: float = 0.0

    def after(self, measured: float) -> Reference:
        """… a round in which this was the middle."""
        usual = math.exp(KEPT * math.log(self.usual) + (1 - KEPT) * math.log(measured)) if self.usual else measured
        stays = self.value and abs(math.log(2 * usual / self.value)) <= math.log(MOVED)
        return Reference(self.value if stays else float(f"{2 * usual:.2g}"), usual)


@dataclass(frozen=True, slots=True)
class References:
    latency_ms: Reference = field(default_factory=Reference)
    cost_usd: Reference = field(default_factory=Reference)

    def after(self, known: Mapping[Target, Evidence], outcomes: Collection[Outcome]) -> References:
        """… a round; what it did not measure is as it was known before."""
        served = [each for each in outcomes if each.success and each.counts]
        latencies = _means({t: k.latency_ms for t, k in known.items()}, [(o.target, o.latency_ms) for o in served])
        costs = _means({t: k.cost_usd for t, k in known.items()}, [(o.target, o.cost_usd) for o in served])
        late, dear = median_low(latencies) if latencies else 0.0, median_high(costs) if costs else 0.0
        return References(
            self.latency_ms.after(late) if late else self.latency_ms,
            self.cost_usd.after(dear) if dear else self.cost_usd,
        )

    def in_force(self, declared: Objective) -> Objective:
        """The objective with what it does not declare."""
        latency_ms, cost_usd = UNTIL_MEASURED
        if declared.latency_ref_ms and declared.cost_ref_usd:
            return declared
        return replace(
            declared,
            latency_ref_ms=declared.latency_ref_ms or self.latency_ms.value or latency_ms,
            cost_ref_usd=declared.cost_ref_usd or self.cost_usd.value or cost_usd,
        )


def declared(objective: Objective) -> Objective:
    """With both references, where nothing is measured against them or a trace has its own."""
    return References().in_force(objective)


def _means(known: Mapping[Target, float | None], measured: Sequence[tuple[Target, float | None]]) -> list[float]:
    """Of the targets; those that cost nothing say nothing of what is dear."""
    by_target: dict[Target, list[float]] = {}
    for target, value in measured:
        if value is not None:
            by_target.setdefault(target, []).append(value)
    means = {**known, **{target: fmean(values) for target, values in by_target.items()}}
    return [mean for mean in means.values() if mean]
