"""What Kombu takes for a lost connection, and waits for: else the worker ends."""

from __future__ import annotations

import kombu.transport
import pytest
import redis

from app.broker import make_celery
from workers import transport


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kombu keeps the transport that an earlier test's connection had."""
    monkeypatch.setattr(kombu.transport, "_transport_cache", {})
    transport.use()


def test_a_full_redis_is_one_to_wait_for() -> None:
    assert redis.exceptions.OutOfMemoryError in make_celery("redis://nowhere", []).connection().connection_errors


def test_a_connection_that_is_closed_once_more_is_lost_and_not_a_fault_of_ours(redis_url: str) -> None:
    """As Celery's consumer closes one: Kombu passes over this error there, and over no AttributeError."""
    connection = make_celery(redis_url, []).connection()
    channel = connection.default_channel
    connection.transport.client = None  # what the first close leaves where Redis is away

    with pytest.raises(redis.ConnectionError, match="is closed"):
        channel._connparams()
