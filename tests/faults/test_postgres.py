"""PostgreSQL goes away, freezes, has no room for us, and is locked; and both servers at once."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.faults.story import Record, story
from tests.faults.world import World
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.timeout(600)]


def test_it_stops_in_mid_round(world: World, record: Record) -> None:
    with story(world, record, "F8", "PostgreSQL stopped while 32 chats are asked, started again") as told:
        told.round(done=4)
        world.postgres.stop()
        told.chats.go_on(32)
        world.postgres.start()


def test_it_is_killed_and_back_at_once(world: World, record: Record) -> None:
    with story(world, record, "F8b", "PostgreSQL killed (-9), started again") as told:
        told.round(done=4)
        world.postgres.kill()
        world.postgres.start()


def test_it_freezes(world: World, record: Record) -> None:
    with story(
        world, record, "F8c", "PostgreSQL frozen (SIGSTOP of all its processes) while 32 chats are asked"
    ) as told:
        told.round(done=4)
        world.postgres.freeze()
        try:
            wait_until(lambda: world.ready()["checks"]["postgres"] != "ok", 30, what="/readyz says so")
            told.chats.go_on(32)
        finally:
            world.postgres.thaw()


def test_its_line_is_half_open(world: World, record: Record) -> None:
    with story(world, record, "F8d", "the line to PostgreSQL held while 32 chats are asked") as told:
        told.round(done=4)
        world.postgres.relay.hold()
        told.chats.go_on(32)
        world.postgres.relay.resume()


def test_all_our_connections_are_ended(world: World, record: Record) -> None:
    with story(world, record, "F8e", "pg_terminate_backend of all connections, five times") as told:
        told.round(done=4)
        for _ in range(5):
            with world.engine.begin() as connection:
                connection.execute(
                    text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
                )
            told.chats.go_on(2)


def test_what_is_learned_is_locked_from_outside(world: World, record: Record) -> None:
    with story(world, record, "F8f", "the table `learned` locked while 32 chats are asked") as told:
        told.round(done=4)
        with world.engine.begin() as connection:
            connection.execute(text("LOCK TABLE learned IN ACCESS EXCLUSIVE MODE"))
            told.chats.go_on(32)


def test_both_servers_are_away(world: World, record: Record) -> None:
    with story(world, record, "F3+F8", "both servers stopped while 32 chats are asked, started again") as told:
        told.round(done=4)
        world.postgres.stop()
        world.redis.stop()
        told.chats.go_on(32)
        world.postgres.start()
        world.redis.start()


def test_both_servers_are_killed_at_once(world: World, record: Record) -> None:
    with story(world, record, "F3+F8b", "both servers killed (-9), started again") as told:
        told.round(done=4)
        world.postgres.kill()
        world.redis.kill()
        world.postgres.start()
        world.redis.start()
