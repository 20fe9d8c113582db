"""MAIN PATH 1 over a real Postgres and Redis; the broker's part is played by the test, which may lose and double."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, text, update
from sqlalchemy.orm import Session

from app.benchmark import benchmark, reaper
from app.benchmark.planning import Selection
from app.broker import OPTIMIZER, PREFIX
from app.errors import DependencyUnavailable, InvalidRequest, NoTarget, Overloaded, ProviderError, Timeout
from app.live import live_config, published
from app.providers.base import Answer, ChatRequest, Timing, Usage
from app.store import database, revisions
from app.store.models import Learned, Probe, ProbeStatus, Revision, Round
from tests.support.system import Behaviour, System, answer, build


@pytest.fixture
def system(system: System, tmp_path: Path) -> System:
    """… that has its first config."""
    live_config.recover(
        system.services.sessions,
        system.services.redis,
        tmp_path / "config" / "runtime.json",
        system.services.providers,
    )
    system.services.config.refresh(system.services.redis)
    return system


def fails_with(error: ProviderError, *, after_ms: float = 30.0) -> Behaviour:
    def behave(model: str, request: ChatRequest) -> Answer:
        error.timing = Timing(connect_ms=0, first_token_ms=None, total_ms=after_ms)
        raise error

    return behave


def takes(latency_ms: float) -> Behaviour:
    return lambda model, request: answer(latency_ms=latency_ms)


def work_off(system: System) -> None:
    """Deliver messages, as a worker would, until there are none."""
    while system.celery.sent:
        for key in system.celery.take_probes():
            benchmark.run_probe(system.services, key)
        for round_id in system.celery.take_optimize():
            benchmark.optimize(system.services, round_id)


def run_round(system: System) -> str:
    round_id = benchmark.start_round(system.services)
    work_off(system)
    # what a process would be told by Redis
    system.services.config.refresh(system.services.redis)
    system.services.scorecard.refresh(system.services.redis)
    return round_id


def the_round(system: System, round_id: str) -> Round:
    with database.transaction(system.services.sessions) as session:
        return session.get_one(Round, round_id)


def probes(system: System, round_id: str) -> list[Probe]:
    with database.transaction(system.services.sessions) as session:
        return list(session.query(Probe).filter_by(round_id=round_id))


def texts(system: System, round_id: str) -> str:
    return "\n".join(insight["text"] for insight in the_round(system, round_id).insights)


def test_a_round_goes_from_its_start_to_a_published_revision(system: System) -> None:
    before = system.services.config.value

    round_id = run_round(system)

    record = the_round(system, round_id)
    assert (record.status, record.expected_n, record.simulated) == ("done", 40, True)
    assert {probe.status for probe in probes(system, round_id)} == {ProbeStatus.OK}
    after = system.services.config.value
    assert after.revision == before.revision + 1
    assert after.metadata.iteration_count == 1
    assert after.metadata.optimized_by == "optimizer"
    assert len(system.services.scorecard.value.evidence) == 4
    with database.transaction(system.services.sessions) as session:
        revision = session.get_one(Revision, after.revision)
        assert (revision.round_id, revision.author) == (round_id, "optimizer")
        assert revision.evidence["round"] == round_id


def test_worked_example_1_weights_follow_the_latency_spread(system: System) -> None:
    for name, latency_ms in {"deepseek": 240, "gemini": 350, "anthropic": 450, "openai": 520}.items():
        system.client.behaviours[name] = takes(latency_ms)

    for _ in range(2):  # it is a fixed point
        round_id = run_round(system)

    weights = system.services.config.value.global_.provider_weights
    assert (weights.latency, weights.cost, weights.reliability) == (0.5, 0.2, 0.3)
    assert "Best provider: deepseek" in texts(system, round_id)


def test_worked_example_2_a_slower_provider_raises_exploration_and_says_why(system: System) -> None:
    for name, latency_ms in {"deepseek": 240, "gemini": 350, "anthropic": 450, "openai": 520}.items():
        system.client.behaviours[name] = takes(latency_ms)
    run_round(system)

    system.client.behaviours["deepseek"] = takes(450)
    round_id = run_round(system)

    assert system.services.config.value.global_.exploration_rate == pytest.approx(0.15)
    assert "deepseek latency 450 ms, was 240 ms (×1.88)" in texts(system, round_id)


def test_one_message_runs_some_probes_and_leaves_the_rest_to_whoever_is_free(system: System) -> None:
    policy = system.services.policy.rounds
    benchmark.start_round(system.services, "manual", Selection(("gemini",), ()))
    first, *_ = system.celery.take_probes()

    assert benchmark.run_probe(system.services, first) == policy.probes_per_message

    assert len(system.client.calls) == policy.probes_per_message
    following, *_ = system.celery.take_probes()  # one more where an answer is slow to grade
    assert following.provider == "gemini"
    assert benchmark.run_probe(system.services, following) == 10 - policy.probes_per_message


def test_a_worker_that_is_about_to_end_begins_nothing_new_and_leaves_a_hint(system: System) -> None:
    benchmark.start_round(system.services, "manual", Selection(("gemini",), ()))
    first, *_ = system.celery.take_probes()

    # told to end while its first call is under way
    assert benchmark.run_probe(system.services, first, is_ending=lambda: bool(system.client.calls)) == 1

    assert len(system.client.calls) == 1
    assert system.celery.take_probes()


def test_a_worker_that_ends_gives_its_message_back(system: System) -> None:
    benchmark.start_round(system.services, "manual", Selection(("gemini",), ()))
    first, *_ = system.celery.take_probes()

    assert benchmark.run_probe(system.services, first, is_ending=lambda: True) == 0

    assert system.celery.take_probes() == [first]


def test_without_a_broker_a_worker_goes_on_by_itself(system: System) -> None:
    benchmark.start_round(system.services, "manual", Selection(("gemini",), ()))
    first, *_ = system.celery.take_probes()
    system.celery.away = True

    benchmark.run_probe(system.services, first)

    assert len(system.client.calls) == 10


def test_a_provider_that_is_disabled_meanwhile_is_not_called_any_more(system: System) -> None:
    def disables(model: str, request: ChatRequest) -> Answer:
        live_config.update(
            system.services.sessions,
            system.services.redis,
            {"providers": {"gemini": {"enabled": False}}},
            author="anna",
            reason="a test",
        )
        system.services.config.refresh(system.services.redis)
        return answer()

    system.client.behaviours["gemini"] = disables
    round_id = benchmark.start_round(system.services, "manual", Selection(("gemini",), ()))
    work_off(system)

    assert len(system.client.calls) == 1
    assert the_round(system, round_id).status == "partial"


def test_what_breaks_on_our_side_ends_a_probe_and_not_the_chain(system: System) -> None:
    def breaks(model: str, request: ChatRequest) -> Answer:
        raise KeyError("a bug of ours")

    system.client.behaviours["gemini"] = breaks
    system.client.behaviours["openai"] = lambda model, request: replace(answer(), model="gpt\x00x")
    two = tuple(prompt.id for prompt in system.services.prompts[:2])

    round_id = benchmark.start_round(system.services, "manual", Selection(("gemini", "openai"), two))
    work_off(system)

    found = probes(system, round_id)
    assert {(p.status, p.error_class, p.counts) for p in found if p.provider == "gemini"} == {
        ("error", "not_run", False)
    }
    assert {(p.status, p.answered_model) for p in found if p.provider == "openai"} == {("ok", "gptx")}
    assert the_round(system, round_id).status == "partial"


def test_a_result_that_postgres_cannot_hold_is_said_to_be_one_and_its_place_is_free(system: System) -> None:
    system.client.behaviours["gemini"] = lambda model, request: replace(answer(), usage=Usage(2**40, 1))
    two = tuple(prompt.id for prompt in system.services.prompts[:2])

    round_id = benchmark.start_round(system.services, "manual", Selection(("gemini",), two))
    work_off(system)

    assert len(system.client.calls) == 2
    assert {(p.status, p.error_class) for p in probes(system, round_id)} == {("error", "not_run")}
    assert {p.error_message for p in probes(system, round_id)} == {"its result could not be stored: DataError"}


def test_a_result_is_not_lost_where_only_the_end_of_its_transaction_is(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    unheard = [True]
    real = database.transaction

    @contextmanager
    def lossy(sessions: database.Sessions) -> Iterator[Session]:
        with real(sessions) as session:
            yield session
        if system.client.calls and unheard:
            unheard.clear()
            raise DependencyUnavailable("the answer to the COMMIT was lost")

    round_id = benchmark.start_round(system.services, "manual", Selection(("gemini",), ()))
    first, *_ = system.celery.take_probes()
    monkeypatch.setattr(database, "transaction", lossy)

    assert benchmark.run_probe(system.services, first) == system.services.policy.rounds.probes_per_message

    assert not unheard
    assert len(system.client.calls) == system.services.policy.rounds.probes_per_message
    # nor is the probe that was claimed with it left to nobody
    assert {probe.status for probe in probes(system, round_id)} == {"ok", "pending"}


def test_the_reaper_goes_on_where_a_provider_is_no_longer_in_the_config(system: System) -> None:
    round_id = benchmark.start_round(system.services)
    system.celery.sent.clear()
    left = tuple(p for p in system.services.providers if p.name != "openai")
    services = replace(system.services, providers=left)

    reaper.reap(services)

    assert {key.provider for key in system.celery.take_probes()} == {"deepseek", "gemini", "anthropic"}
    assert the_round(system, round_id).status == "running"


def test_every_message_delivered_twice_at_once_calls_each_provider_once_per_probe(system: System) -> None:
    round_id = benchmark.start_round(system.services)

    with ThreadPoolExecutor(8) as pool:
        while messages := system.celery.take_probes():
            list(pool.map(lambda key: benchmark.run_probe(system.services, key), [*messages, *messages]))
        optimized = list(pool.map(lambda r: benchmark.optimize(system.services, r), [round_id] * 4))

    assert len(system.client.calls) == 40
    assert sorted(optimized) == [False, False, False, True]
    assert the_round(system, round_id).status == "done"


def test_messages_that_are_all_lost_are_sent_again_by_the_reaper(system: System) -> None:
    system.celery.away = True
    round_id = benchmark.start_round(system.services)
    system.celery.away = False

    reaper.reap(system.services)
    work_off(system)

    assert the_round(system, round_id).status == "done"


def test_a_round_whose_messages_found_every_provider_busy_is_taken_up_after_the_one_before(system: System) -> None:
    first, second = benchmark.start_round(system.services), benchmark.start_round(system.services)

    for key in system.celery.take_probes():
        if key.round_id == first:  # the other messages were refused, and are gone
            benchmark.run_probe(system.services, key)
    work_off(system)

    assert (the_round(system, first).status, the_round(system, second).status) == ("done", "done")


def test_a_lost_optimize_message_is_sent_again_by_the_reaper(system: System) -> None:
    round_id = benchmark.start_round(system.services)
    while messages := system.celery.take_probes():
        for key in messages:
            benchmark.run_probe(system.services, key)
    assert system.celery.take_optimize() == [round_id]  # and nobody gets it
    _later(system, round_id, reaper.OPTIMIZE_PATIENCE + timedelta(seconds=1))

    reaper.reap(system.services)

    assert round_id in system.celery.take_optimize()


def test_a_message_that_waits_is_not_lost_and_one_that_is_gone_is_sent_again_within_seconds(system: System) -> None:
    round_id = benchmark.start_round(system.services)
    while messages := system.celery.take_probes():
        for key in messages:
            benchmark.run_probe(system.services, key)
    assert system.celery.take_optimize() == [round_id]  # and Redis loses it
    reaper.send_lost(system.services)
    assert system.celery.take_optimize() == []  # it may still be on its way
    _later(system, round_id, reaper.LOST_AFTER + timedelta(seconds=1))

    queue = f"{PREFIX}{OPTIMIZER}"
    system.services.redis.lpush(queue, "of another round")
    reaper.send_lost(system.services)
    assert system.celery.take_optimize() == []
    system.services.redis.delete(queue)
    reaper.send_lost(system.services)
    reaper.send_lost(system.services)
    assert system.celery.take_optimize() == [round_id]


def test_messages_of_probes_that_are_gone_are_sent_again_within_seconds(system: System) -> None:
    system.celery.away = True
    round_id = benchmark.start_round(system.services)
    system.celery.away = False
    reaper.send_lost(system.services)
    assert system.celery.take_probes() == []
    with database.transaction(system.services.sessions) as session:
        record = session.get(Round, round_id)
        assert record is not None
        record.planned_at -= reaper.LOST_AFTER + timedelta(seconds=1)

    reaper.send_lost(system.services)

    work_off(system)
    assert the_round(system, round_id).status == "done"


def test_a_provider_that_fails_is_a_result(system: System) -> None:
    system.client.behaviours["openai"] = fails_with(Overloaded(), after_ms=30)
    system.client.behaviours["gemini"] = fails_with(Timeout(phase="total"), after_ms=30_000)

    round_id = run_round(system)

    assert the_round(system, round_id).status == "done"
    by_provider = {probe.provider: probe for probe in probes(system, round_id)}
    assert (by_provider["openai"].status, by_provider["openai"].error_class) == ("error", "overloaded")
    assert (by_provider["gemini"].status, by_provider["gemini"].latency_ms) == ("timeout", 30_000)
    evidence = {t.provider: e for t, e in system.services.scorecard.value.evidence.items()}
    assert evidence["openai"].success == 0
    assert evidence["deepseek"].success == 1


def test_an_answer_that_postgres_cannot_store_is_stored_without_what_it_cannot(system: System) -> None:
    system.client.behaviours["openai"] = lambda model, request: answer("fo\x00rty\ud800-two")

    round_id = run_round(system)

    assert the_round(system, round_id).status == "done"
    assert {p.answer for p in probes(system, round_id) if p.provider == "openai"} == {"forty?-two"}


def test_a_partial_round_moves_no_weights_and_says_so(system: System) -> None:
    for name, latency_ms in {"deepseek": 240, "gemini": 350, "anthropic": 450, "openai": 520}.items():
        system.client.behaviours[name] = takes(latency_ms)
    round_id = benchmark.start_round(system.services)
    for key in system.celery.take_probes():
        if key.provider != "openai":
            benchmark.run_probe(system.services, key)
    system.celery.sent.clear()
    _later(system, round_id, timedelta(days=1))

    reaper.reap(system.services)
    benchmark.optimize(system.services, round_id)
    system.services.config.refresh(system.services.redis)

    assert the_round(system, round_id).status == "partial"
    weights = system.services.config.value.global_.provider_weights
    assert (weights.latency, weights.cost, weights.reliability) == (0.4, 0.3, 0.3)
    assert all(e.success == 1 for e in system.services.scorecard.value.evidence.values())


def test_an_optimizer_that_cannot_digest_a_round_gives_up_and_leaves_the_config(system: System) -> None:
    run_round(system)
    before = system.services.config.value
    round_id = benchmark.start_round(system.services)
    while messages := system.celery.take_probes():
        for key in messages:
            benchmark.run_probe(system.services, key)
    with database.transaction(system.services.sessions) as session:
        session.execute(update(Probe).values(task_type="nonsense"))

    for _ in range(benchmark.MAX_OPTIMIZE_ATTEMPTS):
        with pytest.raises(ValueError, match="nonsense"):
            benchmark.optimize(system.services, round_id)
    assert not benchmark.optimize(system.services, round_id)

    assert the_round(system, round_id).status == "failed"
    assert "the old config stays" in texts(system, round_id)
    with database.transaction(system.services.sessions) as session:
        assert revisions.latest(session) == before


def test_unreadable_memories_are_gathered_anew(system: System) -> None:
    run_round(system)
    with database.transaction(system.services.sessions) as session:
        session.execute(update(Learned).values(scorecard={"not": "a scorecard"}, optimizer={"tables": 5}))

    round_id = run_round(system)

    assert the_round(system, round_id).status == "done"
    assert len(system.services.scorecard.value.evidence) == 4


def test_with_auto_optimization_off_there_is_a_proposal_and_no_change(system: System) -> None:
    for name, latency_ms in {"deepseek": 240, "gemini": 350, "anthropic": 450, "openai": 520}.items():
        system.client.behaviours[name] = takes(latency_ms)
    live_config.update(
        system.services.sessions,
        system.services.redis,
        {"features": {"autoOptimization": False}},
        author="anna",
        reason="a test",
    )
    before = live_config.recover(
        system.services.sessions, system.services.redis, Path("none"), system.services.providers
    )

    round_id = run_round(system)

    assert system.services.config.value == before
    assert "proposed, not applied" in texts(system, round_id)
    assert "Best provider" in texts(system, round_id)
    assert len(system.services.scorecard.value.evidence) == 4


def test_a_slot_has_one_round_whoever_asks(system: System) -> None:
    first = benchmark.start_slot(system.services)
    reaper.reap(system.services)

    assert first is not None
    assert benchmark.start_slot(system.services) is None


def test_the_reaper_starts_a_missing_slot(system: System) -> None:
    reaper.reap(system.services)

    with database.transaction(system.services.sessions) as session:
        assert session.query(func.count(Round.id)).scalar() == 1


def test_a_wiped_redis_is_restored_by_the_reaper(system: System) -> None:
    run_round(system)
    system.services.redis.flushdb()

    reaper.reap(system.services)

    found = published.read(system.services.redis, live_config.NAME)
    assert found is not None
    assert found[0] == system.services.config.value.revision
    assert published.read(system.services.redis, "scorecard") is not None


def test_providers_without_a_key_are_left_out_and_named(database_url: str, redis_url: str, tmp_path: Path) -> None:
    system = build(database_url, redis_url, tmp_path, {"GEMINI_API_KEY": "g-123"})

    round_id = run_round(system)

    record = the_round(system, round_id)
    assert (record.expected_n, record.simulated) == (10, False)
    assert {left["provider"] for left in record.left_out} == {"deepseek", "anthropic", "openai"}
    assert "DEEPSEEK_API_KEY" in str(record.left_out)
    system.close()


def test_a_round_may_measure_a_part(system: System) -> None:
    prompt = system.services.prompts[0].id

    round_id = benchmark.start_round(system.services, "manual", Selection(("gemini",), (prompt,)))

    assert [(p.provider, p.prompt_id) for p in probes(system, round_id)] == [("gemini", prompt)]


def test_a_round_of_a_chosen_part_moves_no_weights(system: System) -> None:
    for name, latency_ms in {"deepseek": 240, "gemini": 350, "anthropic": 450, "openai": 520}.items():
        system.client.behaviours[name] = takes(latency_ms)

    round_id = benchmark.start_round(system.services, "manual", Selection(("deepseek", "openai"), ()))
    work_off(system)
    system.services.config.refresh(system.services.redis)

    assert the_round(system, round_id).status == "done"
    assert system.services.config.value.global_.provider_weights.latency == 0.4
    assert "nothing moves" in texts(system, round_id)


@pytest.mark.parametrize(
    ("selection", "message"),
    [(Selection(providers=("mistral",)), "unknown provider 'mistral'"), (Selection(prompts=("x",)), "unknown prompt")],
)
def test_a_selection_of_what_does_not_exist_is_refused(system: System, selection: Selection, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        benchmark.start_round(system.services, "manual", selection)


def test_with_no_provider_enabled_there_is_no_round(system: System) -> None:
    off = {name: {"enabled": False} for name in ("deepseek", "gemini", "anthropic", "openai")}
    live_config.update(
        system.services.sessions, system.services.redis, {"providers": off}, author="anna", reason="a test"
    )
    system.services.config.refresh(system.services.redis)

    with pytest.raises(NoTarget, match="disabled in the runtime config"):
        benchmark.start_round(system.services)


def _later(system: System, round_id: str, by: timedelta) -> None:
    """Set the round's clocks back: the database's own cannot be moved."""
    with system.services.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE rounds SET deadline_at = deadline_at - :by, optimize_sent_at = optimize_sent_at - :by "
                "WHERE id = :id"
            ),
            {"by": by, "id": round_id},
        )
