"""Redis goes away, freezes, forgets and fills up."""

from __future__ import annotations

import time

import pytest

from tests.faults.story import Record, story
from tests.faults.world import World
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.timeout(600)]


def test_it_stops_in_mid_round(world: World, record: Record) -> None:
    with story(world, record, "F3", "Redis stopped while 24 chats are asked, started again") as told:
        told.round(done=4)
        world.redis.stop()
        told.chats.go_on(24)
        world.redis.start()


def test_it_is_killed_and_back_at_once(world: World, record: Record) -> None:
    with story(world, record, "F3b", "Redis killed (-9), started again") as told:
        told.round(done=4)
        world.redis.kill()
        world.redis.start()


def test_it_restarts_three_times(world: World, record: Record) -> None:
    with story(world, record, "F4", "Redis stopped and started three times") as told:
        told.round(done=2)
        for _ in range(3):
            world.redis.stop()
            told.chats.go_on(8)
            world.redis.start()
            told.chats.go_on(8)


def test_its_line_is_half_open(world: World, record: Record) -> None:
    with story(world, record, "F5", "the line to Redis held while 24 chats are asked") as told:
        told.round(done=4)
        world.redis.relay.hold()
        told.chats.go_on(24)
        world.redis.relay.resume()


def test_it_is_frozen_and_a_round_is_asked_for(world: World, record: Record) -> None:
    with story(world, record, "F5b", "Redis frozen (SIGSTOP), POST /benchmarks meanwhile") as told:
        world.redis.freeze()
        try:
            began = time.monotonic()
            told.rounds.append(world.start_round())
            took_s = time.monotonic() - began
            told.chats.go_on(16)
        finally:
            world.redis.thaw()
    assert took_s <= 3.0, "publishing waited for a frozen broker"


def test_it_forgets_everything(world: World, record: Record) -> None:
    with story(world, record, "F6", "FLUSHALL in mid-round, under chat") as told:
        told.round(done=4)
        world.cache.flushall()


def test_it_is_full(world: World, record: Record) -> None:
    with story(world, record, "F7", "maxmemory 1 MB, noeviction, while 24 chats are asked") as told:
        told.round(done=2)
        world.cache.config_set("maxmemory", "1000000")
        try:
            wait_until(lambda: "cannot be written" in world.ready()["checks"]["redis"], 30, what="/readyz says so")
            told.chats.go_on(24)
        finally:
            world.cache.config_set("maxmemory", "0")
