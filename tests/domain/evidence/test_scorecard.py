from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.evidence.scorecard import Scorecard
from app.domain.outcome import Outcome, Source
from tests.domain.small_world import DEEPSEEK, GEMINI, POLICY, after_rounds, calls, later, outcome


def live(*arguments: Any, **values: Any) -> Outcome:
    return outcome(*arguments, source=Source.LIVE, **values)


def known(card: Scorecard):  # type: ignore[no-untyped-def]  # a word of these tests
    return card.evidence[DEEPSEEK]


def test_a_round_gives_means_over_what_succeeded() -> None:
    card = after_rounds(calls(DEEPSEEK, 10, success=0.8, latency_ms=200, cost_usd=0.002, quality=0.5))

    assert (known(card).latency_ms, known(card).success, known(card).quality) == (200, pytest.approx(0.8), 0.5)
    assert known(card).cost_usd == pytest.approx(0.002)
    assert (known(card).benchmark_count, known(card).live_count) == (10, 0)


def test_a_round_of_ten_dominates_an_unused_target() -> None:
    card = after_rounds(calls(DEEPSEEK, 10, latency_ms=240), calls(DEEPSEEK, 10, latency_ms=450))

    assert known(card).latency_ms == pytest.approx((1 * 240 + 10 * 450) / 11)


def test_live_traffic_dominates_a_used_target() -> None:
    card = after_rounds(calls(DEEPSEEK, 10, latency_ms=240))
    card = card.observe(calls(DEEPSEEK, 500, latency_ms=450, source=Source.LIVE), POLICY)

    assert known(card).latency_ms == pytest.approx(450, rel=0.01)
    assert known(card).latency_mass == POLICY.evidence.latency_mass_cap
    assert known(card).late.mean == pytest.approx(0.45, abs=0.001)


def test_a_quick_failure_says_nothing_about_speed_and_a_slow_one_does() -> None:
    card = after_rounds(calls(DEEPSEEK, 10, latency_ms=200))

    quick = card.observe([outcome(DEEPSEEK, 5, success=False)], POLICY)
    slow = card.observe([outcome(DEEPSEEK, 30_000, success=False)], POLICY)

    assert known(quick).latency_ms == 200
    assert known(slow).latency_ms == pytest.approx((10 * 200 + 30_000) / 11)
    assert known(quick).success == known(slow).success == pytest.approx(10 / 11)


def test_a_refused_key_says_nothing_about_speed() -> None:
    refused = replace(outcome(DEEPSEEK, 900.0, success=False, source=Source.LIVE), error_class="bad_key")
    card = after_rounds(calls(DEEPSEEK, 10, latency_ms=200)).observe([refused] * 3, POLICY)

    assert (known(card).late_failed, known(card).late_failed_mass) == (0.0, 0.0)
    assert known(card.close_round([refused] * 10, POLICY)).late_failed_mass == 0.0


def test_what_does_not_count_against_a_provider_leaves_no_trace() -> None:
    card = after_rounds(calls(DEEPSEEK, 10))

    assert card.observe([outcome(DEEPSEEK, success=False, counts=False)], POLICY) == card
    assert card.observe([outcome(DEEPSEEK, source=Source.FEEDBACK)], POLICY) == card
    assert card.close_round([outcome(DEEPSEEK, success=False, counts=False)], POLICY) == card


def test_success_is_pooled_over_rounds() -> None:
    card = after_rounds(*[calls(DEEPSEEK, 10, success=0.9), calls(DEEPSEEK, 10)] * 5)

    assert known(card).success == pytest.approx(0.95, abs=0.02)
    assert known(card).mass > 40


@pytest.mark.parametrize(("before", "after"), [(0.0, 1.0), (1.0, 0.0), (1.0, 0.5)])
def test_a_round_that_contradicts_the_pooled_success_replaces_it(before: float, after: float) -> None:
    card = after_rounds(*[calls(DEEPSEEK, 10, success=before)] * 5, calls(DEEPSEEK, 10, success=after))

    assert known(card).success == pytest.approx(after)


def test_failures_that_the_breaker_lets_through_one_by_one_are_one_event() -> None:
    card = after_rounds(calls(DEEPSEEK, 200))

    out = card.observe([live(DEEPSEEK, success=False)] * 20, POLICY)
    back = out.observe([live(DEEPSEEK)], POLICY)

    assert 0.8 < known(out).success < 1 - 3 / 203
    assert known(back).success == 1.0
    assert known(back).live_count == 21


def test_failures_that_end_before_the_breaker_opens_count() -> None:
    card = after_rounds(calls(DEEPSEEK, 50)).observe([live(DEEPSEEK, success=False)] * 3, POLICY)

    assert known(card.observe([live(DEEPSEEK)], POLICY)).success < 0.96


def refusal() -> Outcome:
    return replace(live(DEEPSEEK, success=False), error_class="bad_request")


def test_a_refusal_of_what_another_served_counts_however_many_come_in_a_row() -> None:
    card = after_rounds(calls(DEEPSEEK, 10, latency_ms=40)).observe([refusal()] * 10, POLICY)

    assert known(card).success == pytest.approx(0.5)
    assert (known(card).refused_count, known(card).live_count, known(card).latency_ms) == (10, 10, 40)
    assert known(card.observe([live(DEEPSEEK)], POLICY)).success == pytest.approx(11 / 21, rel=0.01)


def test_a_refusal_that_all_gave_leaves_no_trace() -> None:
    card = after_rounds(calls(DEEPSEEK, 10))

    assert card.observe([replace(refusal(), counts=False)], POLICY) == card


def test_an_outage_does_not_make_refusals_within_it_forgotten() -> None:
    down = [live(DEEPSEEK, success=False)]
    card = after_rounds(calls(DEEPSEEK, 10)).observe([*down * 2, *[refusal()] * 10, *down * 20], POLICY)

    assert known(card.observe([live(DEEPSEEK)], POLICY)).success == pytest.approx(11 / 21, rel=0.01)


def test_a_round_that_confirms_an_outage_counts_in_full() -> None:
    card = after_rounds(calls(DEEPSEEK, 50)).observe([live(DEEPSEEK, success=False)] * 20, POLICY)
    card = card.close_round(calls(DEEPSEEK, 10, success=0), POLICY).observe([live(DEEPSEEK)], POLICY)

    assert known(card).success == pytest.approx(1 / 11)


def test_a_target_that_became_slow_is_believed_to_be_back_after_three_fast_answers_in_a_row() -> None:
    card = after_rounds(calls(DEEPSEEK, 10, latency_ms=240), calls(DEEPSEEK, 10, latency_ms=450))
    assert known(card).formerly_ms == 240

    two = card.observe([live(DEEPSEEK, 230)] * 2, POLICY)
    broken = two.observe([live(DEEPSEEK, 450), live(DEEPSEEK, 230)], POLICY)
    three = two.observe([live(DEEPSEEK, 260)], POLICY)

    assert known(two).latency_ms > 380
    assert known(broken).latency_ms > 380
    assert (known(three).latency_ms, known(three).latency_mass) == (240, 3)


@pytest.mark.parametrize(
    ("latencies", "formerly"),
    [
        ([450], 240),  # just become slow
        ([450, 450], 240),  # still slow
        ([450, 260], None),  # a round shows it back
        ([450, 900], 240),  # slower still: the first baseline is what may come back
        ([450] * 7, 240),  # six rounds later
        ([450] * 8, None),  # that is how it is now
    ],
)
def test_what_a_slow_target_formerly_was_is_remembered_while_it_may_come_back(
    latencies: list[float], formerly: float | None
) -> None:
    card = after_rounds(*(calls(DEEPSEEK, 10, latency_ms=each) for each in [240, *latencies]))

    assert known(card).formerly_ms == formerly


def test_a_round_changes_nothing_for_targets_that_were_not_in_it() -> None:
    card = after_rounds([*calls(DEEPSEEK, 10), *calls(GEMINI, 10)])

    assert card.close_round(calls(GEMINI, 10), POLICY).evidence[DEEPSEEK] == known(card)


def test_traffic_is_counted_from_round_to_round() -> None:
    one = after_rounds(calls(DEEPSEEK, 10)).observe([live(DEEPSEEK)] * 30, POLICY)
    two = one.close_round(calls(DEEPSEEK, 10), POLICY).observe([live(DEEPSEEK)] * 5, POLICY)

    assert one.calls_per_round is None
    assert two.calls_per_round == 30
    assert two.observe([live(DEEPSEEK)] * 40, POLICY).calls_per_round == 45


def test_an_unknown_price_stays_unknown() -> None:
    assert known(after_rounds(calls(DEEPSEEK, 10, cost_usd=None))).cost_usd is None


def test_quality_is_pooled_over_rounds_while_it_differs_by_chance() -> None:
    card = after_rounds(calls(DEEPSEEK, 10, quality=0.9), calls(DEEPSEEK, 10, quality=0.88))

    assert 0.88 < known(card).quality < 0.9


def test_a_quality_that_fell_beyond_chance_replaces_the_old_one() -> None:
    card = after_rounds(*[calls(DEEPSEEK, 10, quality=0.86)] * 5, calls(DEEPSEEK, 10, quality=0.45))

    assert known(card).quality == pytest.approx(0.45)


def test_an_outcome_that_comes_late_does_not_set_the_clock_back() -> None:
    card = Scorecard.empty().observe([outcome(DEEPSEEK, at=later(hours=1)), outcome(DEEPSEEK, at=later())], POLICY)

    assert known(card).last_observed_at == later(hours=1)


def test_the_journey_through_json_loses_nothing() -> None:
    card = after_rounds([*calls(DEEPSEEK, 10, quality=0.5), *calls(GEMINI, 3, success=0)])
    card = card.observe([live(GEMINI, at=later(microseconds=7))], POLICY)

    assert Scorecard.from_json(json.loads(json.dumps(card.to_json()))) == card


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"targets": 5},
        {"targets": {"x": {}}},
        {"targets": {"a/b": 7}},
        {"targets": {"a/b": {"latency_ms": "fast"}}},
        {"targets": {"a/b": {"last_observed_at": "yesterday"}}},
        {"targets": {}, "calls": "many"},
        {"targets": {}, "marks": [[1]]},
    ],
)
def test_what_is_no_scorecard_is_said_to_be_none(document: Any) -> None:
    with pytest.raises(ValueError, match=r"scorecard|target|invalid literal"):
        Scorecard.from_json(document)


def test_keys_of_a_later_release_are_passed_over() -> None:
    document = after_rounds(calls(DEEPSEEK, 10)).to_json()
    document["targets"]["deepseek/m"]["news"] = 1

    assert known(Scorecard.from_json(document)).success == 1


outcomes = st.lists(
    st.builds(
        outcome,
        st.sampled_from([DEEPSEEK, GEMINI]),
        st.floats(0, 1e6),
        success=st.booleans(),
        cost_usd=st.none() | st.floats(0, 10),
        quality=st.none() | st.floats(0, 1),
        source=st.sampled_from(Source),
    ),
    max_size=30,
)


@given(outcomes, outcomes)
def test_whatever_comes_every_number_stays_in_its_range(live: list, benchmark: list) -> None:
    card = Scorecard.empty().observe(live, POLICY).close_round(benchmark, POLICY).observe(live, POLICY)

    for each in card.evidence.values():
        assert -1e-9 <= each.success <= 1 + 1e-9
        assert each.latency_ms is None or -1e-6 <= each.latency_ms <= 1e6 + 1
        assert each.quality is None or -1e-9 <= each.quality <= 1 + 1e-9
        assert each.quality_variance >= 0


def test_a_refused_key_says_nothing_of_speed_however_long_it_takes_and_is_remembered_until_it_serves() -> None:
    slow = replace(outcome(DEEPSEEK, 9000.0, success=False, source=Source.LIVE), error_class="bad_key")
    before = after_rounds(calls(DEEPSEEK, 10, latency_ms=240))

    live = before.observe([slow], POLICY)
    round_ = before.close_round([slow] * 10, POLICY)

    for card in (live, round_):
        assert card.evidence[DEEPSEEK].latency_ms == pytest.approx(240)
        assert card.evidence[DEEPSEEK].needs_person == "bad_key"
        assert card.evidence[DEEPSEEK].needs_person_since == slow.at
        later = card.observe([replace(slow, at=slow.at + timedelta(hours=1))], POLICY)
        assert later.evidence[DEEPSEEK].needs_person_since == slow.at
        assert Scorecard.from_json(card.to_json()) == card
    served = live.observe([outcome(DEEPSEEK, 240.0, source=Source.LIVE)], POLICY)
    assert (served.evidence[DEEPSEEK].needs_person, served.evidence[DEEPSEEK].needs_person_since) == (None, None)
    assert round_.close_round(calls(DEEPSEEK, 10, latency_ms=240), POLICY).evidence[DEEPSEEK].needs_person is None
