from __future__ import annotations

import json
import math
import random
from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.catalog import Target
from app.domain.evidence.scorecard import Scorecard
from app.domain.outcome import Source
from app.domain.routing import router
from app.domain.routing.breaker import Breaker
from app.domain.routing.plan import Plan
from app.domain.routing.router import Route
from tests.domain.small_world import (
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


def reason(made: Plan) -> str:
    """Of an exploring request where the plan's rate is 1, else of one that does not explore."""
    rng = random.Random(1)
    routes = iter(lambda: router.route(made, rng, START), None)
    return next(route.reason for route in routes if route.explored == (made.exploration_rate == 1.0))


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

    assert scores[DEEPSEEK] == pytest.approx((0.4 * 0.8 + 0.3 * (1 - 0.002 / 0.006) + 1) / 1.7)
    assert scores[GEMINI] == pytest.approx((0.4 * 0.6 + 0.3 * (1 - 0.001 / 0.006) + 1) / 1.7)


def test_at_the_default_weights_the_score_is_the_declared_objective() -> None:
    """And at others it leans from there: twice the weight of latency counts twice as much beside the rest."""
    rows = [
        *calls(DEEPSEEK, 10, success=0.9, latency_ms=200, cost_usd=0.002, quality=0.9),
        *calls(GEMINI, 10, latency_ms=400, cost_usd=0.0, quality=0.8),
        *calls(ANTHROPIC, 10, latency_ms=2000, cost_usd=0.02, quality=1.0),
    ]
    card = after_rounds(rows)

    for candidate in plan(card).candidates[:3]:
        assert candidate.score == pytest.approx((candidate.utility + 0.7) / 1.7)
    leaning = {
        c.target: c.score for c in plan(card, weights={"latency": 0.7, "cost": 0.15, "reliability": 0.15}).candidates
    }
    assert leaning[GEMINI] == pytest.approx((0.7 * 0.6 + 0.15 * 1 + 0.5 * 0.8) / (0.7 + 0.15 + 0.5))


def test_targets_that_nobody_needs_change_no_score() -> None:
    """With ratios to the best of all, a cheap and weak target made the good ones look dear."""
    needed = [
        *calls(DEEPSEEK, 10, latency_ms=500, cost_usd=0.0006, quality=0.84),
        *calls(GEMINI, 10, latency_ms=600, cost_usd=0.002, quality=0.89),
    ]
    others = [
        *calls(ANTHROPIC, 10, latency_ms=420, cost_usd=0.0001, quality=0.72),
        *calls(OPENAI, 10, latency_ms=900, cost_usd=0.006, quality=0.94),
    ]
    alone, among = plan(after_rounds(needed)), plan(after_rounds([*needed, *others]))

    assert alone.ties == among.ties == (DEEPSEEK,)
    scores = [{c.target: c.score for c in made.candidates} for made in (alone, among)]
    assert [scores[1][t] for t in (DEEPSEEK, GEMINI)] == [scores[0][t] for t in (DEEPSEEK, GEMINI)]


def test_a_free_model_is_not_infinitely_cheap() -> None:
    rows = [
        *calls(DEEPSEEK, 10, latency_ms=90, cost_usd=0.0, quality=0.7),
        *calls(GEMINI, 10, latency_ms=240, cost_usd=0.0003, quality=0.86),
    ]

    assert plan(after_rounds(rows)).ties == (GEMINI,)


def test_a_rare_answer_of_half_a_minute_counts_as_one_that_is_too_slow() -> None:
    slow = [outcome(DEEPSEEK, 30_000.0), *calls(DEEPSEEK, 19, latency_ms=300)]
    card = after_rounds([*slow, *calls(GEMINI, 20, latency_ms=450)])

    made = plan(card)

    assert card.evidence[DEEPSEEK].latency_ms > 1700
    assert made.ties == (DEEPSEEK,)
    assert made.candidates[0].utility == pytest.approx(1 - 0.4 * (0.3 * 19 + 1) / 20 - 0.3 * 0.001 / 0.006)


@pytest.mark.parametrize("failing", [(2, 5), (0, 1), (8, 9), (0, 1, 2), (3, 5, 9)])
def test_two_failures_of_ten_shut_no_gate_nor_three_in_whatever_order_they_came(failing: tuple[int, ...]) -> None:
    rows = [outcome(DEEPSEEK, success=place not in failing) for place in range(10)]

    made = plan(after_rounds([*rows, *calls(GEMINI, 10)]))

    assert {c.target: c.eligible for c in made.candidates}[DEEPSEEK]
    assert {c.target: c.evidence.success for c in made.candidates if c.evidence}[DEEPSEEK] == pytest.approx(
        1 - len(failing) / 10
    )


def test_failures_that_take_long_cost_more_than_quick_ones() -> None:
    slow = [outcome(DEEPSEEK, 30_000.0, success=False)] * 3
    quick = [outcome(GEMINI, 30.0, success=False)] * 3
    card = after_rounds([*calls(DEEPSEEK, 17), *slow, *calls(GEMINI, 17), *quick])

    worth = {c.target: c.utility for c in plan(card).candidates}
    assert worth[GEMINI] - worth[DEEPSEEK] == pytest.approx(0.4 * 0.15 * (1 - 0.03))


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


def test_among_scores_closer_than_noise_the_objective_decides() -> None:
    """The dearer one leads by a hair's breadth of score, and costs twenty times as much."""
    dear = calls(DEEPSEEK, 10, latency_ms=240, cost_usd=0.006)
    cheap = calls(GEMINI, 10, latency_ms=445, cost_usd=0.0003)
    weights = {"latency": 0.79, "cost": 0.16, "reliability": 0.05}

    made = plan(after_rounds([*dear, *cheap]), weights=weights)

    scores = {c.target: c.score for c in made.candidates}
    assert 0 < scores[DEEPSEEK] - scores[GEMINI] < POLICY.score.noise
    assert made.ties == (GEMINI,)
    assert order(made)[0] == GEMINI
    assert reason(made) == "best utility of 2 near scores"


def test_the_reason_for_a_first_place_is_true() -> None:
    card, one = after_rounds(table(SPECIFIED)), after_rounds(table({DEEPSEEK: 240.0}))
    open_ = {target: Breaker(3, later(minutes=1), "server_error") for target in TARGETS}

    assert reason(plan(card)) == "best score"
    assert reason(plan(after_rounds(table({DEEPSEEK: 350, GEMINI: 352})))) == "one of 2 near ties"
    assert reason(plan(card, breakers=open_)) == "best score: every breaker is open"
    some = {DEEPSEEK: open_[DEEPSEEK]}
    assert reason(plan(one, breakers=some)) == "never measured: the breaker of every measured target is open"
    assert reason(plan(Scorecard())) == "priority order"
    assert reason(plan(Scorecard(), breakers=some)) == "priority order, past open breakers"


def test_the_reason_for_an_exploring_request_is_true() -> None:
    rate = {"explorationRate": 1.0}
    unseen = plan(after_rounds(table({DEEPSEEK: 240.0, GEMINI: 2000.0})), **rate)

    assert reason(unseen) == "explores: never measured"
    assert reason(plan(Scorecard(), **rate)) == "explores: next in the priority order"
    assert reason(plan(after_rounds(table(SPECIFIED)), now=later(minutes=50), **rate)) == "explores: longest unseen"


def test_an_open_breaker_puts_a_target_behind_all_others() -> None:
    open_ = {DEEPSEEK: Breaker(3, later(minutes=1), "server_error")}

    made = plan(after_rounds(table(SPECIFIED)), breakers=open_)

    assert order(made)[-1] == DEEPSEEK
    assert "breaker open" in made.candidates[-1].reasons
    assert plan(after_rounds(table(SPECIFIED)), breakers=open_, now=later(minutes=2)).ties == (DEEPSEEK,)


def test_a_success_since_it_opened_closes_a_breaker() -> None:
    """A round is a trial as well."""
    open_ = {DEEPSEEK: Breaker(3, later(minutes=15), "bad_key", opened_at=later(minutes=1))}
    card = after_rounds(table(SPECIFIED))

    assert plan(card, now=later(minutes=2), breakers=open_).ties == (GEMINI,)

    card = card.close_round([outcome(t, ms, at=later(minutes=3)) for t, ms in SPECIFIED.items()], POLICY)
    assert plan(card, now=later(minutes=4), breakers=open_).ties == (DEEPSEEK,)


def test_in_a_long_outage_the_next_trial_waits_for_traffic_too() -> None:
    first = {DEEPSEEK: Breaker(4, later(minutes=1), "server_error", START, since=later(minutes=-1))}
    second = {DEEPSEEK: Breaker(9, later(minutes=1), "server_error", START, since=later(minutes=-6))}
    fast = {**SPECIFIED, GEMINI: 650, ANTHROPIC: 750, OPENAI: 820}
    card = after_rounds(table(fast)).observe([outcome(DEEPSEEK, success=False, source=Source.LIVE)], POLICY)
    passed = card.observe([outcome(GEMINI, 650, source=Source.LIVE)] * POLICY.breaker.trial_calls, POLICY)

    now = later(minutes=2)
    assert plan(card, now=now, breakers=first).ties == (DEEPSEEK,)
    assert plan(card, now=now, breakers=second).ties == (GEMINI,)
    assert plan(passed, now=now, breakers=second).ties == (DEEPSEEK,)


def test_with_all_known_targets_out_the_unknown_ones_are_tried() -> None:
    card = after_rounds(table({DEEPSEEK: 240, GEMINI: 350}))
    open_ = {target: Breaker(3, later(minutes=1), "server_error") for target in (DEEPSEEK, GEMINI)}

    made = plan(card, breakers=open_)

    assert firsts(made)[ANTHROPIC] > 0.8
    assert set(order(made)[2:]) == {DEEPSEEK, GEMINI}


def test_a_target_nobody_graded_is_taken_for_average_among_graded_ones() -> None:
    rows = [*calls(DEEPSEEK, 10, quality=0.9), *calls(GEMINI, 10, quality=0.7), *calls(OPENAI, 10)]

    made = plan(after_rounds(rows))

    assert order(made)[:3] == [DEEPSEEK, OPENAI, GEMINI]


def test_weights_of_a_provider_apply_to_its_own_score_alone() -> None:
    card = after_rounds(table({DEEPSEEK: 200, GEMINI: 400}))
    own = {"gemini": {"weights": {"latency": 0.0, "cost": 0.5, "reliability": 0.5}}}

    plain = {c.target: c.score for c in plan(card).candidates}
    changed = {c.target: c.score for c in plan(card, providers=own).candidates}

    assert changed[DEEPSEEK] == plain[DEEPSEEK]
    dear = 0.001 / 0.006
    assert plain[GEMINI] == pytest.approx((0.4 * 0.6 + 0.3 * (1 - dear) + 1) / 1.7)
    assert changed[GEMINI] == pytest.approx((0.5 * (1 - dear) + 0.5 / 0.3) / (0.5 + 0.5 / 0.3))


def test_a_clock_that_was_set_back_makes_nothing_old() -> None:
    made = plan(after_rounds(table({DEEPSEEK: 240, GEMINI: 300, ANTHROPIC: 480, OPENAI: 500}, 100)), now=later(days=-1))

    assert made.explorable == ()
    assert made.ties == (DEEPSEEK,)


def test_a_thousand_targets_are_ranked() -> None:
    targets = [Target("p", f"m{n}") for n in range(1000)]
    card = Scorecard.empty().close_round([outcome(t, 200.0 + n) for n, t in enumerate(targets)], POLICY)

    made = router.plan(config(), targets, card, {}, POLICY, START)

    assert len(router.route(made, random.Random(1), START).order) == 1000
    assert made.ties[0] == targets[0]


def test_a_single_target_is_always_first() -> None:
    made = router.plan(config(), TARGETS[:1], after_rounds(table({DEEPSEEK: 240})), {}, POLICY, later(hours=5))

    assert firsts(made) == {DEEPSEEK: 1.0}


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
    card = after_rounds(table({DEEPSEEK: 240, GEMINI: 260, ANTHROPIC: 270, OPENAI: 2000}))
    card = card.observe([outcome(GEMINI, 260, at=later(minutes=50))], POLICY)

    made = plan(card, now=later(hours=1))

    assert made.explorable == (ANTHROPIC, GEMINI)  # openai is too far behind to be worth a look
    shares = firsts(made)
    assert shares[ANTHROPIC] == pytest.approx(0.1, abs=0.02)
    assert shares[DEEPSEEK] == pytest.approx(0.9, abs=0.02)


def test_evidence_that_is_fresh_is_not_explored() -> None:
    assert plan(after_rounds(table({DEEPSEEK: 240, GEMINI: 300, ANTHROPIC: 480, OPENAI: 500}, 100))).explorable == ()


def test_success_is_drawn_to_what_is_usual_as_far_as_calls_are_few() -> None:
    """One failure of ten probes is worth more than the milliseconds between two targets, and is mostly chance."""
    others = table({GEMINI: 290, ANTHROPIC: 450, OPENAI: 520})

    unlucky = plan(after_rounds([*calls(DEEPSEEK, 10, success=0.9, latency_ms=120), *others]))
    failing = plan(after_rounds([*calls(DEEPSEEK, 1000, success=0.9, latency_ms=120), *others]))

    assert unlucky.ties == (DEEPSEEK,)
    assert failing.ties == (GEMINI,)


def test_a_look_at_a_failing_target_takes_its_quality_for_what_was_graded() -> None:
    """Not for its share of a success rate that was drawn to the others': that made it better than any answer was."""
    graded = [*calls(DEEPSEEK, 50, latency_ms=240, quality=0.72), *calls(GEMINI, 50, latency_ms=350, quality=0.83)]
    down = [outcome(DEEPSEEK, 240, success=good, source=Source.LIVE) for good in (False, False, True) * 8]
    passed_by = [outcome(GEMINI, 350, source=Source.LIVE)] * 5 * POLICY.breaker.trial_calls
    card = after_rounds(graded, graded).observe([*down, *passed_by], POLICY)

    made = router.plan(config(), (DEEPSEEK, GEMINI), card, {}, POLICY, START)

    assert card.evidence[DEEPSEEK].success < 0.7
    assert made.ties == (GEMINI,)
    assert made.explorable == ()


def test_what_a_few_calls_say_of_success_is_doubted_and_what_many_say_is_not() -> None:
    """Ten calls of a round may have failed by chance: a look is cheap, and an hour is long."""
    unlucky = calls(GEMINI, 10, success=0.9, latency_ms=100)
    well_known = calls(GEMINI, 1000, success=0.9, latency_ms=100)
    leader = calls(DEEPSEEK, 200, latency_ms=240)

    assert GEMINI in plan(after_rounds([*leader, *unlucky])).explorable
    assert GEMINI not in plan(after_rounds([*leader, *well_known])).explorable


def test_who_asks_for_much_exploration_gets_it() -> None:
    made = plan(after_rounds(table({DEEPSEEK: 240, GEMINI: 285, ANTHROPIC: 480, OPENAI: 500})), explorationRate=0.6)

    assert firsts(made)[GEMINI] == pytest.approx(0.6, abs=0.03)


def test_exploration_mode_explores() -> None:
    card = after_rounds(table({DEEPSEEK: 240, GEMINI: 270, ANTHROPIC: 480, OPENAI: 500}))

    shares = firsts(plan(card, now=later(minutes=5), features={"explorationMode": True}))

    assert shares[GEMINI] == pytest.approx(0.3, abs=0.03)


def test_a_target_that_became_slow_is_looked_after_while_it_would_lead_if_it_came_back() -> None:
    busy = calls(GEMINI, 500, latency_ms=350, source=Source.LIVE)
    back = after_rounds(table(SPECIFIED, 100), table({**SPECIFIED, DEEPSEEK: 900}, 100)).observe(busy, POLICY)
    never = after_rounds(table(SPECIFIED, 100), table({**SPECIFIED, OPENAI: 900}, 100)).observe(busy, POLICY)

    assert plan(back).explorable == (DEEPSEEK,)
    assert plan(never).explorable == ()
    still = back.observe([outcome(DEEPSEEK, 900, source=Source.LIVE)], POLICY)
    assert plan(still).explorable == ()
    assert plan(still.observe(busy[: POLICY.breaker.trial_calls], POLICY)).explorable == (DEEPSEEK,)


def flapped(*since: Any) -> Scorecard:
    """DeepSeek led, then failed; GEMINI had the traffic, and then came what is given."""
    card = after_rounds(table(SPECIFIED, 100), table(SPECIFIED, 100))
    card = card.observe(calls(GEMINI, 400, latency_ms=350, source=Source.LIVE), POLICY)
    bad = [outcome(DEEPSEEK, 700, success=good, source=Source.LIVE) for good in (False, True) * 12]
    card = card.observe([*bad, *[outcome(GEMINI, 350, source=Source.LIVE)] * POLICY.breaker.trial_calls], POLICY)
    return card.observe(since, POLICY)


def test_a_target_that_fails_since_its_round_is_looked_at_now_and_then() -> None:
    failed = outcome(DEEPSEEK, 120, success=False, source=Source.LIVE)
    passed_by = [outcome(GEMINI, 350, source=Source.LIVE)] * POLICY.breaker.trial_calls

    assert plan(flapped()).ties == (GEMINI,)
    assert plan(flapped()).explorable == (DEEPSEEK,)
    assert plan(flapped(failed)).explorable == ()
    assert plan(flapped(failed, *passed_by)).explorable == (DEEPSEEK,)


def test_looks_that_find_it_as_good_as_usual_bring_a_target_back() -> None:
    good = outcome(DEEPSEEK, 240, source=Source.LIVE)
    slow = outcome(DEEPSEEK, 700, source=Source.LIVE)

    assert plan(flapped(good, good)).explorable == (DEEPSEEK,)
    assert plan(flapped(good, good)).ties == (GEMINI,)
    assert plan(flapped(good, good, good)).ties == (DEEPSEEK,)
    assert plan(flapped(good, good, slow, good)).ties == (GEMINI,)


def test_a_round_that_falls_into_an_outage_does_not_forget_what_was_before() -> None:
    outage = [*calls(DEEPSEEK, 100, success=0.0), *table({t: ms for t, ms in SPECIFIED.items() if t != DEEPSEEK}, 100)]
    busy = calls(GEMINI, 400, latency_ms=350, source=Source.LIVE)

    once = after_rounds(table(SPECIFIED, 100), outage).observe(busy, POLICY)
    long_ago = after_rounds(table(SPECIFIED, 100), *[outage] * (POLICY.exploration.slow_rounds + 1)).observe(
        busy, POLICY
    )

    assert plan(once).explorable == (DEEPSEEK,)
    assert plan(long_ago).explorable == ()


def test_where_the_next_round_comes_before_exploration_could_tell_nothing_is_explored() -> None:
    rounds = [table({DEEPSEEK: 240, GEMINI: 290, ANTHROPIC: 1900, OPENAI: 2000})] * 2
    card = after_rounds(*rounds)

    quiet = card.observe(calls(DEEPSEEK, 50, latency_ms=240, source=Source.LIVE), POLICY)
    busy = card.observe(calls(DEEPSEEK, 500, latency_ms=240, source=Source.LIVE), POLICY)

    assert plan(quiet, now=later(hours=1)).explorable == ()
    assert plan(busy, now=later(hours=1)).explorable == (GEMINI,)


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
    assert plan(unknown).candidates[0].utility == plan(unknown).candidates[1].utility
    assert plan(free).ties == (DEEPSEEK,)


def test_every_candidate_is_shown_with_what_is_known_of_it() -> None:
    shown = router.candidates_json(plan(after_rounds(table(SPECIFIED, quality=0.9))))

    assert shown[0]["provider"] == "deepseek"
    assert shown[0]["sharesFirstPlace"] is True
    assert shown[0]["evidence"]["benchmarkCount"] == 10
    assert shown[0]["evidence"]["lastObservedAt"] == START.timestamp() * 1000


def test_an_explanation_says_why_a_request_went_where_it_went() -> None:
    rows = [*table({DEEPSEEK: 240, ANTHROPIC: 295}), *calls(OPENAI, 10, success=0.1)]  # gemini was never measured
    open_ = {ANTHROPIC: Breaker(3, later(hours=2), "server_error")}
    made = plan(after_rounds(rows), now=later(hours=1), breakers=open_, explorationRate=0.5)
    routes = [router.route(made, random.Random(seed), START) for seed in range(20)]

    exploit, explore = (next(r for r in routes if r.explored is explored) for explored in (False, True))
    said = json.loads(json.dumps(router.explanation_json(made, exploit)))

    assert said["order"][0] == "deepseek/m"
    assert (said["taskType"], said["explored"], said["propensity"]) == ("default", False, 0.5)
    assert router.explanation_json(made, explore)["order"][0] == "gemini/m"
    assert router.explanation_json(made, exploit) == said  # whatever was explained between
    by_name = {each["provider"]: each for each in said["candidates"]}
    assert by_name["deepseek"]["score"] == 0.9141
    assert (by_name["gemini"]["score"], by_name["gemini"]["reasons"]) == (None, ["no evidence yet"])
    assert "success 0.10 is below" in by_name["openai"]["reasons"][0]
    assert (by_name["anthropic"]["breaker"], by_name["anthropic"]["eligible"]) == ("open", False)
    assert by_name["deepseek"]["evidence"]["ageS"] == 3600
    assert by_name["deepseek"]["evidence"]["benchmarkCount"] == 10
    pinned = Route((OPENAI,), explored=False, propensity=1.0, reason="the request names the provider")
    assert router.explanation_json(made, pinned)["order"] == ["openai/m"]


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
    st.sampled_from(TARGETS),
    st.builds(
        Breaker,
        st.integers(0, 5),
        st.none() | st.sampled_from([later(minutes=-1), later(minutes=1)]),
        st.just("x"),
        st.none() | st.just(later(minutes=-2)),
    ),
)


@given(rows, breakers, st.booleans(), st.floats(0, 1))
def test_a_route_lists_every_enabled_target_once_and_its_propensities_add_up(
    outcomes: list, open_: dict, smart: bool, rate: float
) -> None:
    made = plan(after_rounds(outcomes), breakers=open_, explorationRate=rate, features={"smartRouting": smart})
    drawn = [router.route(made, random.Random(seed), START) for seed in range(25)]

    for candidate in made.candidates:
        assert candidate.score is None or math.isfinite(candidate.score)
        assert candidate.utility is None or math.isfinite(candidate.utility)
    for route in drawn:
        assert sorted(route.order) == sorted(TARGETS)
    ways = set(made.ties) | set(made.explorable[:1])
    explored = made.exploration_rate if made.explorable else 0.0
    total = sum((1 - explored) / len(made.ties) for _ in made.ties) + explored
    assert total == pytest.approx(1.0)
    assert {route.order[0] for route in drawn} <= ways
    for route in drawn:
        assert route.propensity == pytest.approx(explored if route.explored else (1 - explored) / len(made.ties))
