"""How far off a round measured, and what follows from it."""

from __future__ import annotations

import math

import pytest

from app.domain.catalog import Target
from app.domain.rounds.comparison import Sample
from app.domain.rounds.measurement import degraded, measurement_error, tolerance_ms


def test_the_error_is_told_by_its_size_whichever_way_it_goes() -> None:
    error = measurement_error([-100.0, *(float(n) for n in range(1, 100))])

    assert error is not None
    assert (error.calls, error.p50_ms, error.p95_ms, error.p99_ms) == (100, 50, 95, 99)


def test_of_few_calls_the_worst_is_the_p95() -> None:
    error = measurement_error([1.0, 12.0, 2.0])

    assert error is not None
    assert (error.p50_ms, error.p95_ms) == (2.0, 12.0)


@pytest.mark.parametrize(
    ("errors_ms", "says"),
    [
        ([1.0] * 40, None),
        ([10.0] * 40, None),  # the limit itself is kept
        ([1.0] * 37 + [11.0] * 3, "off by 11.0 ms at p95, more than 10 ms (40 canary calls)"),
        ([1.0] * 39 + [500.0], None),  # one in forty is what p95 leaves out
        ([], "no canary call came back"),
    ],
)
def test_a_round_is_degraded_by_an_error_that_is_large_or_unknown(errors_ms: list[float], says: str | None) -> None:
    found = degraded(measurement_error(errors_ms), 10.0)

    assert (found is None) if says is None else (found is not None and says in found.text)


def sample(provider: str, *latencies_ms: float | None) -> list[Sample]:
    return [
        Sample(Target(provider, "m"), f"p{n}", 1, 1, None if ms is None else math.log(ms), None, None)
        for n, ms in enumerate(latencies_ms)
    ]


def test_the_fastest_target_says_how_exact_a_round_has_to_be() -> None:
    round_ = [*sample("slow", 900.0, 1100.0), *sample("fast", 200.0, 400.0, None)]

    assert tolerance_ms(round_, 10.0, 0.1) == pytest.approx(30.0)
    assert tolerance_ms(sample("local", 20.0), 10.0, 0.1) == 10.0
    assert tolerance_ms(sample("dead", None), 10.0, 0.1) == 10.0
