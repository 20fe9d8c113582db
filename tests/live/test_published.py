"""Documents that travel through a real Redis."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from app.bootstrap import connect
from app.errors import DependencyUnavailable
from app.live import published
from app.live.published import Published, Subscription
from tests.support.waiting import wait_until


@pytest.fixture
def connection(redis_url: str) -> Iterator[redis.Redis]:
    client = connect(redis_url)
    yield client
    client.close()


def document(durable: tuple[int, str] | None = None) -> Published[str]:
    return Published("test", "none yet", parse=_parse, durable=lambda: durable)


def _parse(body: str) -> str:
    if body == "garbage":
        raise ValueError("garbage")
    return body.upper()


def test_an_older_version_never_replaces_a_newer_one(connection: redis.Redis) -> None:
    versions = list(range(1, 60))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda v: published.publish(connection, "test", v, f"v{v}"), reversed(versions)))

    assert published.read(connection, "test") == (59, "v59")
    assert not published.publish(connection, "test", 59, "again")


def test_every_process_sees_a_published_version(connection: redis.Redis, redis_url: str) -> None:
    readers = [document() for _ in range(3)]
    subscriptions = [Subscription(connect(redis_url), [reader]) for reader in readers]
    for subscription in subscriptions:
        subscription.start()

    published.publish(connection, "test", 1, "one")
    wait_until(lambda: all(reader.value == "ONE" for reader in readers))
    published.publish(connection, "test", 2, "two")
    wait_until(lambda: all(reader.value == "TWO" for reader in readers))

    for subscription in subscriptions:
        subscription.stop()


def test_a_lost_key_is_answered_from_the_durable_copy(connection: redis.Redis) -> None:
    reader = document(durable=(7, "kept"))

    assert reader.refresh(connection)
    assert (reader.version, reader.value) == (7, "KEPT")


def test_a_wiped_redis_leaves_the_value_that_stands(connection: redis.Redis) -> None:
    reader = document()
    published.publish(connection, "test", 3, "three")
    reader.refresh(connection)

    connection.flushdb()

    assert not reader.refresh(connection)
    assert reader.value == "THREE"


def test_without_redis_and_postgres_the_value_stays(redis_url: str) -> None:
    def away() -> tuple[int, str] | None:
        raise DependencyUnavailable

    reader = Published("test", "as it was", parse=_parse, durable=away)

    assert not reader.refresh(connect("unix:///nothing/here.sock"))
    assert reader.value == "as it was"


def test_an_unreadable_version_is_left_and_the_next_one_taken() -> None:
    reader = document()
    reader.offer(1, "good")

    assert not reader.offer(2, "garbage")
    assert reader.offer(3, "better")
    assert reader.value == "BETTER"


def test_listeners_hear_each_new_value_until_they_leave() -> None:
    reader, heard = document(), []
    leave = reader.on_change(heard.append)

    reader.offer(1, "one")
    reader.offer(1, "one again")
    leave()
    reader.offer(2, "two")

    assert heard == ["ONE"]


def test_a_listener_that_fails_hurts_nobody_else() -> None:
    reader, heard = document(), []

    def broken(value: str) -> None:
        raise RuntimeError(value)

    reader.on_change(broken)
    reader.on_change(heard.append)

    assert reader.offer(1, "one")
    assert heard == ["ONE"]


def test_a_notification_that_was_lost_is_made_up_for_by_the_poll(connection: redis.Redis, redis_url: str) -> None:
    reader = document()
    subscription = Subscription(connect(redis_url), [reader])
    subscription.start()
    published.publish(connection, "test", 1, "one")
    wait_until(lambda: reader.value == "ONE")

    connection.hset(published.key("test"), mapping={"version": 2, "body": "two"})  # and nobody is told

    wait_until(lambda: reader.value == "TWO")
    subscription.stop()


def test_a_fallback_serves_until_any_version_is_found() -> None:
    reader = document()

    reader.fall_back("of the file")
    assert reader.value == "of the file"
    assert reader.offer(0, "of a server")
    reader.fall_back("of the file")
    assert reader.value == "OF A SERVER"


def test_subscription_survives_a_listener_that_fails(connection: redis.Redis, redis_url: str) -> None:
    reader = document()
    reader.on_change(lambda value: (_ for _ in ()).throw(RuntimeError(value)))
    subscription = Subscription(connect(redis_url), [reader])
    subscription.start()

    published.publish(connection, "test", 1, "one")
    wait_until(lambda: reader.value == "ONE")
    published.publish(connection, "test", 2, "two")
    wait_until(lambda: reader.value == "TWO")

    subscription.stop()
    assert "published" not in {thread.name for thread in threading.enumerate()}


def test_subscription_survives_a_document_that_fails(connection: redis.Redis, redis_url: str) -> None:
    class Broken:
        def refresh(self, connection: redis.Redis) -> bool:
            raise TypeError("not foreseen")

    reader = document()
    subscription = Subscription(connect(redis_url), [Broken(), reader])
    subscription.start()

    published.publish(connection, "test", 1, "one")
    wait_until(lambda: reader.value == "ONE")
    published.publish(connection, "test", 2, "two")
    wait_until(lambda: reader.value == "TWO")

    subscription.stop()
