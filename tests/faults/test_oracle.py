"""The oracle of the stories of faults is broken on purpose: each thing that it must see, done to what it looks at."""

from __future__ import annotations

import re
import socket
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from app.benchmark import benchmark
from app.live import live_config
from tests.faults.oracle import Allowed, RoundSeen, Seen, problems
from tests.faults.relay import Relay
from tests.faults.world import rounds_seen
from tests.support.system import ROOT, System

PROBES = {("deepseek", "chat", f"p{number}"): "ok" for number in range(4)}
ROUND = RoundSeen("benchmark-1", "done", 4, PROBES, -500.0, (7,))
GOOD = Seen([ROUND], served_version=8, calls=4, answered=20)


def test_nothing_is_wrong_with_what_is_right() -> None:
    assert problems(GOOD, Allowed()) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"planned": 5}, "(a) benchmark-1: 4 probes for 5 planned"),
        ({"probes": {**PROBES, ("deepseek", "chat", "p0"): "running"}}, "(a) benchmark-1: probes that are not final"),
        ({"status": "optimizing"}, "(b) benchmark-1: ended as optimizing"),
        ({"status": "partial"}, "(b) benchmark-1: ended as partial"),
        ({"after_deadline_s": 121.0}, "(b) benchmark-1: ended 121.0 s after its deadline"),
        ({"after_deadline_s": None}, "(b) benchmark-1: ended None s after its deadline"),
        ({"revisions": (7, 8)}, "(c) benchmark-1: 2 revisions"),
        ({"revisions": (9,)}, "(c) benchmark-1: version 9 is not served, but 8"),
    ],
)
def test_a_round_that_is_wrong_is_told(changes: dict[str, Any], told: str) -> None:
    assert [wrong[: len(told)] for wrong in problems(replace(GOOD, rounds=[replace(ROUND, **changes)]), Allowed())] == [
        told
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"calls": 5}, "(d) 5 calls for 4 planned"),
        ({"answered": 0}, "(f) no chat was answered"),
        ({"failed": ["503", "refused"]}, "(f) 2 chats failed"),
        ({"unstored": 1, "counted_lost": 1}, "(g) 1 outcomes are lost"),
        ({"tracebacks": 1}, "(e) 1 tracebacks in the log"),
        ({"lines": {"worker-1": 30}, "minutes": 2.0}, "(e) 30 lines of trouble from worker-1"),
    ],
)
def test_what_is_wrong_beside_the_rounds_is_told(changes: dict[str, Any], told: str) -> None:
    assert [wrong[: len(told)] for wrong in problems(replace(GOOD, **changes), Allowed())] == [told]


def test_what_a_fault_may_cost_is_no_problem_unless_it_is_not_counted() -> None:
    cost = replace(GOOD, calls=6, failed=["503"], unstored=3, counted_lost=3)
    allowed = Allowed(calls_twice=2, failed=1, lost=3)
    assert problems(cost, allowed) == []
    died = replace(GOOD, unstored=2)
    assert problems(died, Allowed(died=2)) == []
    assert problems(died, Allowed(died=1)) != []
    assert problems(replace(cost, counted_lost=2), allowed) == ["(g) 3 outcomes are lost, 2 of them counted"]


@pytest.mark.parametrize(
    ("doctored", "told"),
    [
        ("DELETE FROM probes WHERE prompt_id = 'simple-qa' AND provider = 'openai'", "(a) 39 probes for 40 planned"),
        ("UPDATE probes SET status = 'running' WHERE provider = 'openai'", "(a) probes that are not final"),
        ("UPDATE rounds SET status = 'optimizing'", "(b) ended as optimizing"),
        ("UPDATE rounds SET finished_at = deadline_at + interval '3 minutes'", "(b) ended 180.0 s after its deadline"),
        ("UPDATE rounds SET finished_at = NULL", "(b) ended None s after its deadline"),
        ("UPDATE revisions SET version = 1000 WHERE round_id IS NOT NULL", "(c) version 1000 is not served"),
    ],
)
def test_a_doctored_database_is_found_out(system: System, doctored: str, told: str) -> None:
    services = system.services
    live_config.recover(
        services.sessions, services.redis, services.settings.config_dir / "runtime.json", services.providers
    )
    services.config.refresh(services.redis)
    round_id = benchmark.start_round(services)
    while messages := system.celery.take_probes():
        for key in messages:
            benchmark.run_probe(services, key)
    benchmark.optimize(services, round_id)

    def found() -> list[str]:
        seen = replace(GOOD, rounds=rounds_seen(services.engine, [round_id]), calls=40, served_version=100)
        return [wrong.replace(f"{round_id}: ", "")[: len(told)] for wrong in problems(seen, Allowed())]

    assert found() == []
    with services.engine.begin() as connection:
        connection.execute(text(doctored))
    assert found() == [told]


def test_every_test_that_the_docs_name_is_there() -> None:
    named = re.findall(r"`(tests/\S+?\.py)::(\w+)`", (ROOT / "docs" / "reliability.md").read_text())
    assert len(named) > 30
    assert [(file, name) for file, name in named if f"\ndef {name}(" not in (ROOT / file).read_text()] == []


def test_a_held_line_stays_open_and_goes_on_where_it_was() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Relay(server.getsockname()[1]) as relay,
        socket.create_connection(("127.0.0.1", relay.port), timeout=5) as client,
        server.accept()[0] as behind,
    ):
        relay.hold()
        client.sendall(b"held")
        behind.settimeout(0.2)
        with pytest.raises(TimeoutError):
            behind.recv(10)
        relay.resume()
        behind.settimeout(5)
        assert behind.recv(10) == b"held"
        relay.refuse()
        assert client.recv(10) == b""
