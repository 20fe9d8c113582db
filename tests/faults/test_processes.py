"""Workers, control and beat die, freeze and restart; messages are lost, doubled and poisoned."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from app.broker import PROBE, make_celery, probe_queue
from tests.faults.oracle import Allowed
from tests.faults.story import Record, story
from tests.faults.world import PROVIDERS, World
from tests.support.commands import running

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.timeout(600)]

PROBES, CONTROL, BEAT = "worker --queues probes", "worker --queues control", "app.cli.main beat"
#: probes in flight of one of two workers: a place or two of each provider
IN_FLIGHT = 8
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def send(world: World, name: str, sig: signal.Signals, count: int | None = None) -> list[int]:
    """To the processes of this name, or so many of them, as the supervisor started them."""
    pids = [pid for pid in world.stack.pids(name) if psutil.Process(pid).ppid() not in world.stack.pids(name)]
    for pid in pids[:count]:
        os.kill(pid, sig)
    return pids[:count]


def test_a_worker_is_killed(world: World, record: Record) -> None:
    allowed = Allowed(calls_twice=IN_FLIGHT)
    with story(world, record, "F1", "SIGKILL of one of two workers in mid-round", allowed) as told:
        told.round(done=4)
        send(world, PROBES, signal.SIGKILL, 1)


def test_a_message_is_lost_with_the_worker_that_took_it(world: World, record: Record) -> None:
    with story(world, record, "F2", "both workers frozen, a round started, both killed") as told:
        frozen = send(world, PROBES, signal.SIGSTOP)
        told.round()
        told.chats.go_on(8)
        for pid in frozen:
            os.kill(pid, signal.SIGKILL)


def test_every_message_comes_ten_times(world: World, record: Record) -> None:
    with story(world, record, "F10", "each probe's message sent ten times, optimize twenty times") as told:
        round_id = told.round()
        celery = make_celery(world.stack.environment["REDIS_URL"], PROVIDERS)
        for provider, model, prompt in world.rounds([round_id])[0].probes:
            for _ in range(10):
                celery.send_task(PROBE, args=[round_id, provider, model, prompt], queue=probe_queue(provider))
        for _ in range(20):
            celery.send_task("tooloo.optimize", args=[round_id], queue="optimizer")
        celery.close()


def test_two_beats_send(world: World, record: Record) -> None:
    with (
        story(world, record, "F13", "a second beat beside the first") as told,
        running(
            ["-m", "app.cli.main", "beat"],
            {**world.stack.environment, "TOOLOO_DATA_DIR": str(world.stack.log.parent / "second")},
        ),
    ):
        told.round(done=4)
        told.chats.go_on(20)


def test_beat_freezes(world: World, record: Record) -> None:
    with story(world, record, "F14", "beat frozen while 24 chats are asked") as told:
        told.round(done=2)
        (beat,) = send(world, BEAT, signal.SIGSTOP)
        told.chats.go_on(24)
        os.kill(beat, signal.SIGCONT)


def test_control_is_killed(world: World, record: Record) -> None:
    with story(world, record, "F15", "SIGKILL of the control worker in mid-round") as told:
        told.round(done=4)
        send(world, CONTROL, signal.SIGKILL)


def test_control_is_frozen(world: World, record: Record) -> None:
    with story(world, record, "F15b", "the control worker frozen while 24 chats are asked") as told:
        told.round(done=4)
        frozen = [each for pid in send(world, CONTROL, signal.SIGSTOP) for each in psutil.Process(pid).children()]
        for child in frozen:
            child.suspend()
        told.chats.go_on(24)
        for child in frozen:
            child.resume()
        send(world, CONTROL, signal.SIGCONT)


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed (apt install faketime)")
def test_the_clock_of_a_worker_is_an_hour_ahead(world: World, record: Record) -> None:
    ahead = {
        **world.stack.environment,
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME": "+1h",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with story(world, record, "F17", "a third worker whose clock is an hour ahead") as told:
        with running(["-m", "app.cli.main", "worker", "--queues", "probes"], ahead) as worker:
            worker.says("ready", timeout_s=60)
            send(world, PROBES, signal.SIGSTOP)
            told.round(done=12)
            send(world, PROBES, signal.SIGCONT)
            told.ends()
        (seen,) = world.rounds(told.rounds)
        assert set(seen.probes.values()) == {"ok"}


def test_all_workers_are_told_to_end_in_turn(world: World, record: Record) -> None:
    with story(world, record, "F18", "SIGTERM of workers, control and beat in mid-round") as told:
        told.round(done=4)
        for name in (PROBES, CONTROL, BEAT):
            send(world, name, signal.SIGTERM)
            told.chats.go_on(4)


def test_poison_ends_nobody(world: World, record: Record) -> None:
    poison = [b"{", b"\xff\x00", b"5", b'{"properties": {}}']
    unknown = {"task": "tooloo.nothing", "id": "1"}
    with story(
        world, record, "F21", "what is no message, on all queues; unknown task; missing and wrong arguments"
    ) as told:
        before = world.stack.pids(PROBES) + world.stack.pids(CONTROL)
        told.round()
        for queue in ("control", "optimizer", *map(probe_queue, PROVIDERS)):
            world.cache.lpush(f"tooloo:celery:{queue}", *poison)
        celery = make_celery(world.stack.environment["REDIS_URL"], PROVIDERS)
        for task, args in ((PROBE, []), (PROBE, ["nothing", "openai", "\0", "x"]), (unknown["task"], [])):
            celery.send_task(task, args=args, queue=probe_queue("openai"))
        celery.close()
        told.ends()
        assert set(before) <= set(world.stack.pids(PROBES) + world.stack.pids(CONTROL))
