from __future__ import annotations

import pytest

from app.domain.optimizer.round_summary import measure
from tests.domain.small_world import DEEPSEEK, GEMINI, POLICY, calls, outcome


def test_the_error_of_what_a_target_was_worth_is_that_of_a_mean() -> None:
    rows = [outcome(DEEPSEEK, quality=grade, cost_usd=0.0) for grade in (0.6, 0.8, 1.0)]

    row = measure(rows, POLICY.objective)[DEEPSEEK]

    assert row.utility == pytest.approx(0.8 - 0.4 * 0.1)
    assert row.utility_error == pytest.approx(0.2 / 3**0.5)


def test_one_call_cannot_tell_its_error() -> None:
    assert measure([outcome(DEEPSEEK)], POLICY.objective)[DEEPSEEK].utility_error is None


def test_failures_are_in_the_error() -> None:
    rows = [*calls(DEEPSEEK, 10, success=0.9), *calls(GEMINI, 10)]

    measured = measure(rows, POLICY.objective)

    assert (measured[DEEPSEEK].utility_error or 0) > 0.05
    assert measured[GEMINI].utility_error == pytest.approx(0.0)
