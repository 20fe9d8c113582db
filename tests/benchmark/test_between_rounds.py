"""Between rounds: feedback, drift, breakers that open, and a scorecard that is lost."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from app.api import create_app
from app.benchmark import benchmark, between_rounds
from app.benchmark.planning import Selection
from app.bootstrap import start
from app.domain.catalog import TaskType
from app.domain.optimizer.optimizer import OptimizerState
from app.domain.routing.breaker import Breaker
from app.evidence import ingest, recorder, scorecard
from app.gateway import breakers
from app.gateway.gateway import Call
from app.live import live_config
from app.providers.base import Message
from app.store import database
from app.store.models import Feedback, Learned, Revision, Round
from tests.benchmark.test_benchmark import run_round, takes, work_off
from tests.domain.small_world import same_memory
from tests.gateway.test_gateway import change
from tests.support.system import System

QUESTION = (Message("user", "What is a mutex?"),)
LATENCY = {"deepseek": 240.0, "gemini": 350.0, "anthropic": 450.0, "openai": 520.0}


@pytest.fixture
def system(system: System) -> System:
    """… after its first round, of three prompts that are cheap to grade."""
    cheap = tuple(prompt for prompt in system.services.prompts if prompt.grader != "javascript")[:3]
    system = replace(system, services=replace(system.services, prompts=cheap))
    services = system.services
    live_config.recover(services.sessions, services.redis, services.settings.snapshot_file, services.providers)
    services.config.refresh(services.redis)
    for name, latency_ms in LATENCY.items():
        system.client.behaviours[name] = takes(latency_ms)
    run_round(system)
    return system


def learns(system: System) -> None:
    change(system, features={"continuousLearning": True})


def live(system: System, provider: str, count: int, latency_ms: float, **values: object) -> list[str]:
    """Live outcomes as the gateway records them; their request ids."""
    target = next(t for t in system.services.targets if t.provider == provider)
    with database.transaction(system.services.sessions) as session:
        now = database.now(session)
    ids = [f"req-{provider}-{random.random()}" for _ in range(count)]
    for number, request_id in enumerate(ids):
        row = {
            "request_id": request_id, "attempt": 1, "at": (now + timedelta(milliseconds=number)).isoformat(),
            "provider": target.provider, "model": target.model, "task_type": "default", "segment": None,
            "success": True, "latency_ms": latency_ms, "ttft_ms": None, "connect_ms": None, "prompt_tokens": 10,
            "completion_tokens": 20, "reasoning_tokens": None, "cached_tokens": None, "tokens_estimated": False,
            "cost_usd": 0.001, "error_class": None, "counts": True, "simulated": True, "explored": False,
            "propensity": 1.0, "revision": 1, **values,
        }  # fmt: skip
        system.services.redis.xadd(recorder.STREAM, {"outcome": json.dumps(row)})
    ingest.ingest(system.services)
    system.services.scorecard.refresh(system.services.redis)
    return ids


def extra_rounds(system: System) -> list[str]:
    with database.transaction(system.services.sessions) as session:
        return list(session.scalars(select(Round.trigger).where(Round.trigger != "manual")))


def known(system: System, provider: str) -> scorecard.Scorecard:
    return next(e for t, e in system.services.scorecard.value.evidence.items() if t.provider == provider)


# ── drift, and breakers ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lasting_slowdown_asks_for_a_round_and_raises_exploration(system: System) -> None:
    learns(system)
    live(system, "deepseek", 30, 240)
    assert between_rounds.check(system.services)
    assert extra_rounds(system) == []

    live(system, "deepseek", 20, 450)
    _back_in_time(system)
    assert between_rounds.check(system.services)

    assert extra_rounds(system) == ["drift"]
    system.services.config.refresh(system.services.redis)
    assert system.services.config.value.global_.exploration_rate == pytest.approx(0.15)
    with database.transaction(system.services.sessions) as session:
        latest = session.scalars(select(Revision).order_by(Revision.version.desc()).limit(1)).one()
        assert latest.evidence["between_rounds"] is True
        assert "deepseek latency" in latest.reason


def test_rounds_out_of_turn_are_one_in_a_quarter_of_an_hour(system: System) -> None:
    learns(system)
    for _ in range(3):
        live(system, "deepseek", 30, 240)
        live(system, "deepseek", 20, 700)
        _back_in_time(system)
        between_rounds.check(system.services)
        work_off(system)
    assert extra_rounds(system) == ["drift"]

    with system.services.engine.begin() as connection:
        connection.execute(text("UPDATE rounds SET planned_at = planned_at - interval '16 minutes'"))
    live(system, "deepseek", 30, 240)
    live(system, "deepseek", 20, 700)
    _back_in_time(system)
    between_rounds.check(system.services)

    assert extra_rounds(system) == ["drift", "drift"]


def test_a_breaker_that_opens_asks_for_a_round(system: System) -> None:
    learns(system)
    between_rounds.check(system.services)
    with database.transaction(system.services.sessions) as session:
        now = database.now(session)
    target = system.services.targets[0]
    breaker = Breaker(3, now + timedelta(minutes=1), "server_error", now)
    system.services.redis.hset(breakers.KEY, str(target), json.dumps(breaker.to_json()))
    _back_in_time(system)

    assert between_rounds.check(system.services)

    assert extra_rounds(system) == ["breaker"]


def test_a_check_comes_once_in_update_frequency_whoever_asks(system: System) -> None:
    learns(system)

    assert between_rounds.check(system.services)
    assert not between_rounds.check(system.services)
    _back_in_time(system)
    assert between_rounds.check(system.services)


def test_with_continuous_learning_off_nothing_happens_between_rounds(system: System) -> None:
    live(system, "deepseek", 30, 240)
    live(system, "deepseek", 20, 900)

    assert not between_rounds.check(system.services)
    assert extra_rounds(system) == []


def test_with_auto_optimization_off_a_check_changes_no_config(system: System) -> None:
    change(system, features={"continuousLearning": True, "autoOptimization": False})
    before = system.services.config.value
    live(system, "deepseek", 30, 900)

    assert between_rounds.check(system.services)

    system.services.config.refresh(system.services.redis)
    assert system.services.config.value == before


def _back_in_time(system: System) -> None:
    """As if the last check had been a while ago."""
    with system.services.engine.begin() as connection:
        connection.execute(text("UPDATE learned SET checked_at = checked_at - interval '2 minutes'"))


# ── feedback ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_feedback_is_joined_with_its_request_whichever_comes_first(system: System) -> None:
    running = start(system.services, seed=1)
    client = create_app(running).test_client()
    try:
        early = client.post("/api/v1/feedback", json={"requestId": "req-early", "score": 0.25, "comment": "meh"})
        assert (early.status_code, early.get_json()["data"]) == (202, {"requestId": "req-early", "score": 0.25})
        ingest.ingest(system.services)
        assert not system.services.scorecard.value.feedback

        (request_id,) = live(system, "gemini", 1, 350)
        live(system, "gemini", 1, 350, request_id="req-early")
        client.post("/api/v1/feedback", json={"requestId": request_id, "score": 0.75})
        for _ in range(2):  # a second look counts nothing twice
            ingest.ingest(system.services)
        system.services.scorecard.refresh(system.services.redis)
        shown = client.get("/api/v1/system/scorecard").get_json()["data"]["candidates"]
    finally:
        running.stop()

    gemini = next(each for each in shown if each["provider"] == "gemini")["evidence"]
    assert (gemini["feedback"]["count"], gemini["feedback"]["score"]) == (2, 0.5)
    assert gemini["feedback"]["lastAt"] > 0


def test_a_later_word_on_the_same_request_replaces_the_former(system: System) -> None:
    running = start(system.services, seed=1)
    client = create_app(running).test_client()
    try:
        (request_id,) = live(system, "gemini", 1, 350)
        for score in (0.0, 1.0):
            client.post("/api/v1/feedback", json={"requestId": request_id, "score": score})
            ingest.ingest(system.services)
    finally:
        running.stop()

    system.services.scorecard.refresh(system.services.redis)
    (said,) = system.services.scorecard.value.feedback.values()
    assert (said.score.mean, said.count) == (1.0, 1)
    with database.transaction(system.services.sessions) as session:
        assert session.scalar(select(func.count()).select_from(Feedback)) == 1


def test_feedback_that_is_wrong_is_refused_by_field(system: System) -> None:
    wrong: list[tuple[dict, str]] = [
        ({"requestId": "r", "score": 1.5}, "score"),
        ({"requestId": "r", "score": "good"}, "score"),
        ({"score": 1}, "requestId"),
        ({"requestId": "", "score": 1}, "requestId"),
        ({"requestId": "r", "score": 1, "stars": 5}, "stars"),
    ]
    running = start(system.services, seed=1)
    try:
        client = create_app(running).test_client()
        answers = [client.post("/api/v1/feedback", json=body) for body, _ in wrong]
    finally:
        running.stop()

    said = [(answer.status_code, answer.get_json()["error"]["field"]) for answer in answers]
    assert said == [(400, field) for _, field in wrong]


# ── what survives ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_scorecard_that_is_lost_is_rebuilt_from_what_is_recorded(system: System) -> None:
    live(system, "deepseek", 40, 260, task_type="code")
    live(system, "gemini", 5, 300)
    ids = live(system, "gemini", 5, 300, success=False, cost_usd=None)
    run_round(system)
    live(system, "deepseek", 15, 280)
    with database.transaction(system.services.sessions) as session:
        session.add(Feedback(request_id=ids[0], score=0.5))
    ingest.ingest(system.services)
    system.services.scorecard.refresh(system.services.redis)
    before = system.services.scorecard.value
    with database.transaction(system.services.sessions) as session:
        session.execute(update(Learned).values(scorecard={}))

    scorecard.recover(system.services)  # the reaper does so every minute
    system.services.scorecard.refresh(system.services.redis)

    after = system.services.scorecard.value
    assert system.services.scorecard.version > 0
    assert after.evidence.keys() == before.evidence.keys()
    for target, was in before.evidence.items():
        now = after.evidence[target]
        assert now.latency_ms == pytest.approx(was.latency_ms, rel=0.05)
        assert now.success == pytest.approx(was.success, abs=0.05)
        assert now.quality == pytest.approx(was.quality, abs=0.001)
        assert now.grades == was.grades
        assert now.grades.prompts.keys() == {prompt.id for prompt in system.services.prompts}
        assert now.baseline_ms == pytest.approx(was.baseline_ms, rel=0.001)
        assert now.last_observed_at == was.last_observed_at
        assert now.benchmark_count == was.benchmark_count
    assert after.at_task(TaskType.CODE, system.services.policy).keys() == before.evidence.keys()


def test_a_lost_scorecard_is_rebuilt_before_the_next_outcome_counts(system: System) -> None:
    live(system, "gemini", 3, 350)
    with database.transaction(system.services.sessions) as session:
        session.execute(update(Learned).values(scorecard={"unreadable": True}))

    live(system, "gemini", 1, 350)

    assert {t.provider for t in system.services.scorecard.value.evidence} == set(LATENCY)
    assert known(system, "gemini").live_count == 4  # three recorded, and the new one, once


def busy_rounds(system: System) -> OptimizerState:
    """The optimizer's memory after moves of its own and of a person."""
    run_round(system)
    system.client.behaviours["deepseek"] = takes(900.0)
    run_round(system)
    change(system, weights={"latency": 0.2, "cost": 0.2, "reliability": 0.6})
    run_round(system)
    return memory(system)


def memory(system: System) -> OptimizerState:
    with database.transaction(system.services.sessions) as session:
        return OptimizerState.from_json(session.scalars(select(Learned.optimizer)).one())


@pytest.mark.parametrize("lost", [{}, {"tables": 5}], ids=["lost", "unreadable"])
def test_what_the_optimizer_remembers_is_rebuilt_with_the_scorecard(system: System, lost: dict[str, int]) -> None:
    before = busy_rounds(system)
    assert (len(before.tables), before.base_weights, before.excess) == (3, (0.2, 0.2, 0.6), pytest.approx(0.05))
    with database.transaction(system.services.sessions) as session:
        session.execute(update(Learned).values(scorecard={}, optimizer=lost))

    scorecard.recover(system.services)

    assert same_memory(memory(system), before)


def test_a_memory_that_can_be_read_outlives_a_lost_scorecard_but_not_a_rebuild_by_hand(system: System) -> None:
    right = busy_rounds(system)
    other = replace(right, previous=(0.1, 0.1, 0.8))
    with database.transaction(system.services.sessions) as session:
        session.execute(update(Learned).values(scorecard={}, optimizer=other.to_json()))

    scorecard.recover(system.services)
    kept = memory(system)
    scorecard.rebuild(system.services)

    assert kept == other
    assert same_memory(memory(system), right)


def test_a_round_that_finds_nothing_learned_goes_on_from_what_is_recorded(system: System) -> None:
    before = busy_rounds(system)
    with database.transaction(system.services.sessions) as session:
        session.execute(update(Learned).values(scorecard={}, optimizer={}))

    run_round(system)

    assert memory(system).tables[:-1] == before.tables
    assert memory(system).base_weights == (0.2, 0.2, 0.6)


def test_partial_and_degraded_rounds_leave_no_table_in_the_rebuilt_memory(system: System) -> None:
    before = busy_rounds(system)
    run_selected(system, Selection(("openai",)))
    system.canary.off_ms = 500.0
    run_round(system)
    assert memory(system).tables == before.tables

    scorecard.rebuild(system.services)

    assert memory(system).tables == before.tables


def test_revisions_of_another_release_leave_the_scorecard_and_the_tables(system: System) -> None:
    before = busy_rounds(system)
    with database.transaction(system.services.sessions) as session:
        session.execute(text("UPDATE revisions SET document = '{\"global\": {}}'"))

    scorecard.rebuild(system.services)

    assert memory(system) == OptimizerState(tables=before.tables)


def run_selected(system: System, selection: Selection) -> None:
    benchmark.start_round(system.services, "manual", selection)
    work_off(system)


def test_rows_that_say_nothing_we_know_hold_nothing_up(system: System) -> None:
    with database.transaction(system.services.sessions) as session:
        session.execute(update(Learned).values(scorecard={}))
        session.execute(text("UPDATE probes SET task_type = 'of a later release'"))

    scorecard.recover(system.services)
    live(system, "gemini", 3, 350)

    assert known(system, "gemini").live_count == 3


def test_what_is_known_at_a_task_decides_where_its_requests_go(system: System) -> None:
    change(system, explorationRate=0)
    for _ in range(3):  # deepseek's other traffic goes on as ever
        live(system, "deepseek", 20, 240)
        live(system, "deepseek", 20, 2500, task_type="code")
        live(system, "gemini", 20, 350)
        live(system, "gemini", 20, 350, task_type="code")
        live(system, "deepseek", 40, 240)
    running = start(system.services, seed=1)
    try:
        code = running.gateway.chat(Call(QUESTION, task_type=TaskType.CODE))
        other = running.gateway.chat(Call(QUESTION))
        shown = create_app(running).test_client().get("/api/v1/system/scorecard?taskType=code").get_json()["data"]
        unknown = create_app(running).test_client().get("/api/v1/system/scorecard?taskType=cooking")
    finally:
        running.stop()

    assert (code.target.provider, other.target.provider) == ("gemini", "deepseek")
    assert (shown["taskType"], shown["candidates"][0]["provider"]) == ("code", "gemini")
    assert shown["candidates"][0]["evidence"]["task"]["liveCount"] == 60
    assert (unknown.status_code, unknown.get_json()["error"]["field"]) == (400, "taskType")
