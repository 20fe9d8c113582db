"""How far a round can be trusted: its error, told by calls whose true latency is known, and our own network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.catalog import Target
from app.domain.insight import Insight
from app.domain.outcome import Outcome
from app.domain.rounds.comparison import Sample
from app.errors import ConnectionLost, LocalFailure, Timeout

#: codes of what an outage of our own network looks like
NETWORK = frozenset(error.code for error in (ConnectionLost, Timeout, LocalFailure))
#: of every provider's probes, at least: such an outage during a part of the round
NETWORK_SHARE, NETWORK_LEAST = 0.2, 2


@dataclass(frozen=True, slots=True)
class MeasurementError:
    """Of |measured − true|, over the canary calls of a round."""

    calls: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    def to_json(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "p50Ms": round(self.p50_ms, 2),
            "p95Ms": round(self.p95_ms, 2),
            "p99Ms": round(self.p99_ms, 2),
        }


def measurement_error(errors_ms: Sequence[float]) -> MeasurementError | None:
    """None where no canary call came back."""
    off = sorted(abs(error) for error in errors_ms)
    if not off:
        return None
    return MeasurementError(len(off), quantile(off, 0.50), quantile(off, 0.95), quantile(off, 0.99))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ordered values that `share` of them do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def tolerance_ms(samples: Iterable[Sample], least_ms: float, share: float) -> float:
    """The error that a round may have: `least_ms`, or `share` of the fastest target's mean latency if that is more."""
    by_target: dict[Target, list[float]] = {}
    for sample in samples:
        if sample.ln_latency is not None:
            by_target.setdefault(sample.target, []).append(math.exp(sample.ln_latency))
    means_ms = [sum(latencies) / len(latencies) for latencies in by_target.values()]
    return max(least_ms, share * min(means_ms, default=0.0))


def degraded(error: MeasurementError | None, limit_ms: float) -> Insight | None:
    """Why the round must not be steered by; None: it measured well enough."""
    if error is None:
        text = "measurement degraded: no canary call came back, so its error is unknown: nothing moves"
        return Insight("degraded", text, {})
    if error.p95_ms <= limit_ms:
        return None
    text = (
        f"measurement degraded: latencies are off by {error.p95_ms:.1f} ms at p95, more than {limit_ms:.3g} ms "
        f"({error.calls} canary calls): nothing moves"
    )
    return Insight("degraded", text, error.to_json())


def own_trouble(outcomes: Iterable[Outcome]) -> Insight | None:
    """Why a round tells of us and not of the providers, so that it is no evidence; None: it tells of them.

    Providers do not fail all at once. What a person must mend at one of them is neither here nor there.
    """
    by_provider: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if not outcome.needs_person:
            by_provider.setdefault(outcome.target.provider, []).append(outcome)
    calls = [outcome for mine in by_provider.values() for outcome in mine]
    if not calls:
        return None
    network = [outcome for outcome in calls if _is_network(outcome)]
    if not any(outcome.success for outcome in calls):
        if len(by_provider) < 2 and len(network) < len(calls):
            return None
        text = f"all {len(calls)} calls of all providers failed"
    elif len(by_provider) > 1 and all(_lost_network(mine) for mine in by_provider.values()):
        text = f"{len(network)} of {len(calls)} calls failed on the way, some of every provider"
    else:
        return None
    errors = Counter(outcome.error_class or "error" for outcome in calls if not outcome.success)
    said = ", ".join(f"{code} ×{count}" for code, count in errors.most_common())
    data = {"calls": len(calls), "failed": errors.total(), "errors": dict(errors), "ownTrouble": True}
    return Insight("degraded", f"{text} ({said}): our own trouble, not the providers': nothing moves", data)


def _is_network(outcome: Outcome) -> bool:
    return not outcome.success and outcome.error_class in NETWORK


def _lost_network(calls: Sequence[Outcome]) -> bool:
    return sum(map(_is_network, calls)) >= max(NETWORK_LEAST, NETWORK_SHARE * len(calls))
