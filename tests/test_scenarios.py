"""The specification's scenarios over a running system: gateway, rounds, ingest, optimizer; real Postgres and Redis.

Providers behave as the scenario says; every request of a user must be answered, whatever happens to them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from app import bootstrap
from app.bootstrap import Running
from app.domain.catalog import Prompt, TaskType
from app.domain.config.runtime_config import GlobalConfig
from app.errors import Overloaded, ServerError
from app.evidence import ingest
from app.gateway.gateway import Call
from app.providers.base import Answer, ChatRequest, Message, Timing
from tests.benchmark.test_benchmark import run_round, texts
from tests.gateway.test_gateway import change
from tests.support.rounds import with_policy
from tests.support.system import Behaviour, System, answer
from tests.support.waiting import wait_until

QUESTION = (Message("user", "What is the capital of Australia?"),)
#: ten prompts, as a round has, that cost nothing to grade
PROMPTS = tuple(
    Prompt(f"q{n}", "Q&A", TaskType.DEFAULT, QUESTION[0].content, 50, "exact", {"items": [{"accept": "canberra"}]})
    for n in range(10)
)
LATENCY = {"deepseek": 240.0, "gemini": 350.0, "anthropic": 450.0, "openai": 520.0}
COST = {"deepseek": 0.0003, "gemini": 0.0002, "anthropic": 0.006, "openai": 0.004}


@dataclass
class World:
    """A running system, and what its providers do."""

    system: System
    running: Running
    #: attempts made, and those that have become evidence
    made: int = 0
    taken_in: int = 0

    def behave(self, provider: str, *, latency_ms: float | None = None, cost_usd: float | None = None,
               text: str = "Canberra.", fails: Callable[[int], bool] = lambda n: False) -> None:  # fmt: skip
        latency = LATENCY[provider] if latency_ms is None else latency_ms
        cost = COST[provider] if cost_usd is None else cost_usd
        self.system.client.behaviours[provider] = _behaviour(latency, cost, text, fails)

    def round(self) -> str:
        return run_round(self.system)

    def ask(self, count: int) -> Counter[str]:
        """That many requests of users, none of which may fail; then all of them are evidence. Who was tried first."""
        first: Counter[str] = Counter()
        attempts = 0
        for _ in range(count):
            reply = self.running.gateway.chat(Call(QUESTION))
            assert reply.answer.text
            first[reply.attempts[0].target.provider] += 1
            attempts += len(reply.attempts)
        self._take_in(attempts)
        return first

    def _take_in(self, count: int) -> None:
        def all_there() -> bool:
            self.taken_in += ingest.ingest(self.system.services)
            return self.taken_in >= self.made

        self.made += count
        wait_until(all_there)
        self.system.services.scorecard.refresh(self.system.services.redis)

    @property
    def routing(self) -> GlobalConfig:
        return self.system.services.config.value.global_

    @property
    def weights(self) -> tuple[float, float, float]:
        weights = self.routing.provider_weights
        return (weights.latency, weights.cost, weights.reliability)


def _behaviour(latency_ms: float, cost_usd: float, text: str, fails: Callable[[int], bool]) -> Behaviour:
    asked = 0

    def behave(model: str, request: ChatRequest) -> Answer:
        nonlocal asked
        asked += 1
        if fails(asked):
            error = ServerError() if asked % 2 else Overloaded()
            error.timing = Timing(connect_ms=0, first_token_ms=None, total_ms=120)
            raise error
        return answer(text, latency_ms=latency_ms, cost_usd=cost_usd)

    return behave


@pytest.fixture
def world(system: System) -> Iterator[World]:
    """Its references are those of the specification's figures; learned, they would be these providers' own."""
    system = with_policy(system, objective={"latency_ref_ms": 1000.0, "cost_ref_usd": 0.006})
    system = replace(system, services=replace(system.services, prompts=PROMPTS))
    running = bootstrap.start(system.services, seed=1)
    made = World(system, running)
    for name in LATENCY:
        made.behave(name)
    yield made
    running.stop()


def test_from_the_defaults_to_the_weights_of_hour_1(world: World) -> None:
    assert (world.weights, world.routing.exploration_rate) == ((0.4, 0.3, 0.3), 0.1)
    assert world.ask(20)["deepseek"] >= 14  # priority order, and a tenth explores

    world.round()

    assert world.weights == (0.5, 0.2, 0.3)
    assert world.system.services.config.value.metadata.iteration_count == 1
    assert world.ask(40)["deepseek"] >= 30


def test_a_slower_deepseek_shares_its_traffic_and_gets_it_back(world: World) -> None:
    world.behave("gemini", cost_usd=0.00095)  # so that it is worth what a slow, cheap DeepSeek is
    world.round()
    assert world.ask(40)["deepseek"] >= 30

    world.behave("deepseek", latency_ms=450)
    round_id = world.round()
    assert world.routing.exploration_rate == pytest.approx(0.15)
    assert "deepseek latency 450 ms, was 240 ms" in texts(world.system, round_id)
    balanced = sum((world.ask(40) for _ in range(2)), Counter())
    assert min(balanced["deepseek"], balanced["gemini"]) >= 15  # near ties share

    world.behave("deepseek", latency_ms=700)
    world.round()
    assert world.ask(40)["gemini"] >= 30

    world.behave("deepseek")
    world.round()
    assert world.ask(40)["deepseek"] >= 30
    assert world.routing.exploration_rate < 0.15


def test_an_outage_reaches_no_user_and_ends_when_it_ends(world: World) -> None:
    world.round()
    world.behave("deepseek", fails=lambda n: True)

    during = world.ask(60)
    assert during["deepseek"] <= 12
    round_id = world.round()
    assert "deepseek success 0%" in texts(world.system, round_id)
    assert world.ask(40)["deepseek"] <= 3

    world.behave("deepseek")
    world.round()
    assert world.ask(40)["deepseek"] >= 30


def test_a_price_times_twenty_moves_the_traffic_before_any_round(world: World) -> None:
    world.round()
    assert world.ask(30)["deepseek"] >= 20

    world.behave("deepseek", cost_usd=0.006)
    for _ in range(3):
        world.ask(20)

    assert world.ask(30)["gemini"] >= 20


def test_answers_that_become_wrong_move_the_traffic_with_the_next_round(world: World) -> None:
    world.round()
    assert world.ask(30)["deepseek"] >= 20

    world.behave("deepseek", text="Sydney.")
    assert world.ask(30)["deepseek"] >= 20  # live traffic cannot show it: nobody grades it
    world.round()

    assert world.ask(30)["deepseek"] <= 3
    card = world.system.services.scorecard.value.evidence
    assert next(known.quality for t, known in card.items() if t.provider == "deepseek") == pytest.approx(0, abs=0.1)


def test_a_provider_that_flaps_is_left_and_taken_back_between_two_rounds(world: World) -> None:
    world.round()
    assert world.ask(30)["deepseek"] >= 20

    world.behave("deepseek", latency_ms=700, fails=lambda n: n % 2 == 0)
    for _ in range(4):
        world.ask(20)
    assert world.ask(20)["deepseek"] <= 6

    world.behave("deepseek")
    change(world.system, explorationRate=0.5)  # the quicker it is found out
    shares = [world.ask(20)["deepseek"] for _ in range(12)]

    assert max(shares) >= 8, shares
