"""Two targets of which one is fast and dear: weights move the traffic, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.config.runtime_config import Weights
from app.domain.outcome import Source
from app.domain.policy import Objective, Policy
from app.domain.replay import what_if
from app.domain.replay.recorded import FinishedRound, LiveCall, trace_lines
from app.domain.replay.what_if import Setting
from tests.domain.small_world import DEEPSEEK, OPENAI, POLICY, START, calls, outcome

FAST_DEAR, SLOW_CHEAP = OPENAI, DEEPSEEK
NOW = Setting(Weights(latency=0.4, cost=0.3, reliability=0.3), POLICY.objective, 0.0)


def events(requests: int = 200) -> Iterator[FinishedRound | LiveCall]:
    rows = [
        *calls(FAST_DEAR, 10, latency_ms=200.0, cost_usd=0.004, quality=0.9),
        *calls(SLOW_CHEAP, 10, latency_ms=700.0, cost_usd=0.0002, quality=0.9),
    ]
    for hour in range(3):
        at = START + timedelta(hours=hour)
        yield FinishedRound(at, [replace(each, at=at) for each in rows])
    for number in range(requests):
        at = START + timedelta(hours=2, seconds=10 + number)
        target = FAST_DEAR if number % 2 else SLOW_CHEAP
        ms, usd = (200.0, 0.004) if target == FAST_DEAR else (700.0, 0.0002)
        yield LiveCall(outcome(target, ms + number % 7, cost_usd=usd, source=Source.LIVE, at=at), True)


def compared(then: Setting, policy: Policy = POLICY, requests: int = 200) -> dict[str, Any]:
    return what_if.compared(list(trace_lines(events(requests), policy, simulated=True)), NOW, then, policy)


def test_weights_that_favour_speed_move_the_traffic_and_say_what_it_costs() -> None:
    """U at the base: .9 − .4·.2 − .3·.667 = .62 and .9 − .4·.7 − .3·.033 = .61."""
    told = compared(replace(NOW, weights=Weights(latency=0.1, cost=0.8, reliability=0.1)))

    assert told["now"]["shares"] == {"openai/m": 1.0}
    assert told["whatIf"]["shares"] == {"deepseek/m": 1.0}
    assert told["moved"] == 1.0
    assert told["flips"] == [
        {"target": "openai/m", "now": 1, "whatIf": 2},
        {"target": "deepseek/m", "now": 2, "whatIf": 1},
    ]
    assert told["differences"]["costUsd"]["value"] == pytest.approx(-0.0038, rel=0.01)
    assert told["differences"]["costUsd"]["verdict"] == "less"
    assert told["differences"]["latencyMs"]["verdict"] == "more"
    assert told["differences"]["success"]["verdict"] == "the same"


def test_an_objective_with_a_later_reference_moves_it_too() -> None:
    """Beyond 7000 ms slower is not worse: .9 − .4·.1 beside the price of .2."""
    told = compared(replace(NOW, objective=Objective(latency_ref_ms=7000.0)))

    assert told["whatIf"]["shares"] == {"deepseek/m": 1.0}
    assert told["whatIf"]["objective"]["latencyRefMs"] == 7000.0


def test_the_same_setting_is_the_same() -> None:
    told = compared(NOW)

    assert told["moved"] == 0
    assert told["flips"] == []
    assert {each["verdict"] for each in told["differences"].values()} == {"the same"}
    assert told["now"] == told["whatIf"]


def test_without_requests_only_the_order_is_told() -> None:
    told = compared(replace(NOW, weights=Weights(latency=0.1, cost=0.8, reliability=0.1)), requests=0)

    assert (told["requests"], told["moved"], told["whatIf"]["p95Ms"]) == (0, None, None)
    assert len(told["flips"]) == 2
