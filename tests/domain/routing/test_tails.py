"""The 95th percentile in the objective, where somebody declares it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.domain.catalog import Target
from app.domain.evidence.scorecard import Scorecard
from app.domain.optimizer.round_summary import measure
from app.domain.outcome import Outcome, Source
from app.domain.policy import Objective, Policy
from app.domain.routing import scoring
from tests.domain.small_world import DEEPSEEK, GEMINI, POLICY, calls, outcome

SLO = replace(POLICY, objective=Objective(latency=0.2, cost=0.0, latency_ref_ms=10_000, p95=0.3, p95_ms=3000))


def tailed(target: Target, share: float, count: int = 200) -> list[Outcome]:
    """So many of them take five seconds, spread evenly; the others half a second."""
    slow = round(share * count)
    marks = {round(each * count / slow) for each in range(slow)} if slow else set()
    return [outcome(target, 5000.0 if n in marks else 500.0, source=Source.LIVE) for n in range(count)]


def utilities(outcomes: Sequence[Outcome], policy: Policy) -> dict[Target, float]:
    card = Scorecard.empty().observe(outcomes, policy)
    return {
        t: scoring.utility(f, policy.objective) for t, f in scoring.figures(card.evidence, policy.objective).items()
    }


@pytest.mark.parametrize(("share", "lost"), [(0.0, 0.0), (0.02, 0.12), (0.05, 0.3), (0.5, 0.3)])
def test_what_a_tail_costs_is_in_proportion_up_to_five_in_a_hundred(share: float, lost: float) -> None:
    without = replace(SLO, objective=replace(SLO.objective, p95=0.0))
    rows = tailed(DEEPSEEK, share)

    assert utilities(rows, without)[DEEPSEEK] - utilities(rows, SLO)[DEEPSEEK] == pytest.approx(lost, abs=0.04)


def test_a_target_with_the_better_mean_and_the_worse_tail_is_second_where_tails_are_declared() -> None:
    steady = [outcome(GEMINI, 1200.0, source=Source.LIVE) for _ in range(200)]
    rows = [*tailed(DEEPSEEK, 0.05), *steady]
    random.Random(1).shuffle(rows)
    plain = utilities(rows, replace(SLO, objective=replace(SLO.objective, p95=0.0)))
    declared = utilities(rows, SLO)

    assert plain[DEEPSEEK] > plain[GEMINI]
    assert declared[DEEPSEEK] < declared[GEMINI]


def test_the_default_weights_are_that_objective_too() -> None:
    rows = [*tailed(DEEPSEEK, 0.04), *tailed(GEMINI, 0.01)]
    card = Scorecard.empty().observe(rows, SLO)
    known = scoring.figures(card.evidence, SLO.objective)
    lean = scoring.effective(scoring.Weights(), SLO)
    whole = 1 + SLO.objective.time + SLO.objective.cost

    for each in known.values():
        utility = scoring.utility(each, SLO.objective)
        score = scoring.score(lean, scoring.features(each))
        assert score == pytest.approx((utility + SLO.objective.time + SLO.objective.cost) / whole)


def test_a_round_measures_a_tail_as_the_ranking_does() -> None:
    rows = [*calls(DEEPSEEK, 19, latency_ms=500), outcome(DEEPSEEK, 5000.0), *calls(GEMINI, 20, latency_ms=500)]
    found = measure(rows, SLO.objective)

    assert found[GEMINI].utility - found[DEEPSEEK].utility == pytest.approx(0.3 + 0.2 * 0.45 / 20)
    many = measure([*calls(DEEPSEEK, 10, latency_ms=500), *calls(DEEPSEEK, 10, latency_ms=5000)], SLO.objective)
    assert found[GEMINI].utility - many[DEEPSEEK].utility == pytest.approx(0.3 + 0.2 * 0.45 / 2)


def test_where_nobody_declares_it_nothing_is_kept() -> None:
    card = Scorecard.empty().observe(tailed(DEEPSEEK, 0.5), POLICY)

    assert card.evidence[DEEPSEEK].slow.mass == 0
