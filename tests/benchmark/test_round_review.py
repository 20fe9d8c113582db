"""What a round says of itself: how well it measured, and what is new in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.benchmark import benchmark
from app.domain.config.runtime_config import Weights
from app.live import live_config
from app.providers.base import Timing
from tests.support.rounds import probes, run_round, said, takes, the_round, with_policy
from tests.support.system import System, answer

SPREAD = {"deepseek": 240, "gemini": 350, "anthropic": 450, "openai": 520}


@pytest.fixture
def system(system: System, tmp_path: Path) -> System:
    """… that has its first config, and providers whose spread of latencies moves weights."""
    services = system.services
    live_config.recover(services.sessions, services.redis, tmp_path / "runtime.json", services.providers)
    services.config.refresh(services.redis)
    system.client.behaviours |= {name: takes(latency_ms) for name, latency_ms in SPREAD.items()}
    return system


def weights(system: System) -> Weights:
    return system.services.config.value.global_.provider_weights


def test_a_round_that_measured_well_says_how_well_and_moves_weights(system: System) -> None:
    round_id = run_round(system)

    record = the_round(system, round_id)
    assert record.measurement == {"calls": 40, "p50Ms": 0.5, "p95Ms": 0.5, "p99Ms": 0.5}
    assert not record.degraded
    assert weights(system).latency > 0.4


@pytest.mark.parametrize(("off_ms", "says"), [(62.5, "off by 62.5 ms at p95"), (None, "no canary call came back")])
def test_a_degraded_round_is_marked_says_why_and_moves_no_weights(
    system: System, off_ms: float | None, says: str
) -> None:
    system.canary.off_ms = off_ms

    round_id = run_round(system)

    record = the_round(system, round_id)
    assert (record.status, record.degraded) == ("done", True)
    assert says in said(system, round_id, "degraded")[0]
    assert said(system, round_id, "partial") == []
    assert weights(system).latency == 0.4


def test_an_error_that_is_small_beside_the_fastest_answer_is_let_pass(system: System) -> None:
    system.canary.off_ms = 15.0  # more than 10 ms, less than a tenth of deepseek's 240

    assert not the_round(system, run_round(system)).degraded
    assert weights(system).latency > 0.4


def test_with_canaries_turned_off_no_round_is_degraded(system: System) -> None:
    system.canary.off_ms = None
    system = with_policy(system, rounds={"canaries": 0})

    assert not the_round(system, run_round(system)).degraded


def test_a_round_of_many_probes_makes_a_canary_call_after_each_kth(system: System) -> None:
    system = with_policy(system, rounds={"canaries": 10})

    with_canary = [probe for probe in probes(system, run_round(system)) if probe.canary_error_ms is not None]

    assert 1 <= len(with_canary) <= 30


def test_connection_set_up_is_a_number_of_its_own(system: System) -> None:
    cold = replace(answer(), timing=Timing(connect_ms=150.0, first_token_ms=250.0, total_ms=400.0))
    system.client.behaviours["openai"] = lambda model, request: cold

    probe = next(each for each in probes(system, run_round(system)) if each.provider == "openai")

    assert (probe.connect_ms, probe.ttft_ms, probe.latency_ms) == (150.0, 100.0, 250.0)


def test_a_round_is_compared_with_the_one_before_and_with_a_day(system: System) -> None:
    assert said(system, run_round(system), "comparison") == []

    same = run_round(system)
    assert len(said(system, same, "comparison")) == 2
    assert all("no clear difference in 16 comparisons" in text for text in said(system, same, "comparison"))

    system.client.behaviours["deepseek"] = takes(450)
    before, day = said(system, run_round(system), "comparison")
    assert before.startswith("Against the round before: deepseek latency worse: 450 ms, was 240 ms (×1.88,")
    assert day.startswith("Against the 24 hours before: deepseek latency worse: 450 ms, was 240 ms (×1.88,")


def test_a_degraded_round_is_nothing_to_compare_with(system: System) -> None:
    run_round(system)
    system.client.behaviours["deepseek"] = takes(900)
    system.canary.off_ms = 50.0
    run_round(system)

    system.client.behaviours["deepseek"] = takes(240)
    system.canary.off_ms = 0.5
    before, _ = said(system, run_round(system), "comparison")

    assert "no clear difference in 16 comparisons" in before


def test_reviewing_a_round_twice_says_everything_once(system: System) -> None:
    run_round(system)
    round_id = benchmark.start_round(system.services)
    while keys := system.celery.take_probes():
        for key in keys:
            benchmark.run_probe(system.services, key)
    benchmark.review(system.services, round_id)

    benchmark.optimize(system.services, round_id)

    assert len(said(system, round_id, "comparison")) == 2
