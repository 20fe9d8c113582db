"""Of each cause one line a minute, whoever says it and however; all else is said as it comes."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import redis
from kombu.exceptions import OperationalError

from app.logs import EVERY_S, OncePerCause

AWAY = "Error 111 connecting to 127.0.0.1:6379. Connection refused."


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def ours(event: str, level: int = logging.WARNING, **fields: Any) -> logging.LogRecord:
    """As structlog hands it on."""
    return logging.LogRecord("app", level, "", 0, {"event": event, **fields}, (), None)  # type: ignore[arg-type]


def theirs(
    name: str, text: str, *args: object, error: BaseException | None = None, level: int = 40
) -> logging.LogRecord:
    info = None if error is None else (type(error), error, None)
    return logging.LogRecord(name, level, "", 0, text, args, info)


#: each says that Redis is away
OF_REDIS = [
    ours("redis not reachable, polling", reason="Connection closed by server."),
    ours("outcomes wait for redis", reason=AWAY, waiting=7),
    ours("message not sent, the reaper will", reason="Timeout reading from socket", queue="optimizer"),
    ours("quotas not shared", reason="OOM command not allowed when used memory > 'maxmemory'."),
    theirs(
        "celery.worker.consumer.consumer", "Connection to broker lost. Trying to re-establish the connection... (%r)"
    ),
    theirs(
        "celery.beat", "Message Error: %s\n%s", "Couldn't apply scheduled task reap: gone", "['  File \"x\", line 1']"
    ),
    theirs("kombu", "Couldn't ack %r, reason:%r", "80f6", "gone", error=ConnectionError("gone"), level=50),
    theirs("celery.worker", "it broke", error=redis.ConnectionError("gone")),
    theirs("kombu", "it broke", error=OperationalError("gone")),
]


@pytest.mark.parametrize("record", OF_REDIS, ids=lambda record: record.name)
def test_what_says_that_a_server_is_away_is_said_once_a_minute_and_then_with_what_was_left_out(
    record: logging.LogRecord,
) -> None:
    clock = Clock()
    limit = OncePerCause(clock)
    assert limit.filter(ours("redis not reachable", reason=AWAY))
    clock.now_s += EVERY_S - 1
    assert not limit.filter(record)
    clock.now_s += 1
    again = ours("redis not reachable", reason=AWAY)
    assert limit.filter(again)
    assert vars(again)["untold"] == 1


def test_postgres_is_another_cause_than_redis() -> None:
    limit = OncePerCause(Clock())
    gone = "PostgreSQL is not reachable: server closed the connection unexpectedly"
    assert limit.filter(ours("redis not reachable", reason=AWAY))
    assert limit.filter(ours("step not done, the reaper will repeat it", step="ingest", reason=gone))
    assert not limit.filter(ours("round not looked at, the reaper will", reason=gone))


def test_what_tells_of_nothing_that_is_away_is_always_said() -> None:
    limit = OncePerCause(Clock())
    for _ in range(3):
        assert limit.filter(ours("reaper", lost_probes=2))
        assert limit.filter(ours("not a message, dropped", level=logging.ERROR, reason="Expecting value"))
        assert limit.filter(ours("redis is back", level=logging.INFO))
        assert limit.filter(ours("the worker cannot start", level=logging.CRITICAL, reason=AWAY))
        assert limit.filter(theirs("celery.worker", "Unrecoverable error: %r", redis.ConnectionError(AWAY), level=50))
        assert limit.filter(theirs("celery.app.trace", "Task raised unexpected", error=KeyError("x")))


def test_errors_of_ours_that_tell_of_different_things_are_all_said() -> None:
    limit = OncePerCause(Clock())
    assert limit.filter(ours("not reloaded, what runs goes on as it is", level=logging.ERROR, reason=AWAY))
    assert limit.filter(ours("3 outcomes are lost", level=logging.ERROR, reason=AWAY))


def test_an_expected_fault_is_one_line_without_a_traceback_and_another_keeps_it() -> None:
    limit = OncePerCause(Clock())
    lost = theirs("celery.beat", "Message Error: %s\n%s", "Couldn't apply scheduled task", "[frames]")
    lost.exc_info = (redis.ConnectionError, redis.ConnectionError("gone"), None)
    assert limit.filter(lost)
    assert lost.getMessage() == "Message Error: Couldn't apply scheduled task"
    assert lost.exc_info is None

    broken = theirs("celery.app.trace", "Task raised\nunexpected", error=KeyError("x"))
    assert limit.filter(broken)
    assert broken.exc_info is not None
    assert broken.getMessage() == "Task raised\nunexpected"
