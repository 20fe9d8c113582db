"""How far two graders of the same answers agree."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import StatisticsError, correlation, fmean
from typing import Any

#: grades this close say the same
CLOSE = 0.15


def agreement(pairs: Sequence[tuple[float, float]]) -> dict[str, Any] | None:
    """Of (grade, verdict) pairs; None where there is none.

    `bias` > 0: the judge is kinder than the graders. `correlation` is None where either has no spread.
    """
    if not pairs:
        return None
    steps = [verdict - grade for grade, verdict in pairs]
    return {
        "answers": len(pairs),
        "bias": round(fmean(steps), 3),
        "meanAbsoluteDifference": round(fmean(map(abs, steps)), 3),
        "close": round(fmean(abs(step) <= CLOSE for step in steps), 3),
        "correlation": _correlation(pairs),
    }


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    try:
        return round(correlation([grade for grade, _ in pairs], [verdict for _, verdict in pairs]), 3)
    except StatisticsError:  # one pair, or one of the two gives everything the same grade
        return None
