"""Rounds and money; rounds out of turn."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.benchmark import benchmark, reaper
from app.benchmark.planning import Selection
from app.cli.kickoff import first_round
from app.errors import OverBudget
from app.store import database, rounds
from app.store.models import Probe, ProbeStatus
from tests.support.rounds import costs, every_round, probes, run_round, said, the_round, with_policy, work_off
from tests.support.system import Behaviour, System, answer, build

UNEQUAL = {"deepseek": 240.0, "gemini": 350.0, "anthropic": 450.0, "openai": 520.0}
PROVIDERS = tuple(UNEQUAL)
PROMPTS = ("simple-qa", "code-javascript", "explanation", "summarisation", "creative-writing", "data-extraction")


@pytest.fixture
def paid(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[System]:
    """All providers are real, and a call costs one US cent."""
    keys = {f"{name.upper()}_API_KEY": "a-key-of-a-test" for name in PROVIDERS}
    made = build(database_url, redis_url, tmp_path, keys)
    made.client.behaviours |= {name: costs(0.01) for name in PROVIDERS}
    yield made
    made.close()


def test_before_anything_is_known_a_round_is_expected_to_cost_its_list_price(paid: System) -> None:
    round_id = run_round(paid)

    record = the_round(paid, round_id)
    assert record.estimated_cost_usd is not None
    # 16,000 tokens at most from each of four providers, at 0.4 to 5 dollars per million
    assert 0.02 < record.estimated_cost_usd < 0.5


def test_afterwards_it_is_expected_to_cost_what_it_cost(paid: System) -> None:
    run_round(paid)

    assert the_round(paid, run_round(paid)).estimated_cost_usd == pytest.approx(0.40)


def test_a_round_over_its_cap_leaves_out_the_same_prompts_for_every_provider(paid: System) -> None:
    run_round(paid)
    paid = with_policy(paid, budget={"round_usd": 0.25})

    round_id = run_round(paid)

    asked = {name: {p.prompt_id for p in probes(paid, round_id) if p.provider == name} for name in PROVIDERS}
    assert {len(prompts) for prompts in asked.values()} == {6}
    assert len({frozenset(prompts) for prompts in asked.values()}) == 1
    assert "a round may cost $0.2500: left out for every provider: " in said(paid, round_id, "budget")[0]
    # what was left out has its turn in the next round, and then what was asked longest ago
    every = {prompt.id for prompt in paid.services.prompts}
    second, third = ({p.prompt_id for p in probes(paid, run_round(paid))} for _ in range(2))
    assert second >= every - asked["openai"]
    assert third >= every - second


@pytest.mark.parametrize(
    ("round_usd", "selection", "weights"),
    [
        (0.21, Selection(), (0.5, 0.2, 0.3)),  # five prompts of four targets
        (0.17, Selection(), (0.4, 0.3, 0.3)),  # four: too few
        (0.13, Selection(PROVIDERS[:2]), (0.4, 0.3, 0.3)),
        (0.21, Selection((), PROMPTS), (0.4, 0.3, 0.3)),
    ],
    ids=["all that a budget allows", "too few", "chosen providers", "chosen prompts"],
)
def test_a_trimmed_round_moves_weights_unless_a_person_chose_or_too_little_is_left(
    paid: System, round_usd: float, selection: Selection, weights: tuple[float, float, float]
) -> None:
    run_round(paid)
    paid = with_policy(paid, budget={"round_usd": round_usd})
    paid.client.behaviours |= {name: at(latency_ms) for name, latency_ms in UNEQUAL.items()}

    round_id = benchmark.start_round(paid.services, "manual", selection)
    work_off(paid)

    assert the_round(paid, round_id).status == "done"
    assert "left out for every provider: " in said(paid, round_id, "budget")[0]
    assert weights_in_force(paid) == weights
    assert bool(said(paid, round_id, "partial")) == (weights == (0.4, 0.3, 0.3))


def test_a_trimmed_round_of_which_a_probe_did_not_run_moves_no_weights(paid: System) -> None:
    run_round(paid)
    paid = with_policy(paid, budget={"round_usd": 0.25})
    paid.client.behaviours |= {name: at(latency_ms) for name, latency_ms in UNEQUAL.items()}
    round_id = benchmark.start_round(paid.services)
    with database.transaction(paid.services.sessions) as session:
        lost = session.query(Probe).filter_by(round_id=round_id).limit(1).one()
        lost.status, lost.error_class, lost.counts = ProbeStatus.ERROR, rounds.NOT_RUN, False

    work_off(paid)

    assert the_round(paid, round_id).status == "partial"
    assert weights_in_force(paid) == (0.4, 0.3, 0.3)


def test_a_slot_that_the_day_cannot_pay_for_is_skipped_once_and_says_so(paid: System) -> None:
    run_round(paid)
    paid = with_policy(paid, budget={"day_usd": 0.41})

    assert benchmark.start_slot(paid.services) is None
    assert benchmark.start_slot(paid.services) is None
    reaper.reap(paid.services)

    skipped = [record for record in every_round(paid) if record.status == "skipped"]
    assert len(skipped) == 1
    assert "$0.4000 of the $0.4100 per day are spent: round skipped" in skipped[0].insights[0]["text"]
    assert skipped[0].slot_start is not None
    with database.transaction(paid.services.sessions) as session:
        assert [each.id for each in rounds.with_insights(session, 1)] == [skipped[0].id]
        assert all(each.status == "done" for each in rounds.finished(session, 10))


def test_rounds_under_way_are_paid_for_in_advance(paid: System) -> None:
    run_round(paid)
    paid = with_policy(paid, budget={"day_usd": 1.01})

    benchmark.start_round(paid.services)  # 0.40 spent, 0.40 expected: 0.21 are left
    benchmark.start_round(paid.services)

    assert [record.expected_n for record in every_round(paid)] == [40, 40, 20]


def test_a_manual_round_without_money_is_refused_with_the_reason(paid: System) -> None:
    paid = with_policy(paid, budget={"round_usd": 0.0})

    with pytest.raises(OverBudget, match=r"a round may cost \$0\.00: round skipped"):
        benchmark.start_round(paid.services, "manual", Selection(("openai",)))
    assert every_round(paid) == []


def test_the_stack_starts_without_money_too(paid: System) -> None:
    paid = with_policy(paid, budget={"round_usd": 0.0})

    assert "skipped" in first_round(paid.services)


def test_many_who_ask_for_a_round_out_of_turn_at_once_get_one(system: System) -> None:
    with ThreadPoolExecutor(8) as pool:
        started = list(
            pool.map(lambda _: benchmark.request_extra_round(system.services, "drift", "deepseek ×2"), range(8))
        )

    ids = [round_id for round_id in started if round_id]
    assert len(ids) == 1
    work_off(system)
    assert the_round(system, ids[0]).trigger == "drift"
    assert said(system, ids[0], "out_of_turn") == ["round out of turn (drift): deepseek ×2"]


def test_after_the_cooldown_there_may_be_another_round_out_of_turn(system: System) -> None:
    first = benchmark.request_extra_round(system.services, "drift", "slow")
    work_off(system)
    assert first is not None

    assert benchmark.request_extra_round(system.services, "breaker", "open") is None
    _age(system, first, timedelta(seconds=system.services.policy.rounds.drift_cooldown_s + 1))
    assert benchmark.request_extra_round(system.services, "breaker", "open") is not None


def test_a_round_under_way_answers_whoever_asks_for_one_out_of_turn(system: System) -> None:
    benchmark.start_round(system.services)

    assert benchmark.request_extra_round(system.services, "drift", "slow") is None


def test_a_round_out_of_turn_keeps_to_the_budget_and_asks_again_after_the_cooldown(system: System) -> None:
    system = with_policy(system, budget={"round_usd": 0.0})

    assert benchmark.request_extra_round(system.services, "drift", "slow") is None
    assert benchmark.request_extra_round(system.services, "drift", "slow") is None
    assert [(record.trigger, record.status) for record in every_round(system)] == [("drift", "skipped")]


def test_rounds_in_turn_start_no_cooldown(system: System) -> None:
    benchmark.start_slot(system.services)
    work_off(system)
    run_round(system)

    assert benchmark.request_extra_round(system.services, "drift", "slow") is not None


def at(latency_ms: float) -> Behaviour:
    return lambda model, request: answer(latency_ms=latency_ms, cost_usd=0.01)


def weights_in_force(system: System) -> tuple[float, float, float]:
    system.services.config.refresh(system.services.redis)
    weights = system.services.config.value.global_.provider_weights
    return (weights.latency, weights.cost, weights.reliability)


def _age(system: System, round_id: str, by: timedelta) -> None:
    with system.services.engine.begin() as connection:
        connection.execute(
            text("UPDATE rounds SET planned_at = planned_at - :by WHERE id = :id"), {"by": by, "id": round_id}
        )
