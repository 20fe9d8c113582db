"""MAIN PATH 2 over a real Postgres and Redis; providers behave as the test tells them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from app import bootstrap
from app.bootstrap import Running
from app.domain.catalog import TaskType
from app.errors import (
    AllAttemptsFailed,
    BadKey,
    BadRequest,
    ContextTooLong,
    InvalidRequest,
    NoTarget,
    Overloaded,
    ProviderError,
    Unsupported,
)
from app.evidence import ingest
from app.evidence import recorder as recorder_
from app.gateway.gateway import Call
from app.live import live_config
from app.providers.base import Answer, ChatRequest, Message
from app.store import database
from app.store.models import LiveOutcome
from tests.support.system import Behaviour, System, answer, build
from tests.support.waiting import wait_until

QUESTION = (Message("user", "What is a mutex?"),)
ALL = ("deepseek", "gemini", "anthropic", "openai")


@pytest.fixture
def running(system: System) -> Iterator[Running]:
    started = bootstrap.start(system.services, seed=1)
    yield started
    started.stop()


def fails_with(error: type[ProviderError]) -> Behaviour:
    def behave(model: str, request: ChatRequest) -> Answer:
        raise error

    return behave


def recorded(system: System) -> list[LiveOutcome]:
    with database.transaction(system.services.sessions) as session:
        return list(session.scalars(select(LiveOutcome).order_by(LiveOutcome.at, LiveOutcome.attempt)))


def ingested(system: System, count: int) -> list[LiveOutcome]:
    """The live outcomes once `count` of them have come through."""

    def look() -> bool:
        ingest.ingest(system.services)
        return len(recorded(system)) >= count

    wait_until(look)
    return recorded(system)


def change(system: System, **settings: object) -> None:
    config = live_config.update(
        system.services.sessions, system.services.redis, settings, author="anna", reason="a test"
    )
    system.services.config.refresh(system.services.redis)
    assert system.services.config.value == config


def test_without_evidence_requests_go_by_priority(system: System, running: Running) -> None:
    change(system, explorationRate=0)

    reply = running.gateway.chat(Call(QUESTION))

    assert reply.target.provider == "deepseek"
    assert [attempt.success for attempt in reply.attempts] == [True]
    assert (reply.answer.text, reply.cost_usd, reply.simulated) == ("forty-two", 0.001, True)


@pytest.mark.parametrize("error", [Overloaded, BadKey, ContextTooLong])
def test_a_failed_attempt_falls_over_to_the_next_provider(
    system: System, running: Running, error: type[ProviderError]
) -> None:
    change(system, explorationRate=0)
    system.client.behaviours["deepseek"] = fails_with(error)

    reply = running.gateway.chat(Call(QUESTION))

    assert [(a.target.provider, a.success) for a in reply.attempts] == [("deepseek", False), ("gemini", True)]
    assert isinstance(reply.attempts[0].error, error)


def test_what_one_target_refuses_another_is_asked(system: System, running: Running) -> None:
    change(system, explorationRate=0)
    system.client.behaviours["deepseek"] = fails_with(BadRequest)

    assert running.gateway.chat(Call(QUESTION)).target.provider == "gemini"


def test_what_every_target_refuses_ends_with_the_most_telling_refusal(system: System, running: Running) -> None:
    change(system, explorationRate=0)
    for name, told in zip(ALL, ("no", "messages.1.content: must be text", "Bad Request", "no"), strict=True):

        def behave(model: str, request: ChatRequest, told: str = told) -> Answer:
            raise BadRequest(told)

        system.client.behaviours[name] = behave

    with pytest.raises(BadRequest, match=r"messages\.1\.content") as refusal:
        running.gateway.chat(Call(QUESTION))

    assert refusal.value.calls == 4
    assert [name for name, _ in system.client.calls] == list(ALL)


def test_when_every_provider_fails_the_error_names_each(system: System, running: Running) -> None:
    for name in ALL:
        system.client.behaviours[name] = fails_with(Overloaded)

    with pytest.raises(AllAttemptsFailed) as failure:
        running.gateway.chat(Call(QUESTION))

    assert all(name in str(failure.value) for name in ALL)
    assert len(system.client.calls) == 4


def test_a_named_provider_is_the_only_one_called(system: System, running: Running) -> None:
    system.client.behaviours["openai"] = fails_with(Overloaded)

    assert running.gateway.chat(Call(QUESTION, provider="gemini")).target.provider == "gemini"
    with pytest.raises(AllAttemptsFailed):
        running.gateway.chat(Call(QUESTION, provider="openai"))
    with pytest.raises(InvalidRequest, match="unknown provider"):
        running.gateway.chat(Call(QUESTION, provider="mistral"))


def test_a_disabled_provider_gets_no_request(system: System, running: Running) -> None:
    change(system, providers={"deepseek": {"enabled": False}}, explorationRate=0)

    assert running.gateway.chat(Call(QUESTION)).target.provider == "gemini"
    with pytest.raises(InvalidRequest, match="disabled"):
        running.gateway.chat(Call(QUESTION, provider="deepseek"))


def test_with_every_provider_disabled_the_answer_says_why(system: System, running: Running) -> None:
    change(system, providers={name: {"enabled": False} for name in ALL})

    with pytest.raises(NoTarget, match="disabled in the runtime config"):
        running.gateway.chat(Call(QUESTION))


def test_model_parameters_follow_their_order_of_precedence(system: System, running: Running) -> None:
    change(system, providers={"gemini": {"modelConfig": {"topP": 0.5}}})

    running.gateway.chat(Call(QUESTION, task_type=TaskType.CODE, provider="gemini", parameters={"max_tokens": 7}))

    _, request = system.client.calls[-1]
    assert (request.temperature, request.top_p, request.max_tokens) == (0.3, 0.5, 7)
    assert request.frequency_penalty is None


def test_live_outcomes_reach_postgres_and_the_scorecard_once(system: System, running: Running) -> None:
    change(system, explorationRate=0)
    system.client.behaviours["deepseek"] = fails_with(Overloaded)
    reply = running.gateway.chat(Call(QUESTION))

    rows = ingested(system, 2)
    ingest.ingest(system.services)

    assert [(row.request_id, row.attempt, row.provider, row.success) for row in rows] == [
        (reply.request_id, 1, "deepseek", False),
        (reply.request_id, 2, "gemini", True),
    ]
    assert (rows[0].error_class, rows[1].cost_usd) == ("overloaded", 0.001)
    assert (rows[0].propensity, rows[1].propensity) == (1.0, None)
    wait_until(lambda: len(system.services.scorecard.value.evidence) == 2)
    assert len(recorded(system)) == 2


def test_a_target_that_was_passed_over_leaves_nothing_behind_but_its_reason(system: System, running: Running) -> None:
    change(system, explorationRate=0)
    system.client.behaviours["deepseek"] = fails_with(Unsupported)
    reply = running.gateway.chat(Call(QUESTION))

    (row,) = ingested(system, 1)

    assert [attempt.target.provider for attempt in reply.attempts] == ["gemini"]
    assert (row.attempt, row.provider, row.success) == (1, "gemini", True)
    # the draw was of the one that was passed over
    assert row.propensity is None
    assert not running.gateway.breakers.value


def test_concurrent_ingests_count_each_outcome_once(system: System, running: Running) -> None:
    for _ in range(30):
        running.gateway.chat(Call(QUESTION))
    wait_until(lambda: system.services.redis.xlen(recorder_.STREAM) == 30)

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: ingest.ingest(system.services), range(4)))

    assert sum(taken) == 30
    assert len(recorded(system)) == 30
    assert system.services.redis.xlen(recorder_.STREAM) <= 1


def test_an_outcome_that_is_not_ours_is_passed_over(system: System, running: Running) -> None:
    system.services.redis.xadd(recorder_.STREAM, {"outcome": "garbage"})
    running.gateway.chat(Call(QUESTION))

    assert len(ingested(system, 1)) == 1


def test_with_metrics_collection_off_nothing_is_recorded(system: System, running: Running) -> None:
    change(system, features={"metricsCollection": False})
    running.gateway.chat(Call(QUESTION))
    change(system, features={"metricsCollection": True})
    second = running.gateway.chat(Call(QUESTION))

    assert {row.request_id for row in ingested(system, 1)} == {second.request_id}


def test_a_provider_that_keeps_failing_is_not_tried_first_any_more(system: System, running: Running) -> None:
    change(system, explorationRate=0)
    system.client.behaviours["deepseek"] = fails_with(Overloaded)
    for _ in range(3):
        running.gateway.chat(Call(QUESTION))

    reply = running.gateway.chat(Call(QUESTION))

    assert [attempt.target.provider for attempt in reply.attempts] == ["gemini"]


def test_an_open_breaker_is_open_in_the_other_processes_too(
    system: System, running: Running, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    other = build(database_url, redis_url, tmp_path)
    elsewhere = bootstrap.start(other.services, seed=2)
    change(system, explorationRate=0)
    system.client.behaviours["deepseek"] = fails_with(BadKey)
    running.gateway.chat(Call(QUESTION))

    def avoided() -> bool:
        return elsewhere.gateway.chat(Call(QUESTION)).attempts[0].target.provider == "gemini"

    wait_until(avoided)
    elsewhere.stop()
    other.close()


def test_a_full_buffer_drops_and_counts_and_no_request_waits(system: System, running: Running) -> None:
    recorder = recorder_.Recorder(system.services.redis, size=3, stream_size=100)

    for _ in range(5):
        recorder.add({})

    assert recorder.dropped == 2


def test_chat_goes_on_without_postgres_and_redis(tmp_path: Path) -> None:
    system = build(
        f"postgresql+psycopg2://postgres@/nothing?host={tmp_path}", f"unix://{tmp_path}/nothing.sock", tmp_path
    )
    started = bootstrap.start(system.services, seed=1)

    assert started.gateway.chat(Call(QUESTION)).answer == answer()
    started.stop()
    system.close()
