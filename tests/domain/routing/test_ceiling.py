from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.catalog import Target, TaskType
from app.domain.evidence.scorecard import Scorecard
from app.domain.evidence.spending import Payment, Spending
from app.domain.policy import CeilingPolicy, Policy
from app.domain.routing import router
from app.domain.routing.ceiling import Menu, Offer, Pacing, best_mix, hull, pace
from app.domain.routing.shrinkage import Graded, shrunk
from tests.domain.small_world import START, TARGETS, calls, config, later

CHEAP, MIDDLE, DEAR, WASTEFUL = TARGETS
#: from cheap to dear, and one that is dear and bad
OFFERS = {
    CHEAP: Offer(0.5, 0.0001),
    MIDDLE: Offer(0.8, 0.0005),
    DEAR: Offer(0.9, 0.01),
    WASTEFUL: Offer(0.7, 0.005),
}
LOOP = CeilingPolicy()
DEFAULT, CODE = TaskType.DEFAULT, TaskType.CODE


NOTHING = Spending()


def paced(ceiling: float, spending: Spending = NOTHING, now: datetime = START, **menus: Menu) -> Pacing:
    mine = {TaskType(name): menu for name, menu in menus.items()} or {DEFAULT: Menu(OFFERS, (DEAR,))}
    return pace(ceiling, spending, next(iter(mine)), mine, now, LOOP)


def spent(*costs: float, ceiling: float, at: datetime = START, task: TaskType = DEFAULT) -> Spending:
    return Spending().after([Payment(at, task, cost) for cost in costs], ceiling)


# what is bought


def test_the_hull_leaves_out_what_is_dearer_and_no_better_and_what_a_mixture_beats() -> None:
    between = Target("between", "m")

    corners = [target for target, _ in hull({**OFFERS, between: Offer(0.81, 0.004)})]

    assert corners == [CHEAP, MIDDLE, DEAR]


def test_a_mixture_of_two_neighbours_uses_up_the_allowance() -> None:
    price, mixes = best_mix({"": (1.0, OFFERS)}, 0.0003)

    assert mixes[""] == pytest.approx({CHEAP: 0.5, MIDDLE: 0.5})
    assert price == pytest.approx(0.3 / 0.0004)


def test_below_the_cheapest_it_is_the_cheapest_alone() -> None:
    assert best_mix({"": (1.0, OFFERS)}, 0.00005)[1] == {"": {CHEAP: 1.0}}


def test_beyond_the_best_money_is_worth_nothing() -> None:
    assert best_mix({"": (1.0, OFFERS)}, 1.0) == (0.0, {"": {DEAR: 1.0}})


def test_the_money_goes_first_to_the_task_type_where_it_buys_most() -> None:
    plain, code = {CHEAP: Offer(0.8, 0.0), DEAR: Offer(0.85, 0.01)}, {CHEAP: Offer(0.3, 0.0), DEAR: Offer(0.9, 0.01)}

    _, mixes = best_mix({DEFAULT: (0.75, plain), CODE: (0.25, code)}, 0.004)

    assert mixes[CODE] == {DEAR: 1.0}
    assert mixes[DEFAULT] == pytest.approx({CHEAP: 0.8, DEAR: 0.2})  # .0025 for code, .0015 of .0075 for the others


offers = st.builds(Offer, st.floats(0, 1), st.floats(1e-6, 0.1))


@given(st.lists(offers, min_size=1, max_size=8), st.floats(0, 0.2))
def test_no_mixture_of_any_two_that_can_be_paid_is_worth_more(found: list[Offer], allowance: float) -> None:
    menu = {str(number): offer for number, offer in enumerate(found)}
    _, mixes = best_mix({"": (1.0, menu)}, allowance)
    mix = mixes[""]
    value, cost = (sum(share * menu[name][part] for name, share in mix.items()) for part in (0, 1))

    assert sum(mix.values()) == pytest.approx(1)
    cheapest = min(offer.cost_usd for offer in found)
    assert cost <= max(allowance, cheapest) * (1 + 1e-9) + 1e-12
    for one in found:
        for other in found:
            if one.cost_usd <= allowance < other.cost_usd:
                part = (allowance - one.cost_usd) / (other.cost_usd - one.cost_usd)
                assert value >= one.value + part * (other.value - one.value) - 1e-6
        if one.cost_usd <= allowance:
            assert value >= one.value - 1e-9


# the loop


def test_a_ceiling_above_what_is_spent_anyway_changes_nothing() -> None:
    slack = paced(0.02)

    assert not slack.binds
    assert slack.price == 0


def test_at_the_beginning_less_than_the_ceiling_is_spent() -> None:
    first = paced(0.0003)

    assert first.binds
    assert first.allowance_usd < 0.0003
    assert dict(first.mix)[CHEAP] > 0.5


def test_a_debt_is_paid_back_and_a_credit_spent() -> None:
    debt, credit = (
        paced(0.0003, spent(*[0.0004] * 300, ceiling=0.0003)),
        paced(0.0003, spent(*[0.0002] * 300, ceiling=0.0003)),
    )

    assert debt.allowance_usd < 0.00025
    assert credit.allowance_usd > 0.00031
    assert dict(debt.mix)[CHEAP] > dict(credit.mix)[CHEAP]


def test_a_dear_target_waits_until_its_calls_can_be_paid() -> None:
    """Of the ceiling it could have one call in twenty; the first of them would be ten requests' money."""
    assert DEAR not in dict(paced(0.001).mix)
    assert DEAR in dict(paced(0.001, spent(*[0.0005] * 100, ceiling=0.001)).mix)


def test_costs_are_scaled_by_what_requests_cost_in_terms_of_probes() -> None:
    """Requests three times as long as the prompts that the targets are known by."""
    payments = [Payment(START, DEFAULT, 0.0003, 0.0001)] * 1000
    long = paced(0.0003, Spending().after(payments, 0.0003))
    as_probes = paced(0.0003, spent(*[0.0003] * 1000, ceiling=0.0003))

    assert dict(long.mix)[CHEAP] > 0.9  # which costs .0003 then
    assert dict(as_probes.mix)[CHEAP] < 0.7


def test_where_grades_are_few_the_dearer_target_is_taken_to_be_as_good_as_its_price() -> None:
    few, many = (
        shrunk(
            {
                t: Graded(q, 0.04 / count, 10.0**-n)
                for n, (t, q) in enumerate(zip(TARGETS, (0.9, 0.92, 0.8, 0.6), strict=True))
            }
        )
        for count in (4, 4000)
    )

    assert few[TARGETS[0]] > few[TARGETS[1]]
    assert many[TARGETS[0]] == pytest.approx(0.9, abs=0.005)
    assert many[TARGETS[1]] == pytest.approx(0.92, abs=0.005)


def test_a_target_refused_for_its_quality_is_called_where_all_others_break_the_ceiling() -> None:
    poor = measured({CHEAP: 0.0001, DEAR: 0.01}, {CHEAP: 0.3, DEAR: 0.95})

    assert not any(c.eligible for c in planned(None, poor).candidates if c.target == CHEAP)
    assert planned(0.002, poor).ties == (CHEAP,)
    assert planned(0.02, poor).ties == (DEAR,)


def test_what_was_spent_under_another_ceiling_or_before_the_day_is_no_debt() -> None:
    debt = spent(*[0.001] * 300, ceiling=0.0003)

    assert paced(0.00031, debt).requests == 0
    assert paced(0.0003, debt, later(hours=23)).requests == 300
    assert paced(0.0003, debt, later(hours=24)).requests == 0


def test_where_even_the_cheapest_costs_more_it_is_taken_and_said() -> None:
    found = paced(0.00005)

    assert found.mix == ((CHEAP, 1.0),)
    assert not found.can_be_held
    assert "even that costs more than the ceiling of 5e-05 USD" in found.reason


def test_exploring_is_paid_for_by_the_dearer_of_the_mix() -> None:
    costs = {target: offer.cost_usd for target, offer in OFFERS.items()}
    mix = Pacing(0.0003, 0, 0.0, 0.0003, mix=((CHEAP, 0.5), (MIDDLE, 0.5)))

    beside = dict(mix.beside(0.1, 0.0003, costs).mix)
    dearer = dict(mix.beside(0.1, 0.001, costs).mix)

    assert beside == pytest.approx(dict(mix.mix))
    cost = 0.1 * 0.001 + 0.9 * sum(share * costs[target] for target, share in dearer.items())
    assert cost == pytest.approx(0.0003)


def simulated(offers: dict[Target, Offer], ceiling: float, error: float, seed: int, count: int = 1000) -> Counter[Any]:
    """Costs as they fall, around means that the evidence misses by a factor; who was chosen, and what was paid."""
    rng, spending, total = random.Random(seed), Spending(), 0.0
    believed = {t: Offer(offer.value, offer.cost_usd * error ** rng.uniform(-1, 1)) for t, offer in offers.items()}
    menus = {DEFAULT: Menu(believed, (max(believed, key=lambda t: believed[t].value),))}
    chosen: Counter[Any] = Counter()
    for number in range(count):
        now = START + timedelta(seconds=30 * number)
        pacing = pace(ceiling, spending, DEFAULT, menus, now, LOOP)
        target = pacing.draw(rng.random())[0] if pacing.binds else menus[DEFAULT].usual[0]
        cost = offers[target].cost_usd * rng.gammavariate(2, 0.5)
        spending = spending.after([Payment(now, DEFAULT, cost)], ceiling)
        total += cost
        chosen[target] += 1
        if number + 1 >= 100:
            chosen["over"] = max(chosen["over"], total / (number + 1) / ceiling)
    chosen["spent"] = total / count / ceiling
    return chosen


@settings(max_examples=6, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(-5, -2)), min_size=2, max_size=6),
    st.floats(0.05, 0.95),
    st.integers(0, 1000),
)
def test_whatever_costs_and_qualities_a_day_costs_no_more_than_the_ceiling(
    found: list[tuple[float, float]], place: float, seed: int
) -> None:
    """Also where the evidence is wrong about costs by up to a third, and never with a target that others dominate."""
    offers = {Target(str(n), "m"): Offer(value, 10.0**power) for n, (value, power) in enumerate(found)}
    least = 1.5 * min(offer.cost_usd for offer in offers.values())
    ceiling = least + place * max(0.0, max(offer.cost_usd for offer in offers.values()) - least)

    chosen = simulated(offers, ceiling, 1.33, seed)

    assert chosen["spent"] <= 1.015


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("ceiling", [0.0003, 0.0008, 0.003])
def test_the_ceiling_is_reached_from_below_and_the_dominated_target_never_asked(ceiling: float, seed: int) -> None:
    chosen = simulated(OFFERS, ceiling, 1.2, seed)

    assert 0.93 <= chosen["spent"] <= 1.01
    assert chosen["over"] <= 1.05
    assert chosen[WASTEFUL] == 0


# in the router


def measured(cost: dict[Target, float], quality: dict[Target, float]) -> Scorecard:
    outcomes = [each for t in cost for each in calls(t, 10, latency_ms=100.0, cost_usd=cost[t], quality=quality[t])]
    return Scorecard.empty().close_round(outcomes, Policy())


#: whoever counts quality alone would send all to the dearest
GOOD = {"latency": 0.1, "cost": 0.1, "reliability": 0.8}
KNOWN = measured(
    {target: offer.cost_usd for target, offer in OFFERS.items()}, {CHEAP: 0.75, MIDDLE: 0.9, DEAR: 0.95, WASTEFUL: 0.8}
)


def policy(ceiling: float | None) -> Policy:
    return replace(Policy(), objective=replace(Policy().objective, cost=0.0, max_cost_usd=ceiling))


def planned(ceiling: float | None, card: Scorecard = KNOWN, **update: Any) -> router.Plan:
    return router.plan(config(explorationRate=0.0, weights=GOOD), TARGETS, card, {}, policy(ceiling), START, **update)


def test_the_route_is_drawn_between_two_and_the_rest_follow_by_what_they_are_worth_at_the_price() -> None:
    made = planned(0.0003, KNOWN.paid([Payment(START, DEFAULT, 0.0001)] * 20, policy(0.0003)))
    rng = random.Random(1)
    routes = [router.route(made, rng, START) for _ in range(2000)]
    shares = Counter(route.order[0] for route in routes)

    assert set(shares) == {CHEAP, MIDDLE}
    assert made.pacing is not None
    for route in routes[:10]:
        assert route.propensity == pytest.approx(dict(made.pacing.mix)[route.order[0]])
        assert route.order[2:] == (WASTEFUL, DEAR)
    assert shares[MIDDLE] / 2000 == pytest.approx(dict(made.pacing.mix)[MIDDLE], abs=0.04)
    assert "within the ceiling of 0.0003 USD" in routes[0].reason


def test_a_slack_ceiling_routes_as_without_one() -> None:
    without, slack = planned(None), planned(1.0)

    assert [each.target for each in slack.candidates] == [each.target for each in without.candidates]
    assert (slack.ties, slack.explorable, slack.lead) == (without.ties, without.explorable, without.lead)


def test_the_explanation_shows_ceiling_spending_and_price() -> None:
    card = KNOWN.paid([Payment(START, DEFAULT, 0.0002)] * 10, policy(0.0003))
    made = planned(0.0003, card)

    shown = router.explanation_json(made, router.route(made, random.Random(1), START))["ceiling"]

    assert shown["maxCostUsd"] == 0.0003
    assert shown["requests"] == 10
    assert shown["meanCostUsd"] == pytest.approx(0.0002)
    assert shown["lambdaPerUsd"] > 0
    assert sum(shown["shares"].values()) == pytest.approx(1)
    assert "ceiling" not in router.explanation_json(planned(None), router.route(planned(None), random.Random(1), START))


def test_nothing_dearer_than_the_ceiling_is_explored() -> None:
    rate = config(explorationRate=0.2, weights=GOOD)
    unseen = Scorecard(evidence={t: known for t, known in KNOWN.evidence.items() if t != DEAR})

    without = router.plan(rate, TARGETS, unseen, {}, policy(None), START)
    under = router.plan(rate, TARGETS, unseen, {}, policy(0.0003), START)

    assert DEAR in without.explorable
    assert DEAR not in under.explorable


# what is kept


def test_spending_survives_its_json_and_the_scorecard_without_a_ceiling_says_nothing_of_it() -> None:
    card = KNOWN.paid([Payment(START, CODE, 0.001), Payment(later(hours=2), DEFAULT, 0.002)], policy(0.0003))

    assert Scorecard.from_json(card.to_json()).spending == card.spending
    assert "spending" not in KNOWN.paid([Payment(START, CODE, 0.001)], policy(None)).to_json()


@pytest.mark.parametrize(
    "wrong", [{"ceilingUsd": "x", "hours": []}, {"hours": []}, {"ceilingUsd": 1, "hours": [3]}, [1]]
)
def test_spending_that_is_none_is_a_scorecard_that_is_none(wrong: Any) -> None:
    with pytest.raises(ValueError, match="not a scorecard"):
        Scorecard.from_json({**KNOWN.to_json(), "spending": wrong})
