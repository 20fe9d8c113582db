from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.evidence.figures import figures, interval
from app.domain.evidence.histogram import ERROR, GROWTH, LAST, merged, quantile


def row(**other: Any) -> dict[str, Any]:
    return {
        "error_class": "", "calls": 1, "uncounted": 0, "explored": 0, "graded": 0, "quality": 0.0, "latency": {},
        "cost_usd": 0.0, "unpriced": 0, "prompt_tokens": 0, "completion_tokens": 0, **other,
    }  # fmt: skip


def test_failures_count_in_the_success_and_not_in_the_latency() -> None:
    good = row(calls=8, latency={"40": 8}, graded=4, quality=3.0)
    bad = row(calls=2, error_class="timeout", latency={"100": 2})
    ours = row(calls=5, uncounted=5, error_class="local_failure")

    found = figures([good, bad, ours])

    assert (found.calls, found.ok, found.counted, found.success) == (15, 8, 10, 0.8)
    assert found.p95_ms == found.p50_ms == pytest.approx(GROWTH**40.5)
    assert found.quality == 0.75
    assert found.errors == {"timeout": 2, "local_failure": 5}


def test_of_nothing_there_is_nothing_to_say() -> None:
    found = figures([])

    assert (found.success, found.quality, found.p50_ms, interval(0, 0)) == (None, None, None, None)


@pytest.mark.parametrize(
    ("ok", "calls", "low", "high"), [(10, 10, 0.722, 1.0), (0, 10, 0.0, 0.278), (90, 100, 0.826, 0.945)]
)
def test_the_interval_is_wilsons(ok: int, calls: int, low: float, high: float) -> None:
    assert interval(ok, calls) == pytest.approx((low, high), abs=0.001)


@given(st.lists(st.floats(1, GROWTH**LAST), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_off_by_five_percent_at_most(latencies: list[float], share: float) -> None:
    from math import ceil, floor, log

    counts = [{str(min(LAST, floor(log(ms) / log(GROWTH)))): 1} for ms in latencies]
    exact = sorted(latencies)[ceil(share * len(latencies)) - 1]

    assert quantile(merged(counts), share) == pytest.approx(exact, rel=ERROR + 1e-6)
