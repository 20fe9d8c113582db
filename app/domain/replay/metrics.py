"""What a routing policy achieved on a trace. The figures and their formulas are those of the trace scorer:

captured = (U − U_random) / (U_oracle − U_random), where U is the mean expected utility of the chosen providers,
U_random that of all, and U_oracle that of the best one at each request. 0 is random choice, 1 the best at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.policy import Objective
from app.domain.replay.trace import Header, Request, Sample

#: requests after a change of which ADAPTED must go to the new best provider, and how many there must be
WINDOW, LEAST, ADAPTED = 50, 20, 0.8
#: of U per request: closer than that nothing is to be captured but rounding
EQUAL = 1e-9


@dataclass(slots=True)
class Tally:
    """Counts request by request, so that a trace of any length takes little memory."""

    header: Header
    chosen: float = 0.0
    oracle: float = 0.0
    #: sum of the mean of all providers that there were
    random: float = 0.0
    #: sum of the expected utility, per provider that was there throughout
    each: dict[str, float] = field(default_factory=dict)
    hits: list[bool] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0
    #: of those that failed: by a quota
    limited: int = 0
    cost_usd: float = 0.0
    #: sum of what the calls themselves were worth
    observed: float = 0.0

    def add(self, request: Request, provider: str, sample: Sample | None = None) -> None:
        """`sample`: what became of the call, where that is not what the row says, by a quota."""
        sample = sample or request.samples[provider]
        self.latencies_ms.append(sample.latency_ms)
        self.failed += not sample.ok
        self.limited += sample.limited
        self.cost_usd += sample.cost_usd
        self.observed += worth(sample, self.header.objective)
        if request.expected is not None:
            expected = request.expected
            best = max(expected, key=expected.__getitem__)
            self.chosen += worth(sample, self.header.objective) if sample.limited else expected[provider]
            self.oracle += expected[best]
            self.random += sum(expected.values()) / len(expected)
            throughout = self.each if self.hits else dict.fromkeys(expected, 0.0)
            self.each = {name: throughout[name] + expected[name] for name in throughout if name in expected}
            self.hits.append(provider == best)

    def figures(self) -> dict[str, Any]:
        """JSON-safe; None where the trace does not hold what a figure needs."""
        n, scored = len(self.latencies_ms), len(self.hits)
        complete = 0 < scored == n
        return {
            "requests": n,
            "captured": self._captured() if complete else None,
            "utility": self._utility(n) if complete else {"observed": round(self.observed / n, 4)} if n else None,
            "failRate": round(self.failed / n, 5) if n else None,
            "p95Ms": round(sorted(self.latencies_ms)[int(0.95 * (n - 1))], 1) if n else None,
            "costUsd": round(self.cost_usd / n, 7) if n else None,
            "bestShare": round(sum(self.hits) / n, 4) if complete else None,
            "adapt": adaptation(self.hits, self.header.changes) if complete else [],
        }

    def lost(self) -> dict[str, float | None]:
        """Utility per request below the best at each step, and the share of first attempts that a quota refused."""
        n = len(self.latencies_ms)
        return {
            "regret": round((self.oracle - self.chosen) / n, 5) if n else None,
            "limitedRate": round(self.limited / n, 5) if n else None,
        }

    def _captured(self) -> float | None:
        if self.oracle - self.random <= EQUAL * len(self.hits):
            return None
        return round((self.chosen - self.random) / (self.oracle - self.random), 4)

    def _utility(self, n: int) -> dict[str, float]:
        sums = {
            "policy": self.chosen,
            "oracle": self.oracle,
            "bestFixed": max(self.each.values()),
            "random": self.random,
        }
        return {name: round(value / n, 4) for name, value in sums.items()}


def worth(sample: Sample, objective: Objective) -> float:
    """U of one call: quality is that of the trace, 1 where nobody graded."""
    latency = min(1.0, sample.latency_ms / objective.latency_ref_ms)
    cost = min(1.0, sample.cost_usd / objective.cost_ref_usd)
    return sample.ok * sample.quality - objective.latency * latency - objective.cost * cost


def adaptation(hits: Sequence[bool], changes: Sequence[int]) -> list[int | None]:
    """Requests after each change until 80 % of the last 50 (of at least 20) went to the new best; None: never."""
    ends = [*changes[1:], len(hits)]
    return [_adapted(hits[start:end]) for start, end in zip(changes, ends, strict=True)] if changes else []


def _adapted(hits: Sequence[bool]) -> int | None:
    right = 0
    for count, hit in enumerate(hits, start=1):
        right += hit - (hits[count - WINDOW - 1] if count > WINDOW else 0)
        if count >= LEAST and right > ADAPTED * min(count, WINDOW):
            return count
    return None
