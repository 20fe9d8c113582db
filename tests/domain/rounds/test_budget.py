"""What a budget leaves of a round."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.rounds.budget import Allowance, insight, left_out, trim
from tests.domain.small_world import START, later

COSTS = {"a": 0.10, "b": 0.30, "c": 0.20, "d": 0.40}


def test_a_round_within_the_budget_keeps_every_prompt() -> None:
    trimmed = trim(COSTS, {}, 1.0)

    assert (trimmed.prompts, trimmed.left_out) == (("a", "b", "c", "d"), ())
    assert trimmed.cost_usd == pytest.approx(1.0)
    assert insight(Allowance(1.0, 10.0, 0.0), trimmed, 1) is None


def test_prompts_that_were_asked_longest_ago_come_first() -> None:
    first = trim(COSTS, {}, 0.5)
    second = trim(COSTS, dict.fromkeys(first.prompts, START), 0.5)

    assert first.prompts == ("a", "c")
    assert second.prompts == ("a", "b")
    assert trim(COSTS, {"a": later(hours=1), "b": later(hours=1), "c": START}, 0.65).prompts == ("c", "d")


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 10), min_size=1, max_size=12), st.floats(0, 20))
def test_whatever_one_round_can_pay_for_is_asked_within_as_many_rounds_as_there_are_prompts(
    costs: dict[str, float], usd: float
) -> None:
    asked: dict[str, datetime] = {}
    for hour in range(len(costs)):
        asked |= dict.fromkeys(trim(costs, asked, usd).prompts, later(hours=hour))

    assert asked.keys() == {prompt for prompt, cost in costs.items() if cost <= usd}


def test_the_dearest_prompt_has_its_turn_under_a_budget_for_half_of_them() -> None:
    costs = {f"p{cents}": cents / 100 for cents in range(1, 11)}
    asked: dict[str, datetime] = {}
    for hour in range(3):
        asked |= dict.fromkeys(trim(costs, asked, 0.27).prompts, later(hours=hour))

    assert asked.keys() == costs.keys()


@given(
    st.dictionaries(st.text(max_size=3), st.floats(0, 10), min_size=1, max_size=12),
    st.floats(0, 20),
    st.dictionaries(st.text(max_size=3), st.just(START)),
)
def test_a_trimmed_round_never_costs_more_than_allowed_and_loses_no_prompt(
    costs: dict[str, float], usd: float, before: dict[str, datetime]
) -> None:
    trimmed = trim(costs, before, usd)

    assert trimmed.cost_usd <= usd + 1e-9
    assert sorted([*trimmed.prompts, *trimmed.left_out]) == sorted(costs)
    assert trimmed.wanted_usd == pytest.approx(sum(costs.values()))


@pytest.mark.parametrize(
    ("allowance", "says"),
    [
        (
            Allowance(0.5, 10, 1),
            "would cost about $1.00, and a round may cost $0.5000: left out for every provider: b, d",
        ),
        (Allowance(5, 10, 9.5), "$9.50 of the $10.00 per day are spent: left out for every provider: b, d"),
        (Allowance(5, 10, 12), "$12.00 of the $10.00 per day are spent: round skipped"),
        (Allowance(0, 10, 0), "a round may cost $0.00: round skipped"),
    ],
)
def test_the_insight_names_the_cap_and_what_it_left_out(allowance: Allowance, says: str) -> None:
    found = insight(allowance, trim(COSTS, {}, allowance.usd), 1)

    assert found is not None
    assert says in found.text
    assert "moves no weights" not in found.text


def test_the_insight_says_where_too_few_prompts_are_left_to_move_weights_and_is_read_back() -> None:
    found = insight(Allowance(0.5, 10, 0), trim(COSTS, {}, 0.5), 3)

    assert found is not None
    assert found.text.endswith("b, d; what is left (2 of at least 3 prompts) moves no weights")
    notes = [{"kind": "out_of_turn", "data": {}}, {"kind": found.kind, "data": found.data}]
    assert left_out(notes) == {"b", "d"}
    assert left_out([]) == set()
