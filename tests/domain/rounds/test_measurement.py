"""How far off a round measured, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from app.domain.catalog import Target
from app.domain.outcome import Outcome
from app.domain.rounds.comparison import Sample
from app.domain.rounds.measurement import degraded, measurement_error, own_trouble, tolerance_ms
from tests.domain.small_world import outcome


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


def failed(provider: str, error: str | None, count: int = 10) -> list[Outcome]:
    return [replace(outcome(Target(provider, "m"), 5000.0, success=False), error_class=error)] * count


def good(provider: str, count: int = 10) -> list[Outcome]:
    return [outcome(Target(provider, "m"))] * count


@pytest.mark.parametrize(
    "outcomes",
    [
        [*failed("a", "server_error"), *failed("b", "overloaded")],  # all at once, whatever they say
        [*failed("a", None), *failed("b", None)],
        failed("a", "timeout"),  # one provider: on the way
        [*failed("a", "connection_lost", 5), *failed("a", "timeout", 5)],
        [*failed("a", "bad_key"), *failed("b", "timeout"), *failed("c", "connection_lost")],
        # the line was down for a part of the round
        [*failed("a", "timeout", 2), *good("a", 8), *failed("b", "connection_lost", 3), *good("b", 7)],
    ],
)
def test_what_fails_everywhere_at_once_is_our_own_trouble(outcomes: list[Outcome]) -> None:
    found = own_trouble(outcomes)

    assert found is not None
    assert found.kind == "degraded"
    assert "our own trouble, not the providers': nothing moves" in found.text


@pytest.mark.parametrize(
    "outcomes",
    [
        [],
        [*good("a"), *failed("b", "timeout")],  # an outage of one
        [*good("a", 1), *failed("a", "server_error", 9), *failed("b", "server_error")],
        failed("a", "server_error"),  # the only provider is down
        [*failed("a", "bad_key"), *failed("b", "out_of_credit")],  # a person must mend them
        [*failed("a", "bad_key"), *failed("b", "server_error")],
        [*failed("a", "timeout", 1), *good("a", 9), *failed("b", "timeout", 1), *good("b", 9)],  # chance
        [*failed("a", "timeout", 2), *good("a", 28), *failed("b", "timeout", 2), *good("b", 8)],
    ],
)
def test_what_fails_at_some_is_theirs(outcomes: list[Outcome]) -> None:
    assert own_trouble(outcomes) is None


def test_our_own_trouble_is_told_with_its_numbers() -> None:
    found = own_trouble([*failed("a", "timeout", 4), *failed("b", "connection_lost", 2)])

    assert found is not None
    assert found.text.startswith("all 6 calls of all providers failed (timeout ×4, connection_lost ×2)")
    assert found.data == {
        "calls": 6, "failed": 6, "errors": {"timeout": 4, "connection_lost": 2}, "ownTrouble": True,
    }  # fmt: skip
