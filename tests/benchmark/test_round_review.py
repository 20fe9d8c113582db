"""What a round says of itself: how well it measured, and what is new in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.benchmark import benchmark
from app.domain.config.runtime_config import Weights
from app.domain.evidence.scorecard import Scorecard
from app.errors import BadKey, ConnectionLost, ProviderError
from app.evidence import rebuilding, scorecard
from app.live import live_config
from app.providers.base import Answer, Timing
from app.store import database, outcomes
from tests.support.rounds import probes, run_round, said, takes, the_round, with_policy
from tests.support.system import Behaviour, System, answer

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
    assert before.startswith(
        "Against the round before, prompt by prompt: deepseek latency worse: 450 ms, was 240 ms (×1.88,"
    )
    assert day.startswith(
        "Against the 24 hours before, prompt by prompt: deepseek latency worse: 450 ms, was 240 ms (×1.88,"
    )


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


def fails_with(error: ProviderError, after_ms: float) -> Behaviour:
    def behave(model: str, request: object) -> Answer:
        error.timing = Timing(connect_ms=0.0, first_token_ms=None, total_ms=after_ms)
        raise error

    return behave


def learned(system: System) -> Scorecard:
    with database.transaction(system.services.sessions) as session:
        return scorecard.held(outcomes.learned(session))


def test_an_outage_of_our_own_network_is_no_evidence_and_moves_nothing(system: System) -> None:
    run_round(system)
    system.client.behaviours |= {name: fails_with(ConnectionLost(), 3000.0) for name in SPREAD}
    before, known = system.services.config.value, learned(system)

    round_id = run_round(system)

    record = the_round(system, round_id)
    assert (record.status, record.degraded) == ("done", True)
    (text,) = said(system, round_id, "degraded")
    assert text.startswith("all 40 calls of all providers failed (connection_lost ×40): our own trouble")
    assert said(system, round_id, "partial") == said(system, round_id, "reliability") == []
    after = system.services.config.value
    assert after.global_ == before.global_
    assert after.metadata.optimization_score_samples == before.metadata.optimization_score_samples == 40
    assert learned(system) == known


def test_after_an_outage_of_our_own_what_was_learned_is_rebuilt_without_it(system: System) -> None:
    run_round(system)
    system.client.behaviours |= {name: fails_with(ConnectionLost(), 3000.0) for name in SPREAD}
    run_round(system)

    with database.transaction(system.services.sessions) as session:
        rebuilt = rebuilding.rebuilt(session, system.services.policy)

    assert {target: each.success for target, each in rebuilt.card.evidence.items()} == dict.fromkeys(
        learned(system).evidence, 1.0
    )
    assert len(rebuilt.card.evidence) == 4


def test_a_bad_key_is_what_a_person_must_mend_and_moves_nothing(system: System) -> None:
    run_round(system)
    before = system.services.config.value
    system.client.behaviours["deepseek"] = fails_with(BadKey(), 80.0)

    round_id = run_round(system)

    after = system.services.config.value
    assert after.global_ == before.global_
    (text,) = said(system, round_id, "needs_person")
    assert text.startswith("deepseek needs a person: its key is refused (")
    assert text.endswith("put a valid key into DEEPSEEK_API_KEY, and start TooLoo again")
    assert said(system, round_id, "reliability") == []
    assert not the_round(system, round_id).degraded
    assert after.metadata.optimization_score == 1.0
    assert after.metadata.optimization_score_low <= 1.0 == after.metadata.optimization_score_high
    assert after.metadata.optimization_score_samples == 30
