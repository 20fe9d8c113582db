"""What requests cost, from the gateway to the ceiling in money: with the real Postgres and Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app import bootstrap
from app.api import create_app
from app.bootstrap import Running
from app.cli.explain import ceiling_line
from app.domain.evidence.spending import Spending
from app.errors import Overloaded
from app.evidence import ingest
from app.gateway.gateway import Call
from tests.gateway.test_gateway import QUESTION, change, fails_with
from tests.support.rounds import run_round, said, with_policy
from tests.support.system import Behaviour, System, answer
from tests.support.waiting import wait_until

SYSTEM = "/api/v1/system"


def costs(usd: float | None) -> Behaviour:
    return lambda model, request: answer(cost_usd=usd)


@pytest.fixture
def limited(system: System) -> System:
    """Every answer costs .001 USD, and no more than .002 may be spent."""
    return with_policy(system, objective={"max_cost_usd": 0.002})


@pytest.fixture
def running(limited: System) -> Iterator[Running]:
    started = bootstrap.start(limited.services, seed=1)
    change(limited, explorationRate=0)
    yield started
    started.stop()


def spent(system: System, requests: int) -> Spending:
    """Once so many requests have come through."""

    def look() -> Spending | None:
        ingest.ingest(system.services)
        system.services.scorecard.refresh(system.services.redis)
        found = system.services.scorecard.value.spending
        return found if sum(hour.all.requests for hour in found.hours) >= requests else None

    return wait_until(look)


def test_a_request_that_fell_over_counts_once_with_what_it_cost(limited: System, running: Running) -> None:
    limited.client.behaviours["deepseek"] = fails_with(Overloaded)
    running.gateway.chat(Call(QUESTION))
    running.gateway.chat(Call(QUESTION))

    found = spent(limited, 2)

    assert [hour.all.requests for hour in found.hours] == [2]
    assert found.hours[0].all.usd == pytest.approx(0.002)


def test_who_names_a_provider_has_chosen_its_price(limited: System, running: Running) -> None:
    running.gateway.chat(Call(QUESTION, provider="openai"))
    running.gateway.chat(Call(QUESTION))

    assert [hour.all.requests for hour in spent(limited, 1).hours] == [1]


def test_a_request_without_a_known_price_says_nothing_of_the_mean(limited: System, running: Running) -> None:
    for provider in limited.services.providers:
        limited.client.behaviours[provider.name] = costs(None)
    running.gateway.chat(Call(QUESTION))
    for provider in limited.services.providers:
        limited.client.behaviours[provider.name] = costs(0.001)
    running.gateway.chat(Call(QUESTION))

    assert spent(limited, 1).hours[0].all.usd == pytest.approx(0.001)


def test_without_a_ceiling_nothing_is_counted(system: System) -> None:
    running = bootstrap.start(system.services, seed=1)
    running.gateway.chat(Call(QUESTION))
    wait_until(lambda: ingest.ingest(system.services))
    running.stop()

    system.services.scorecard.refresh(system.services.redis)
    assert system.services.scorecard.value.spending == Spending()


def test_the_scorecard_shows_the_spending_against_the_ceiling(limited: System, running: Running) -> None:
    run_round(limited)
    running.gateway.chat(Call(QUESTION))
    spent(limited, 1)

    shown = create_app(running).test_client().get(f"{SYSTEM}/scorecard").get_json()["data"]["ceiling"]

    assert (shown["maxCostUsd"], shown["requests"], shown["binds"]) == (0.002, 1, False)
    assert shown["meanCostUsd"] == pytest.approx(0.001)
    assert ceiling_line(shown) == "ceiling: 0.002 USD per request; last day 0.001 in 1 requests; slack"


def test_a_round_says_that_the_ceiling_cannot_be_held(system: System) -> None:
    poor = with_policy(system, objective={"max_cost_usd": 0.0005})

    assert said(poor, run_round(poor), "ceiling") == [
        "the ceiling of 0.0005 USD per request cannot be held: even the cheapest targets cost more"
    ]
    assert said(poor, run_round(with_policy(poor, objective={"max_cost_usd": 0.002})), "ceiling") == []
