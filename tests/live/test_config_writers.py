"""Two operators and the optimizer write at once: nobody's change is lost, and nobody is overruled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import text

from app import bootstrap
from app.benchmark import benchmark
from app.benchmark.benchmark import Selection
from app.domain.config import config_history
from app.errors import PreconditionFailed
from app.live import live_config
from app.store import database, revisions
from tests.benchmark.test_benchmark import probes, run_round, takes, texts
from tests.support.system import System
from tests.support.waiting import wait_until

#: writes of each operator, and rounds of the optimizer: 1,000 revisions in all
OPERATOR_WRITES, ROUNDS = 480, 40
SLOW = {"deepseek": 240, "gemini": 350, "anthropic": 450, "openai": 520}


@pytest.fixture
def system(system: System) -> System:
    """… that has its first config, and providers so far apart that the optimizer moves weights."""
    live_config.recover(system.services.sessions, system.services.redis, Path("none"), system.services.providers)
    system.services.config.refresh(system.services.redis)
    for name, latency_ms in SLOW.items():
        system.client.behaviours[name] = takes(latency_ms)
    return system


def change(system: System, **settings: object) -> None:
    live_config.update(system.services.sessions, system.services.redis, settings, author="anna", reason="a test")


def newest(system: System) -> live_config.RuntimeConfig:
    with database.transaction(system.services.sessions) as session:
        config = revisions.latest(session)
    assert config is not None
    return config


def counting_operator(system: System) -> int:
    """Reads, adds one, writes only on what it read; the number of refusals it met."""
    refused = 0
    for _ in range(OPERATOR_WRITES):
        while True:
            seen = newest(system)
            timeout = seen.providers["deepseek"].timeout + 1
            try:
                live_config.update(
                    system.services.sessions,
                    system.services.redis,
                    {"providers": {"deepseek": {"timeout": timeout}}},
                    author="counting",
                    reason="one more",
                    if_match=seen.version,
                )
                break
            except PreconditionFailed:
                refused += 1
    return refused


def blind_operator(system: System) -> None:
    """Writes a field of its own, on whatever is there."""
    for number in range(1, OPERATOR_WRITES + 1):
        change(system, providers={"gemini": {"timeout": 1000 + number}})


def optimizer(system: System) -> None:
    """Small rounds, one after the other, as a worker runs them."""
    for _ in range(ROUNDS):
        round_id = benchmark.start_round(system.services, "manual", Selection(("gemini",), ("simple-qa",)))
        for key in system.celery.take_probes():
            benchmark.run_probe(system.services, key)
        system.celery.take_optimize()
        assert benchmark.optimize(system.services, round_id)


#: author → the only paths that its revisions may change
TERRITORY = {
    "counting": {"providers.deepseek.timeout"},
    "anna": {"providers.gemini.timeout"},
    "optimizer": {"global.providerWeights", "global.explorationRate", "metadata"},
}


def test_of_a_thousand_concurrent_writes_none_is_lost(system: System) -> None:
    before = newest(system)
    published: list[int] = []
    system.services.config.on_change(lambda config: published.append(config.revision))
    subscription = bootstrap.follow(system.services)
    with ThreadPoolExecutor(3) as pool:
        refused = pool.submit(counting_operator, system)
        others = [pool.submit(blind_operator, system), pool.submit(optimizer, system)]
        for each in (refused, *others):
            each.result(timeout=100)
    wait_until(lambda: system.services.config.value.revision == 1001)
    subscription.stop()

    after = newest(system)
    assert after.providers["deepseek"].timeout == before.providers["deepseek"].timeout + OPERATOR_WRITES
    assert after.providers["gemini"].timeout == 1000 + OPERATOR_WRITES
    with database.transaction(system.services.sessions) as session:
        history = revisions.since(session, 0, 2000)
    assert sum(each.author == "optimizer" for each in history) == ROUNDS
    assert [(each.version, each.parent) for each in history] == [(1, None), *((n + 1, n) for n in range(1, 1001))]
    for earlier, later in pairwise(history):
        for difference in config_history.diff(earlier.document, later.document):
            assert any(difference["path"].startswith(path) for path in TERRITORY[later.author]), difference
    assert refused.result() > 0  # they did meet
    assert published == sorted(set(published))


def test_a_change_made_while_the_optimizer_computes_stands_beside_its_own(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person's write comes in the middle: after the optimizer read the config, before it wrote its own."""
    compute, pool, writes = benchmark.optimizer.optimize, ThreadPoolExecutor(1), []

    def waits_for_its_turn() -> bool:
        with system.services.engine.connect() as connection:
            return bool(
                connection.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
            )

    def slowly(*arguments: object, **named: object) -> object:
        writes.append(pool.submit(change, system, features={"explorationMode": True}, explorationRate=0.77))
        wait_until(lambda: writes[0].done() or waits_for_its_turn())
        return compute(*arguments, **named)  # type: ignore[arg-type]  # handed on as they are

    monkeypatch.setattr(benchmark.optimizer, "optimize", slowly)
    run_round(system)
    writes[0].result(timeout=30)

    config = newest(system)
    assert config.version == "3"
    assert config.features.exploration_mode
    assert config.global_.exploration_rate == 0.77  # the person's, not the optimizer's
    assert config.global_.provider_weights.latency > 0.4  # the optimizer's, not lost either


def test_pinned_values_stay_and_the_round_says_what_would_have_been(system: System) -> None:
    change(system, weights={"latency": 0.2, "cost": 0.2, "reliability": 0.6}, pins={"weights": True})
    pinned = newest(system).global_.provider_weights

    round_id = run_round(system)

    after = newest(system)
    assert after.global_.provider_weights == pinned
    assert after.metadata.iteration_count == 2
    assert "weights are pinned: not set to" in texts(system, round_id)
    assert probes(system, round_id)

    change(system, pins={"weights": False})
    run_round(system)
    assert newest(system).global_.provider_weights != pinned


def test_a_pinned_exploration_rate_stays(system: System) -> None:
    run_round(system)
    change(system, explorationRate=0.02, pins={"explorationRate": True})
    system.client.behaviours["deepseek"] = takes(450)

    round_id = run_round(system)

    assert newest(system).global_.exploration_rate == 0.02
    assert "explorationRate is pinned: not set to" in texts(system, round_id)
