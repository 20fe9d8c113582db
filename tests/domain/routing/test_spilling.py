"""Routes past targets that are used up, and the propensities of what is drawn then."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest

from app.domain.catalog import Target
from app.domain.routing import router
from app.domain.routing.breaker import Breaker
from app.domain.routing.plan import Plan
from app.domain.routing.router import Route
from tests.domain.routing.test_router import SPECIFIED, plan
from tests.domain.small_world import ANTHROPIC, DEEPSEEK, GEMINI, OPENAI, START, after_rounds, table

WHY = "quota: 0 of 60 requests left for 12 s"


def made(**update: object) -> Plan:
    return plan(after_rounds(table(SPECIFIED)), **update)  # type: ignore[arg-type]  # by name


def drawn(ranked: Plan, *used_up: Target, count: int = 4000) -> tuple[Counter[Target], dict[Target, set[float]]]:
    rng, firsts, told = random.Random(1), Counter[Target](), dict[Target, set[float]]()
    for _ in range(count):
        route = router.within(ranked, router.route(ranked, rng, START), dict.fromkeys(used_up, WHY))
        firsts[route.order[0]] += 1
        told.setdefault(route.order[0], set()).add(round(route.propensity, 9))
    return firsts, told


def test_the_next_by_rank_serves_what_the_first_has_no_room_for() -> None:
    ranked = made(explorationRate=0)
    route = router.within(ranked, router.route(ranked, random.Random(1), START), {DEEPSEEK: WHY})
    assert route.order == (GEMINI, ANTHROPIC, OPENAI, DEEPSEEK)
    assert (route.explored, route.propensity) == (False, 1.0)
    assert route.reason == f"best score, but not {DEEPSEEK}: {WHY}"
    assert router.explanation_json(ranked, route)["quota"] == {str(DEEPSEEK): WHY}


def test_where_all_are_used_up_the_order_stays() -> None:
    ranked = made(explorationRate=0)
    route = router.within(ranked, router.route(ranked, random.Random(1), START), dict.fromkeys(SPECIFIED, WHY))
    assert route.order == (DEEPSEEK, GEMINI, ANTHROPIC, OPENAI)


def test_who_has_an_open_breaker_is_no_refuge() -> None:
    broken = Breaker(3, START + timedelta(seconds=60), "timeout", START, START)
    ranked = made(explorationRate=0, breakers=dict.fromkeys((GEMINI, ANTHROPIC, OPENAI), broken))
    route = router.within(ranked, router.route(ranked, random.Random(1), START), {DEEPSEEK: WHY})
    assert route.order[0] == DEEPSEEK


@pytest.mark.parametrize("used_up", [(), (DEEPSEEK,), (GEMINI,), (DEEPSEEK, GEMINI), (ANTHROPIC,)])
def test_each_first_target_has_the_share_that_its_propensity_says(used_up: tuple[Target, ...]) -> None:
    ranked = plan(after_rounds(table({DEEPSEEK: 240.0, GEMINI: 240.0, OPENAI: 520.0})), explorationRate=0.3)
    assert (len(ranked.ties), ranked.explorable[0]) == (2, ANTHROPIC)
    firsts, told = drawn(ranked, *used_up)
    assert not set(firsts) & set(used_up)
    for target, said in told.items():
        assert len(said) == 1
        assert firsts[target] / firsts.total() == pytest.approx(said.pop(), abs=0.03)


def test_a_used_up_target_is_not_explored() -> None:
    ranked = plan(after_rounds(table({DEEPSEEK: 240.0, OPENAI: 520.0})), explorationRate=0.5)
    first = ranked.explorable[0]
    rng = random.Random(1)
    routes = [router.within(ranked, router.route(ranked, rng, START), {first: WHY}) for _ in range(200)]
    assert {route.order[0] for route in routes} == {ranked.ties[0]}
    assert {route.explored for route in routes} == {False}
    assert {route.propensity for route in routes} == {1.0}


def test_what_the_request_names_keeps_its_propensity() -> None:
    ranked = made()
    route = Route((DEEPSEEK, GEMINI), explored=False, propensity=1.0, reason="the request names it", is_settled=True)
    found = router.within(ranked, route, {DEEPSEEK: WHY})
    assert (found.order, found.propensity) == ((GEMINI, DEEPSEEK), 1.0)
