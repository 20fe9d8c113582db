"""What is slow and what is dear here, where nobody declared it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.catalog import Target
from app.domain.evidence.references import MOVED, Reference, References
from app.domain.evidence.scorecard import Scorecard
from app.domain.outcome import Source
from app.domain.policy import Objective
from app.domain.routing import scoring
from tests.domain.small_world import ANTHROPIC, DEEPSEEK, GEMINI, OPENAI, POLICY, calls, outcome, table

OPEN = replace(POLICY, objective=Objective(latency_ref_ms=0.0, cost_ref_usd=0.0))
USUAL = {DEEPSEEK: 240.0, GEMINI: 350.0, ANTHROPIC: 450.0, OPENAI: 520.0}


def learned(*rounds: Mapping[Target, float], cost_usd: float = 0.001) -> Scorecard:
    card = Scorecard.empty()
    for each in rounds:
        card = card.close_round(table(each, cost_usd=cost_usd), OPEN)
    return card


def objective(card: Scorecard) -> Objective:
    return card.in_force(OPEN).objective


def test_until_a_round_has_measured_they_are_round_numbers() -> None:
    assert objective(Scorecard.empty()) == Objective()


def test_the_first_round_gives_twice_the_middle_target() -> None:
    found = objective(learned(USUAL))

    assert (found.latency_ref_ms, found.cost_ref_usd) == (700.0, 0.002)
    assert (found.latency, found.cost) == (0.4, 0.3)


def test_what_is_declared_stays() -> None:
    card = Scorecard.empty().close_round(table(USUAL, cost_usd=0.001), POLICY)
    half = replace(POLICY, objective=Objective(latency_ref_ms=3000.0, cost_ref_usd=0.0))

    assert card.in_force(POLICY) is POLICY
    assert card.in_force(half).objective.latency_ref_ms == 3000.0
    assert card.in_force(half).objective.cost_ref_usd == 0.002


@pytest.mark.parametrize("slow", [{OPENAI: 60_000.0}, {OPENAI: 3_000.0, ANTHROPIC: 60_000.0}])
def test_targets_that_become_slow_change_nothing_while_half_of_them_are_as_usual(slow: dict[Target, float]) -> None:
    assert objective(learned(USUAL, *[USUAL | slow] * 12)).latency_ref_ms == 700.0
    assert objective(learned(USUAL | slow)).latency_ref_ms == 700.0


def test_a_round_of_one_target_alone_is_not_what_is_usual() -> None:
    assert objective(learned(USUAL, *[{OPENAI: 5000.0}] * 6)).latency_ref_ms == 700.0


def test_of_prices_that_differ_by_a_hundred_the_dear_ones_stay_apart() -> None:
    prices = {DEEPSEEK: 0.0001, GEMINI: 0.0002, ANTHROPIC: 0.01, OPENAI: 0.05}
    rows = [each for target, price in prices.items() for each in calls(target, 10, cost_usd=price)]
    card = Scorecard.empty().close_round(rows, OPEN)

    assert objective(card).cost_ref_usd == 0.02
    assert card.evidence[ANTHROPIC].dear.mean == pytest.approx(0.5)


def test_free_targets_do_not_make_all_others_dear() -> None:
    card = Scorecard.empty()
    free = [*calls(DEEPSEEK, 10, cost_usd=0.0), *calls(GEMINI, 10, cost_usd=0.0), *calls(OPENAI, 10, cost_usd=0.004)]
    found = objective(card.close_round(free, OPEN))

    assert found.cost_ref_usd == 0.008


def test_where_all_become_slower_it_follows_after_some_rounds_and_not_at_once() -> None:
    slower = {target: 4 * ms for target, ms in USUAL.items()}

    assert objective(learned(USUAL, slower)).latency_ref_ms > 700.0  # ln 4 · .3 is more than ln 1.5
    assert objective(learned(USUAL, {t: 2 * ms for t, ms in USUAL.items()})).latency_ref_ms == 700.0
    assert objective(learned(USUAL, *[slower] * 12)).latency_ref_ms == pytest.approx(2800, rel=MOVED - 1)


def test_evidence_is_told_anew_against_a_new_reference() -> None:
    card = learned(USUAL).observe([outcome(DEEPSEEK, 300.0, success=False, source=Source.LIVE)], OPEN)
    before = card.evidence[DEEPSEEK]
    moved = card.measured_by(References(Reference(1400.0, 700.0), Reference(0.004, 0.002)), OPEN)
    after = moved.evidence[DEEPSEEK]

    assert after.late.mean == pytest.approx(before.late.mean / 2)
    assert after.late_failed == pytest.approx(before.late_failed / 2)
    assert after.dear.mean == pytest.approx(before.dear.mean / 2)
    assert after.price.mean == pytest.approx(before.price.mean / 2)
    assert objective(moved).latency_ref_ms == 1400.0


def test_what_a_call_costs_in_money_is_known_also_beyond_an_old_reference() -> None:
    dear = Scorecard.empty().close_round(calls(OPENAI, 10, cost_usd=0.05), POLICY)
    moved = dear.evidence[OPENAI].measured_by(POLICY.objective, Objective(cost_ref_usd=0.1))

    assert moved.price.mean * 0.1 == pytest.approx(0.05)


@given(st.floats(50, 5_000), st.lists(st.floats(0.8, 1.25), min_size=4, max_size=4))
def test_scores_do_not_depend_on_the_unit_of_time(scale: float, ratios: list[float]) -> None:
    """Twice as slow everywhere is the same choice."""
    targets = (DEEPSEEK, GEMINI, ANTHROPIC, OPENAI)
    one = learned({t: 100 * ratio for t, ratio in zip(targets, ratios, strict=True)})
    other = learned({t: scale * ratio for t, ratio in zip(targets, ratios, strict=True)})
    scores = [{t: f.late for t, f in scoring.figures(card.evidence, objective(card)).items()} for card in (one, other)]

    assert scores[1] == pytest.approx(scores[0], rel=0.06)  # the reference is rounded to two digits


def test_they_outlive_a_restart() -> None:
    card = learned(USUAL)

    assert Scorecard.from_json(json.loads(json.dumps(card.to_json()))).references == card.references
    assert Scorecard.from_json({"targets": {}}).references == References()
