"""API processes freeze, die and restart under load."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tests.faults.oracle import Allowed
from tests.faults.story import Record, story
from tests.faults.world import World
from tests.support.commands import serving
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.timeout(600)]

#: answers of a busy process within the moment between two words to Redis
DIED = 4


def master(world: World) -> int:
    """Of the API: the supervisor's child, whose children serve."""
    pids = world.stack.pids("app.cli.main api")
    return next(pid for pid in pids if psutil.Process(pid).ppid() not in pids)


def test_one_of_two_processes_freezes(world: World, record: Record) -> None:
    # what the frozen one holds, or took before anybody knew, cannot be saved: each caller has one request in flight
    with story(
        world, record, "API frozen", "SIGSTOP of one of two API processes", Allowed(failed=6, died=DIED)
    ) as told:
        before = serving(master(world))
        frozen = min(before)
        os.kill(frozen, signal.SIGSTOP)
        wait_until(lambda: frozen not in serving(master(world)), 60, what="it is replaced")
        wait_until(lambda: len(serving(master(world))) == 2, 60, what="two serve")
        told.chats.go_on(10)
    assert "an API process is frozen" in world.stack.printed()


def test_one_of_two_processes_is_killed(world: World, record: Record) -> None:
    with story(
        world, record, "API killed", "SIGKILL of one of two API processes", Allowed(failed=2, died=DIED)
    ) as told:
        killed = min(serving(master(world)))
        os.kill(killed, signal.SIGKILL)
        told.chats.go_on(20)
        wait_until(lambda: len(serving(master(world)) - {killed}) == 2, 60, what="two serve")


def test_it_restarts_and_refuses_nobody(world: World, record: Record) -> None:
    with story(world, record, "API SIGTERM", "SIGTERM of the API's master, started again by `tooloo up`") as told:
        ended = master(world)
        os.kill(ended, signal.SIGTERM)
        told.chats.go_on(20)
        wait_until(lambda: not psutil.pid_exists(ended) and world.is_well(), 60, what="another serves")


def test_its_master_is_killed_and_waiting_requests_are_served_by_the_next(world: World, record: Record) -> None:
    with story(world, record, "API kill -9", "SIGKILL of the API's master", Allowed(failed=2, died=DIED)) as told:
        ended = master(world)
        os.kill(ended, signal.SIGKILL)
        told.chats.go_on(20)


def test_it_reloads_twice(world: World, record: Record) -> None:
    with story(world, record, "API SIGHUP", "SIGHUP of the API's master, twice") as told:
        for _ in range(2):
            before = serving(master(world))
            os.kill(master(world), signal.SIGHUP)
            wait_until(lambda before=before: len(serving(master(world)) - before) == 2, 90, what="reloaded")
            wait_until(lambda before=before: not serving(master(world)) & before, 90, what="the old ones are gone")
        told.chats.go_on(4)
