"""Each setting of the runtime config, proved by what another process does once it is changed.

`updateFrequency` and `continuousLearning` are the optimizer's, `autoOptimization` is proved with it (test_benchmark).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app import bootstrap
from app.benchmark import benchmark
from app.benchmark.benchmark import Selection
from app.bootstrap import Running
from app.domain.catalog import TaskType
from app.errors import AllAttemptsFailed, InvalidRequest
from app.gateway.gateway import Call, Reply
from app.live import live_config
from app.providers.base import Answer, ChatRequest, Message
from app.providers.client import Client, Pool
from tests.gateway.test_gateway import ingested
from tests.support.lab import RunningLab, running_lab
from tests.support.rounds import with_policy
from tests.support.system import Behaviour, System, answer, build
from tests.support.waiting import wait_until

QUESTION = (Message("user", "What is a mutex?"),)


@dataclass(frozen=True)
class Two:
    """A process that writes settings, and another one that serves requests."""

    here: System
    there: System
    running: Running

    def change(self, **settings: object) -> None:
        """Write here, and wait until it has arrived there."""
        services = self.here.services
        config = live_config.update(services.sessions, services.redis, settings, author="anna", reason="a test")
        wait_until(lambda: self.there.services.config.value == config)

    def ask(self, **how: object) -> Reply:
        return self.running.gateway.chat(Call(QUESTION, **how))  # type: ignore[arg-type]  # fields of Call

    def answers(self, **how: object) -> str:
        return self.ask(**how).target.provider


def behaves(*, latency_ms: float, cost_usd: float) -> Behaviour:
    def behave(model: str, request: ChatRequest) -> Answer:
        return answer(latency_ms=latency_ms, cost_usd=cost_usd)

    return behave


@pytest.fixture
def two(system: System, database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Two]:
    """deepseek is slow and cheap, gemini fast and dear; both were measured, and nothing is explored."""
    references = {
        "latency_ref_ms": 1000.0,
        "cost_ref_usd": 0.006,
    }  # of two targets both would be learned at one of them
    system = with_policy(system, objective=references)
    there = with_policy(build(database_url, redis_url, tmp_path), objective=references)
    running = bootstrap.start(there.services, seed=1)
    made = Two(system, there, running)
    made.change(explorationRate=0, providers={name: {"enabled": False} for name in ("anthropic", "openai")})
    system.services.config.refresh(system.services.redis)
    for each in (system, there):
        each.client.behaviours["deepseek"] = behaves(latency_ms=900, cost_usd=0.0001)
        each.client.behaviours["gemini"] = behaves(latency_ms=100, cost_usd=0.01)
    measured(made, "deepseek", "gemini")
    yield made
    running.stop()
    there.close()


def measured(two: Two, *providers: str) -> None:
    """A round of one prompt, known to the other process."""
    services = two.here.services
    round_id = benchmark.start_round(services, "manual", Selection(providers, ("simple-qa",)))
    for key in two.here.celery.take_probes():
        benchmark.run_probe(services, key)
    two.here.celery.take_optimize()
    assert benchmark.optimize(services, round_id)
    wait_until(lambda: {t.provider for t in two.there.services.scorecard.value.evidence} >= set(providers))


FAST = {"latency": 1, "cost": 0, "reliability": 0}
CHEAP = {"latency": 0, "cost": 1, "reliability": 0}


def test_weights_choose_the_fast_or_the_cheap_one(two: Two) -> None:
    two.change(weights=FAST)
    assert two.answers() == "gemini"

    two.change(weights=CHEAP)
    assert two.answers() == "deepseek"


def test_weights_of_a_provider_judge_that_provider(two: Two) -> None:
    two.change(weights=FAST, providers={"gemini": {"weights": CHEAP}})  # dear, and judged by its price
    assert two.answers() == "deepseek"

    two.change(providers={"gemini": {"weights": None}})
    assert two.answers() == "gemini"


def test_weights_of_a_segment_apply_to_it_while_segmentation_is_on(two: Two) -> None:
    two.change(weights=FAST, segments={"frugal": {"weights": CHEAP}})
    assert two.answers(segment="frugal") == "gemini"

    two.change(features={"userSegmentation": True})
    assert two.answers(segment="frugal") == "deepseek"
    assert two.answers() == two.answers(segment="unheard of") == "gemini"


@pytest.mark.parametrize("off", [{"features": {"smartRouting": False}}, {"enabled": False}])
def test_without_smart_routing_priorities_rule_whatever_was_measured(two: Two, off: dict[str, object]) -> None:
    two.change(weights=FAST)
    assert two.answers() == "gemini"

    two.change(**off, explorationRate=1)
    assert {two.answers() for _ in range(20)} == {"deepseek"}

    two.change(providers={"deepseek": {"priority": 9}})
    assert two.answers() == "gemini"


def test_switched_off_nothing_is_learned_from_requests(two: Two) -> None:
    two.change(enabled=False)
    two.ask()
    two.change(enabled=True, features={"metricsCollection": False})
    two.ask()
    two.change(features={"metricsCollection": True})
    last = two.ask()

    assert [row.request_id for row in ingested(two.here, 1)] == [last.request_id]


def test_a_disabled_provider_is_not_called_and_comes_back(two: Two) -> None:
    two.change(weights=FAST, providers={"gemini": {"enabled": False}})
    assert two.answers() == "deepseek"
    with pytest.raises(InvalidRequest, match="disabled"):
        two.ask(provider="gemini")

    two.change(providers={"gemini": {"enabled": True}})
    assert two.answers() == "gemini"


def test_exploration_rate_and_mode_decide_how_many_requests_explore(two: Two) -> None:
    two.change(providers={"openai": {"enabled": True}})  # never measured: the one that fresh evidence is wanted of

    def explored(requests: int) -> int:
        return sum(two.ask().explored for _ in range(requests))

    assert explored(20) == 0
    two.change(explorationRate=1)
    assert explored(5) == 5
    two.change(explorationRate=0)
    assert explored(20) == 0
    two.change(features={"explorationMode": True})
    assert 0 < explored(80) < 60  # 24 are expected; outside of this once in 10 ** 12


@pytest.fixture
def lab() -> Iterator[RunningLab]:
    with running_lab() as running:
        yield running


@pytest.fixture
def on_the_wire(two: Two, lab: RunningLab, database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Two]:
    """The process that serves calls the lab over HTTP."""
    made = build(database_url, redis_url, tmp_path, {"TOOLOO_LAB_URL": lab.url})
    with Pool(2) as pool:
        calling = replace(made, services=replace(made.services, client=Client(pool)))
        running = bootstrap.start(calling.services, seed=1)
        yield Two(two.here, calling, running)
        running.stop()
    made.close()


def test_model_parameters_reach_the_provider_in_their_order_of_precedence(on_the_wire: Two, lab: RunningLab) -> None:
    two = on_the_wire

    def sent(**how: object) -> tuple[float, float, int]:
        two.ask(provider="deepseek", **how)
        seen = lab.last()["parameters"]
        return seen["temperature"], seen["top_p"], seen["max_tokens"]

    assert sent() == (0.7, 0.9, 2048)
    two.change(modelConfig={"temperature": 0.6, "topP": 0.8, "maxTokens": 1000})
    assert sent() == (0.6, 0.8, 1000)
    assert sent(task_type=TaskType.CODE) == (0.3, 0.8, 1000)
    two.change(taskModelConfig={"code": {"temperature": 0.2, "topP": 0.7}})
    assert sent(task_type=TaskType.CODE) == (0.2, 0.7, 1000)
    assert sent() == (0.6, 0.8, 1000)
    two.change(providers={"deepseek": {"modelConfig": {"temperature": 0.1}}})
    assert sent(task_type=TaskType.CODE) == (0.1, 0.7, 1000)
    assert sent(task_type=TaskType.CODE, parameters={"temperature": 1.5, "max_tokens": 7}) == (1.5, 0.7, 7)
    two.change(providers={"deepseek": {"models": {"deepseek-chat": {"modelConfig": {"topP": 0.2}}}}})
    assert sent(task_type=TaskType.CODE) == (0.1, 0.2, 1000)


def test_the_timeout_of_a_provider_ends_a_call_that_takes_longer(on_the_wire: Two, lab: RunningLab) -> None:
    two = on_the_wire
    lab.set("deepseek", latency=1500)
    two.change(providers={"deepseek": {"timeout": 100}})

    with pytest.raises(AllAttemptsFailed, match="timeout"):
        two.ask(provider="deepseek")

    two.change(providers={"deepseek": {"timeout": 60_000}})
    assert two.answers(provider="deepseek") == "deepseek"
