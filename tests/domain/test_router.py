from __future__ import annotations

import random
from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import router
from app.domain.breaker import Breaker
from app.domain.catalog import Target
from app.domain.router import Plan
from app.domain.scorecard import Scorecard
from tests.domain.routing import (
    ANTHROPIC,
    DEEPSEEK,
    GEMINI,
    OPENAI,
    POLICY,
    START,
    TARGETS,
    after_rounds,
    calls,
    config,
    later,
    outcome,
    table,
)

SPECIFIED = {DEEPSEEK: 240.0, GEMINI: 350.0, ANTHROPIC: 450.0, OPENAI: 520.0}


def plan(
    card: Scorecard, *, now: datetime = START, breakers: Any = (), segment: str | None = None, **update: Any
) -> Plan:
    return router.plan(config(**update), TARGETS, card, dict(breakers), POLICY, now, segment)


def order(made: Plan) -> list[Target]:
    return [candidate.target for candidate in made.candidates]


def firsts(made: Plan, count: int = 2000) -> dict[Target, float]:
    rng = random.Random(1)
    drawn = Counter(router.route(made, rng, START).order[0] for _ in range(count))
    return {target: drawn[target] / count for target in drawn}


def test_the_fastest_wins_where_all_else_is_equal() -> None:
    made = plan(after_rounds(table(SPECIFIED)))

    assert order(made) == [DEEPSEEK, GEMINI, ANTHROPIC, OPENAI]
    assert made.ties == (DEEPSEEK,)


def test_the_score_is_the_documented_sum() -> None:
    card = after_rounds(
        [*calls(DEEPSEEK, 10, latency_ms=200, cost_usd=0.002), *calls(GEMINI, 10, latency_ms=400, cost_usd=0.001)]
    )

    scores = {c.target: c.score for c in plan(card).candidates}

    assert scores[DEEPSEEK] == pytest.approx(0.4 * 1 + 0.3 * 0.5 + 0.3 * 1)
    assert scores[GEMINI] == pytest.approx(0.4 * 0.5 + 0.3 * 1 + 0.3 * 1)


def test_a_dead_provider_that_was_fast_and_cheap_does_not_win() -> None:
    rows = [*calls(DEEPSEEK, 10, success=0.1, latency_ms=10, cost_usd=0.0001), *calls(GEMINI, 10, latency_ms=900)]

    made = plan(after_rounds(rows))

    assert made.ties == (GEMINI,)
    assert "success 0.10 is below" in made.candidates[-1].reasons[0]


def test_a_fast_cheap_wrong_provider_does_not_win() -> None:
    rows = [*calls(DEEPSEEK, 20, latency_ms=10, quality=0.3), *calls(GEMINI, 20, latency_ms=900, quality=0.9)]

    made = plan(after_rounds(rows))

    assert made.ties == (GEMINI,)
    assert "quality 0.30 is below" in made.candidates[-1].reasons[0]


def test_when_none_passes_the_gate_all_compete() -> None:
    assert len(plan(after_rounds([outcome(t, success=False) for t in TARGETS])).candidates) == 4


def test_near_ties_share_the_traffic() -> None:
    made = plan(after_rounds(table({DEEPSEEK: 350, GEMINI: 352})), explorationRate=0)

    shares = firsts(made)
    assert set(shares) == {DEEPSEEK, GEMINI}
    assert all(0.45 < share < 0.55 for share in shares.values())


def test_an_open_breaker_puts_a_target_behind_all_others() -> None:
    open_ = {DEEPSEEK: Breaker(3, later(minutes=1), "server_error")}

    made = plan(after_rounds(table(SPECIFIED)), breakers=open_)

    assert order(made)[-1] == DEEPSEEK
    assert "breaker open" in made.candidates[-1].reasons
    assert plan(after_rounds(table(SPECIFIED)), breakers=open_, now=later(minutes=2)).ties == (DEEPSEEK,)


def test_without_evidence_the_configured_priority_rules() -> None:
    made = plan(Scorecard.empty(), providers={"openai": {"priority": 1}, "deepseek": {"priority": 9}})

    assert order(made) == [OPENAI, GEMINI, ANTHROPIC, DEEPSEEK]


@pytest.mark.parametrize("update", [{"enabled": False}, {"features": {"smartRouting": False}}])
def test_switched_off_routing_goes_by_priority_and_never_explores(update: dict) -> None:
    made = plan(after_rounds(table({t: 500 - ms for t, ms in SPECIFIED.items()})), **update)

    assert order(made) == list(TARGETS)
    assert firsts(made) == {DEEPSEEK: 1.0}


def test_a_disabled_provider_is_left_out() -> None:
    assert DEEPSEEK not in order(plan(after_rounds(table(SPECIFIED)), providers={"deepseek": {"enabled": False}}))


def test_weights_decide_between_fast_and_cheap() -> None:
    card = after_rounds(
        [*calls(DEEPSEEK, 10, latency_ms=100, cost_usd=0.005), *calls(GEMINI, 10, latency_ms=300, cost_usd=0.001)]
    )

    fast = plan(card, weights={"latency": 0.8, "cost": 0.1, "reliability": 0.1})
    cheap = plan(card, weights={"latency": 0.1, "cost": 0.8, "reliability": 0.1})

    assert (fast.ties, cheap.ties) == ((DEEPSEEK,), (GEMINI,))


def test_weights_of_a_segment_apply_to_it_alone_and_only_when_segmentation_is_on() -> None:
    card = after_rounds(
        [*calls(DEEPSEEK, 10, latency_ms=100, cost_usd=0.005), *calls(GEMINI, 10, latency_ms=300, cost_usd=0.001)]
    )
    update: dict[str, Any] = {
        "weights": {"latency": 0.8, "cost": 0.1, "reliability": 0.1},
        "segments": {"batch": {"weights": {"latency": 0.1, "cost": 0.8, "reliability": 0.1}}},
    }

    on = {**update, "features": {"userSegmentation": True}}
    assert plan(card, segment="batch", **on).ties == (GEMINI,)
    assert plan(card, segment="other", **on).ties == (DEEPSEEK,)
    assert plan(card, segment="batch", **update).ties == (DEEPSEEK,)


def test_exploration_is_a_cap_and_goes_to_the_longest_unseen_that_could_pay() -> None:
    card = after_rounds(table({DEEPSEEK: 240, GEMINI: 255, ANTHROPIC: 260, OPENAI: 2000}))
    card = card.observe([outcome(GEMINI, 255, at=later(minutes=50))], POLICY)

    made = plan(card, now=later(hours=1))

    assert made.explorable == (ANTHROPIC, GEMINI)  # openai is too far behind to be worth a look
    shares = firsts(made)
    assert shares[ANTHROPIC] == pytest.approx(0.1, abs=0.02)
    assert shares[DEEPSEEK] == pytest.approx(0.9, abs=0.02)


def test_where_nothing_could_pay_nothing_is_explored() -> None:
    card = after_rounds(table({DEEPSEEK: 240, GEMINI: 500, ANTHROPIC: 600, OPENAI: 700}))

    assert firsts(plan(card, now=later(hours=1))) == {DEEPSEEK: 1.0}


def test_a_target_never_measured_is_explored_first() -> None:
    made = plan(after_rounds(table({DEEPSEEK: 240, GEMINI: 250, ANTHROPIC: 300})))

    assert made.explorable[0] == OPENAI
    assert firsts(made)[OPENAI] == pytest.approx(0.1, abs=0.02)


def test_an_unknown_price_does_not_win_and_a_free_model_does_not_break_anything() -> None:
    unknown = after_rounds([*calls(DEEPSEEK, 10, cost_usd=None), *calls(GEMINI, 10, cost_usd=0.001)])
    free = after_rounds([*calls(DEEPSEEK, 10, cost_usd=0.0), *calls(GEMINI, 10, cost_usd=0.005)])

    assert plan(unknown).candidates[0].score == plan(unknown).candidates[1].score
    assert plan(free).ties == (DEEPSEEK,)


def test_every_candidate_is_shown_with_what_is_known_of_it() -> None:
    shown = router.candidates_json(plan(after_rounds(table(SPECIFIED, quality=0.9))))

    assert shown[0]["provider"] == "deepseek"
    assert shown[0]["sharesFirstPlace"] is True
    assert shown[0]["evidence"]["benchmarkCount"] == 10
    assert shown[0]["evidence"]["lastObservedAt"] == START.timestamp() * 1000


def test_with_no_target_the_route_is_empty() -> None:
    empty = router.plan(config(), (), Scorecard.empty(), {}, POLICY, START)

    assert router.route(empty, random.Random(1), START).order == ()


rows = st.lists(
    st.builds(
        outcome,
        st.sampled_from(TARGETS),
        st.floats(0, 1e6),
        success=st.booleans(),
        cost_usd=st.none() | st.floats(0, 10),
        quality=st.none() | st.floats(0, 1),
    ),
    max_size=40,
)
breakers = st.dictionaries(
    st.sampled_from(TARGETS), st.builds(Breaker, st.integers(0, 5), st.none() | st.just(later(minutes=1)), st.just("x"))
)


@given(rows, breakers, st.booleans(), st.floats(0, 1))
def test_a_route_lists_every_enabled_target_once_and_its_propensities_add_up(
    outcomes: list, open_: dict, smart: bool, rate: float
) -> None:
    made = plan(after_rounds(outcomes), breakers=open_, explorationRate=rate, features={"smartRouting": smart})
    drawn = [router.route(made, random.Random(seed), START) for seed in range(25)]

    for route in drawn:
        assert sorted(route.order) == sorted(TARGETS)
    ways = set(made.ties) | set(made.explorable[:1])
    explored = made.exploration_rate if made.explorable else 0.0
    total = sum((1 - explored) / len(made.ties) for _ in made.ties) + explored
    assert total == pytest.approx(1.0)
    assert {route.order[0] for route in drawn} <= ways
    for route in drawn:
        assert route.propensity == pytest.approx(explored if route.explored else (1 - explored) / len(made.ties))
