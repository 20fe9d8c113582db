"""A round against earlier ones: which differences are clear, and which are not.

Every prompt is asked in every round, so calls are compared prompt by prompt, which takes the difference between a short
and a long prompt out of it. Latency and cost: the mean of ln(now / then) over prompts answered both times, with a
Student interval, shown as a ratio. Quality: the mean of now − then, likewise. Success: the difference of two shares
with the interval of Agresti and Caffo, which holds at ten calls and at 100 %. A round compares many numbers, and one in
twenty would look clear by chance alone: the intervals of one comparison hold together, at 95 % (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist, fmean, stdev
from typing import Any

from app.domain.catalog import Target
from app.domain.insight import Insight, Names

#: of all intervals of a comparison together
CONFIDENCE = 0.95
#: prompts answered both times, below which nothing is said
FEWEST_PAIRS = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """What one prompt gave at one target: one call, or the mean of many. None: no call gave such a number."""

    target: Target
    prompt_id: str
    calls: int
    successes: int
    #: mean over successes of ln(ms) and ln(USD)
    ln_latency: float | None
    ln_cost: float | None
    quality: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One number of one target, now against then. `change`: a ratio for latency and cost, a difference for the rest."""

    target: Target
    what: str
    now: float
    then: float
    change: float
    low: float
    high: float
    better: bool

    @property
    def clear(self) -> bool:
        """The interval does not hold "the same", and the change is one that matters."""
        same = 1.0 if self.what in RATIOS else 0.0
        return not self.low <= same <= self.high and abs(self.change - same) >= LEAST


RATIOS = {"latency", "cost"}
#: changes that nobody cares about, however clear: 2 %, or .02
LEAST = 0.02
Pairs = list[tuple[float, float]]


@dataclass(slots=True)
class _Both:
    """What one target gave to the prompts that were asked both times."""

    #: per number, (now, then) of each prompt that has both
    means: dict[str, Pairs] = field(default_factory=lambda: {"latency": [], "cost": [], "quality": []})
    #: successes and calls
    now: list[int] = field(default_factory=lambda: [0, 0])
    then: list[int] = field(default_factory=lambda: [0, 0])


def differences(now: Iterable[Sample], then: Iterable[Sample]) -> list[Difference]:
    """Every number of every target that both have."""
    both = _paired(now, then)
    means = [
        (target, what, pairs)
        for target, each in both.items()
        for what, pairs in each.means.items()
        if len(pairs) >= FEWEST_PAIRS
    ]
    alpha = (1 - CONFIDENCE) / max(1, len(means) + len(both))
    found = [_of_means(target, what, pairs, alpha) for target, what, pairs in means]
    found += [_of_shares(target, each, alpha) for target, each in both.items()]
    return sorted(found, key=lambda each: (each.what, each.target))


def _paired(now: Iterable[Sample], then: Iterable[Sample]) -> dict[Target, _Both]:
    before = {(each.target, each.prompt_id): each for each in then}
    found: dict[Target, _Both] = {}
    for each in now:
        old = before.get((each.target, each.prompt_id))
        if old is None:
            continue
        both = found.setdefault(each.target, _Both())
        for sums, sample in ((both.now, each), (both.then, old)):
            sums[0] += sample.successes
            sums[1] += sample.calls
        for what, new_value, old_value in (
            ("latency", each.ln_latency, old.ln_latency),
            ("cost", each.ln_cost, old.ln_cost),
            ("quality", each.quality, old.quality),
        ):
            if new_value is not None and old_value is not None:
                both.means[what].append((new_value, old_value))
    return found


def _of_means(target: Target, what: str, pairs: Pairs, alpha: float) -> Difference:
    steps = [new - old for new, old in pairs]
    change = fmean(steps)
    reach = student(len(steps) - 1, 1 - alpha / 2) * stdev(steps) / math.sqrt(len(steps))
    low, high = change - reach, change + reach
    now, then = fmean(new for new, _ in pairs), fmean(old for _, old in pairs)
    if what in RATIOS:
        now, then, change, low, high = (math.exp(value) for value in (now, then, change, low, high))
        return Difference(target, what, now, then, change, low, high, better=change < 1)
    return Difference(target, what, now, then, change, low, high, better=change > 0)


def _of_shares(target: Target, both: _Both, alpha: float) -> Difference:
    (good, calls), (old_good, old_calls) = both.now, both.then
    share, old_share = (good + 1) / (calls + 2), (old_good + 1) / (old_calls + 2)
    spread = math.sqrt(share * (1 - share) / (calls + 2) + old_share * (1 - old_share) / (old_calls + 2))
    reach = NormalDist().inv_cdf(1 - alpha / 2) * spread
    middle = share - old_share
    now, then = good / calls, old_good / old_calls
    return Difference(target, "success", now, then, now - then, middle - reach, middle + reach, better=now > then)


@lru_cache(maxsize=1024)
def student(freedom: int, share: float) -> float:
    """The quantile of Student's t, by bisection over the integral of its density (Simpson): no SciPy for one number."""
    low, high = 0.0, 1e4
    for _ in range(60):
        middle = (low + high) / 2
        if _student_share(freedom, middle) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _student_share(freedom: int, t: float) -> float:
    # substituted t = √ν·tan θ, the integrand is cos^(ν−1) θ on a bounded range, however heavy the tail
    angle = math.atan2(t, math.sqrt(freedom))
    steps = 200
    width = angle / steps
    ordinates = [math.cos(index * width) ** (freedom - 1) for index in range(steps + 1)]
    integral = width / 3 * (ordinates[0] + ordinates[-1] + 4 * sum(ordinates[1:-1:2]) + 2 * sum(ordinates[2:-1:2]))
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    return 0.5 + scale * integral


def insight(against: str, found: Sequence[Difference]) -> Insight | None:
    """`against`: "the round before". None where there is nothing to compare with."""
    if not found:
        return None
    names = Names({each.target for each in found})
    clear = [each for each in found if each.clear]
    said = [_said(each, names.of(each.target)) for each in clear]
    rest = len(found) - len(clear)
    if not clear:
        said = [f"no clear difference in {rest} comparisons"]
    elif rest:
        said.append(f"no clear difference in {rest} other comparisons")
    data = {"against": against, "confidence": CONFIDENCE, "differences": [_json(each) for each in found]}
    return Insight("comparison", f"Against {against}, prompt by prompt: {'; '.join(said)}", data)


def _said(each: Difference, name: str) -> str:
    word = "better" if each.better else "worse"
    if each.what in RATIOS:
        unit = "{:.0f} ms" if each.what == "latency" else "${:.6f}"
        return (
            f"{name} {each.what} {word}: {unit.format(each.now)}, was {unit.format(each.then)} "
            f"(×{each.change:.2f}, between ×{each.low:.2f} and ×{each.high:.2f})"
        )
    return (
        f"{name} {each.what} {word}: {each.now:.2f}, was {each.then:.2f} "
        f"({each.change:+.2f}, between {each.low:+.2f} and {each.high:+.2f})"
    )


def _json(each: Difference) -> dict[str, Any]:
    return {
        "target": str(each.target),
        "what": each.what,
        "clear": each.clear,
        "better": each.better if each.clear else None,
        **{name: round(getattr(each, name), 8) for name in ("now", "then", "change", "low", "high")},
    }
