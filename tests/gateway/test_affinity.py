"""A conversation stays where its prompt cache is: over a real Redis, with providers as the test tells them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import redis

from app import bootstrap
from app.bootstrap import Running
from app.domain.catalog import Target
from app.domain.routing import router
from app.domain.routing.affinity import Stay
from app.domain.routing.plan import Candidate, Plan
from app.domain.routing.router import Route
from app.errors import Overloaded
from app.evidence import ingest
from app.gateway import sessions
from app.gateway.affinity import stay
from app.gateway.calls import Call
from app.gateway.sessions import Sessions, after
from app.live import live_config
from app.providers.base import Answer, ChatRequest, Finish, Message, ToolCall, Usage
from app.store import database, requests
from app.store.models import LoggedRequest
from tests.support.rounds import run_round, with_policy
from tests.support.system import Behaviour, System, answer, build
from tests.support.waiting import wait_until

SYSTEM = Message("system", "You write code.")
ASK = Message("user", "Write a mutex.")
SECOND = (SYSTEM, ASK, Message("assistant", "Done."), Message("user", "Now test it."))
CALL = ToolCall("call_1", "read", "{}")
TOOL_LOOP = (SYSTEM, ASK, Message("assistant", "", (CALL,)), Message("tool", "42", tool_call_id="call_1"))
LONG = Usage(prompt=20_000, completion=100, cached=15_000)


def uses(usage: Usage, *calls: ToolCall) -> Behaviour:
    def behave(model: str, request: ChatRequest) -> Answer:
        finish = Finish.TOOL if calls else Finish.STOP
        return replace(answer(cost_usd=None), usage=usage, model=model, tool_calls=calls, finish=finish)

    return behave


def fails(model: str, request: ChatRequest) -> Answer:
    raise Overloaded


def all_use(system: System, usage: Usage, *calls: ToolCall) -> None:
    system.client.behaviours |= {target.provider: uses(usage, *calls) for target in system.services.targets}


@pytest.fixture
def system(system: System) -> System:
    """What a second and a cent are worth is declared: learned, it would be what is usual in each of these tests."""
    return with_policy(system, objective={"latency_ref_ms": 1000.0, "cost_ref_usd": 0.006})


@pytest.fixture
def running(system: System) -> Iterator[Running]:
    started = bootstrap.start(system.services, seed=1)
    yield started
    started.stop()


def lead(system: System, provider: str) -> None:
    """By priority, while there is no evidence."""
    change(system, {provider: {"priority": 1}} | {p: {"priority": 5} for p in names(system) if p != provider})


def names(system: System) -> list[str]:
    return [provider.name for provider in system.services.providers]


def change(system: System, providers: object = None, **settings: object) -> None:
    given = settings if providers is None else {**settings, "providers": providers}
    live_config.update(system.services.sessions, system.services.redis, given, author="anna", reason="a test")
    system.services.config.refresh(system.services.redis)


def chat(running: Running, messages: tuple[Message, ...], session: str | None = None, **more: object) -> str:
    return running.gateway.chat(Call(messages, session=session, **more)).target.provider  # type: ignore[arg-type]


@pytest.fixture
def at_openai(system: System, running: Running) -> Running:
    """A long conversation has begun at OpenAI, and now another one leads."""
    change(system, explorationRate=0)
    all_use(system, LONG)
    lead(system, "openai")
    assert chat(running, (SYSTEM, ASK)) == "openai"
    lead(system, "gemini")
    return running


def test_a_conversation_stays_where_its_cache_is_worth_more(at_openai: Running) -> None:
    assert chat(at_openai, SECOND) == "openai"
    assert chat(at_openai, (SYSTEM, Message("user", "Something else."))) == "gemini"


def test_what_begins_alike_for_another_key_or_asks_for_something_else_is_another_conversation(
    at_openai: Running,
) -> None:
    assert chat(at_openai, SECOND, key="bob") == "gemini"
    assert chat(at_openai, SECOND, segment="batch") == "gemini"


def test_the_client_names_its_conversation(system: System, at_openai: Running) -> None:
    lead(system, "openai")
    assert chat(at_openai, (ASK,), session="s1") == "openai"
    lead(system, "gemini")
    assert chat(at_openai, (Message("user", "Go on."),), session="s1") == "openai"
    assert chat(at_openai, (Message("user", "Go on."),), session="s2") == "gemini"


def test_another_process_knows_it_too(
    database_url: str, redis_url: str, tmp_path: Path, system: System, at_openai: Running
) -> None:
    other = build(database_url, redis_url, tmp_path)
    all_use(other, LONG)
    beside = bootstrap.start(other.services, seed=2)
    try:
        assert chat(beside, SECOND) == "openai"
        change(other, {"openai": {"enabled": False}})
        system.services.config.refresh(system.services.redis)
        assert chat(beside, SECOND) == "gemini"
        assert chat(at_openai, SECOND) == "gemini"
    finally:
        beside.stop()
        other.close()


def test_it_goes_where_it_was_served_when_its_target_fails(system: System, at_openai: Running) -> None:
    system.client.behaviours["openai"] = fails
    assert chat(at_openai, SECOND) == "gemini"
    all_use(system, LONG)
    lead(system, "openai")

    assert chat(at_openai, SECOND) == "gemini"


def test_an_open_breaker_is_no_place_to_stay(system: System, at_openai: Running) -> None:
    target = next(target for target in system.services.targets if target.provider == "openai")
    for _ in range(3):
        at_openai.gateway.breakers.observe(target, Overloaded(), live_config.utc_now())

    assert chat(at_openai, SECOND) == "gemini"


def test_nothing_is_explored_within_a_conversation(system: System, at_openai: Running) -> None:
    change(system, explorationRate=1)

    assert {chat(at_openai, SECOND) for _ in range(20)} == {"openai"}


def test_a_conversation_of_a_few_words_has_nothing_to_lose(system: System, running: Running) -> None:
    change(system, explorationRate=0)
    all_use(system, Usage(prompt=30, completion=10))
    lead(system, "openai")
    assert chat(running, (SYSTEM, ASK)) == "openai"
    lead(system, "gemini")

    assert chat(running, SECOND) == "gemini"


@pytest.fixture
def in_a_tool_loop(system: System, running: Running) -> Running:
    """Claude has called a tool; nothing of it is in a cache, and a cheaper target leads now."""
    change(system, explorationRate=0)
    all_use(system, Usage(prompt=30, completion=10), CALL)
    lead(system, "anthropic")
    assert chat(running, (SYSTEM, ASK)) == "anthropic"
    lead(system, "gemini")
    return running


def test_a_tool_loop_is_not_left_for_a_gain(system: System, in_a_tool_loop: Running) -> None:
    assert chat(in_a_tool_loop, TOOL_LOOP) == "anthropic"
    assert chat(in_a_tool_loop, (*TOOL_LOOP, Message("assistant", "42."), Message("user", "Go on."))) == "gemini"


def test_a_tool_loop_is_left_where_its_target_fails(system: System, in_a_tool_loop: Running) -> None:
    system.client.behaviours["anthropic"] = fails
    assert chat(in_a_tool_loop, TOOL_LOOP) == "gemini"


def test_a_tool_loop_is_left_where_its_breaker_is_open(system: System, in_a_tool_loop: Running) -> None:
    target = next(target for target in system.services.targets if target.provider == "anthropic")
    for _ in range(3):
        in_a_tool_loop.gateway.breakers.observe(target, Overloaded(), live_config.utc_now())

    assert chat(in_a_tool_loop, TOOL_LOOP) == "gemini"


def test_a_stream_keeps_its_place_too(system: System, running: Running) -> None:
    change(system, explorationRate=0)
    all_use(system, LONG)
    lead(system, "openai")
    list(running.gateway.stream(Call((SYSTEM, ASK))))
    lead(system, "gemini")
    stream = running.gateway.stream(Call(SECOND))
    list(stream)

    assert stream.target is not None
    assert stream.target.provider == "openai"


def test_off_is_off(system: System) -> None:
    off = with_policy(system, affinity={"enabled": False})
    running = bootstrap.start(off.services, seed=1)
    try:
        change(off, explorationRate=0)
        all_use(off, LONG)
        lead(off, "openai")
        chat(running, (SYSTEM, ASK))
        lead(off, "gemini")
        assert chat(running, SECOND) == "gemini"
    finally:
        running.stop()


def test_what_is_measured_moves_it_when_the_gain_is_worth_more(system: System, running: Running) -> None:
    """And the explanation shows the sum."""

    def takes(ms: float) -> Behaviour:
        return lambda model, request: replace(answer(latency_ms=ms), usage=LONG)

    change(system, explorationRate=0)
    speeds = {"openai": 400.0, "gemini": 500.0, "deepseek": 20_000.0, "anthropic": 20_000.0}
    system.client.behaviours |= {name: takes(ms) for name, ms in speeds.items()}
    for _ in range(3):
        run_round(system)
    system.services.scorecard.refresh(system.services.redis)
    assert chat(running, (SYSTEM, ASK)) == "openai"
    speeds |= {"openai": 500.0, "gemini": 400.0}
    system.client.behaviours |= {name: takes(ms) for name, ms in speeds.items()}
    for _ in range(3):
        run_round(system)
    system.services.scorecard.refresh(system.services.redis)
    assert chat(running, (SYSTEM, Message("user", "Something else."))) == "gemini"

    assert chat(running, SECOND) == "openai", "100 ms are worth less than 20,000 cached tokens"

    speeds |= {"openai": 9_000.0}
    system.client.behaviours |= {name: takes(ms) for name, ms in speeds.items()}
    for _ in range(3):
        run_round(system)
    system.services.scorecard.refresh(system.services.redis)
    assert chat(running, SECOND) == "gemini", "8 s are worth more"


def test_the_explanation_shows_the_sum(system: System, at_openai: Running) -> None:
    gateway, call = at_openai.gateway, Call(SECOND)
    plan = gateway.plan(None, live_config.utc_now())
    request = gateway.route(call, stream=False)

    shown = router.explanation_json(plan, request.route)
    affinity = shown["affinity"]

    assert shown["reason"] == affinity["reason"]
    assert (affinity["stays"], affinity["tokens"], affinity["cachedTokens"]) == (True, 20_100, 20_100)
    assert affinity["target"].startswith("openai/")
    assert affinity["rival"].startswith("gemini/")
    assert affinity["gain"] < affinity["lost"]
    assert affinity["lostMs"] == pytest.approx(20_100 * system.services.policy.affinity.token_ms)
    assert affinity["lostUsd"] > 0
    assert shown["propensity"] == 1.0
    assert shown["explored"] is False


def test_without_redis_each_process_knows_its_own(system: System) -> None:
    away = redis.Redis.from_url("redis://127.0.0.1:1/0", socket_timeout=0.05)
    mine, other = (Sessions(away, system.services.policy.affinity) for _ in range(2))
    call, kept = Call(SECOND), sessions.Session(Target("openai", "gpt"), 9_000, 9_000)
    mine.keep(call, answer(), kept)

    assert mine.find(call) == kept
    assert other.find(call) is None


def test_what_somebody_else_wrote_into_redis_is_no_session(system: System, running: Running) -> None:
    call = Call(SECOND)
    system.services.redis.set(sessions.PREFIX + sessions.name_of(call), "{nonsense")

    assert running.gateway.sessions.find(call) is None


OPENAI, CLAUDE = Target("openai", "gpt"), Target("anthropic", "claude")


def test_what_the_next_turn_finds_in_a_cache() -> None:
    first = after(OPENAI, Usage(5_000, 100), None, marked=False)
    assert (first.tokens, first.cached) == (5_100, 5_100)
    assert after(OPENAI, Usage(6_000, 100, cached=5_000), first, marked=False).cached == 6_100
    assert after(OPENAI, Usage(6_000, 100), first, marked=False).cached == 0, "it was there, and nothing was found"
    assert after(OPENAI, Usage(6_000, 100), after(CLAUDE, Usage(5_000, 0), None, marked=True), marked=False).cached

    assert after(CLAUDE, Usage(5_000, 100), None, marked=True).cached == 0, (
        "Claude caches what is marked, and that alone"
    )
    assert after(CLAUDE, Usage(5_000, 100, cache_written=4_000), None, marked=True).cached == 4_000
    assert after(CLAUDE, Usage(5_000, 100, cached=4_000, cache_written=500), first, marked=True).cached == 4_500


def test_the_saving_is_told_with_the_answer_the_request_and_the_usage(system: System, running: Running) -> None:
    """gpt-4.1-mini: 0.40 USD per million, 0.10 from the cache."""
    change(system, explorationRate=0)
    lead(system, "openai")
    cached = Usage(prompt=1_000_000, completion=10, cached=800_000)
    system.client.behaviours["openai"] = lambda model, request: replace(
        answer(cost_usd=0.16), usage=cached, model=model
    )
    reply = running.gateway.chat(Call((ASK,)))
    wait_until(lambda: ingest.ingest(system.services) and logged(system, reply.request_id))
    found = logged(system, reply.request_id)

    assert reply.cache_saved_usd == pytest.approx(0.8 * 0.3)
    assert found is not None
    assert (found.cached_tokens, found.cache_saved_usd) == (800_000, pytest.approx(0.24))
    with database.transaction(system.services.sessions) as session:
        (row,) = requests.usage(session, date(2000, 1, 1), ["provider"])
    assert (row["cached_tokens"], row["cache_saved_usd"]) == (800_000, pytest.approx(0.24))


def logged(system: System, request_id: str) -> LoggedRequest | None:
    with database.transaction(system.services.sessions) as session:
        found = requests.get(session, request_id)
        if found is not None:
            session.expunge(found)
        return found


def ranked(first: Target, here: Target, *, eligible: bool = True, ties: bool = False) -> Plan:
    """`first` leads, `here` is behind it."""
    places = [Candidate(target, None, None, eligible or target != here, "closed", (), None) for target in (first, here)]
    return Plan(tuple(places), (first, here) if ties else (first,), (here,), 0.1, live_config.utc_now())


def weighed(system: System, plan: Plan, route: Route, cached: int = 10_000) -> Stay:
    session = sessions.Session(plan.candidates[1].target, 10_000, cached)
    return stay(system.services, session, plan, route, Call(SECOND), live_config.utc_now())


def test_the_rival_is_who_would_be_asked_without_exploring(system: System) -> None:
    first, here, explored, *_ = system.services.targets
    plan = ranked(first, here)
    route = Route((explored, first, here), explored=True, propensity=0.1, reason="explores")

    assert weighed(system, plan, route).rival == first


def test_who_leads_or_shares_first_place_needs_no_sum(system: System) -> None:
    first, here, *_ = system.services.targets
    shared = ranked(first, here, ties=True)
    led = ranked(first, here)

    assert weighed(system, shared, Route((first, here), False, 0.5, ""), cached=0).why == "best"
    assert weighed(system, led, Route((here, first), False, 1.0, ""), cached=0).why == "best"


def test_who_is_refused_by_the_gate_keeps_no_conversation(system: System) -> None:
    first, here, *_ = system.services.targets
    route = Route((first, here), False, 1.0, "")

    assert weighed(system, ranked(first, here), route).stays
    assert weighed(system, ranked(first, here, eligible=False), route).why == "gone"
