"""Kombu's Redis transport, which a message that is none does not end: it is dropped, and said.

Kombu has taken it off its queue before it reads it, and lets the error end the worker. The reaper sends again what was
meant to be there.
"""

from __future__ import annotations

import json
from queue import Empty
from typing import Any

import redis as redis_py
import structlog
from kombu import transport
from kombu.transport import redis

log = structlog.get_logger()


class _Channel(redis.Channel):
    def _connparams(self, asynchronous: Any = False) -> Any:
        """Celery closes a lost connection twice; the second time its transport has forgotten where it led.

        Kombu passes over a ConnectionError there. The AttributeError that came instead ended the worker.
        """
        if self.connection.client is None:
            raise redis_py.ConnectionError("this connection to the broker is closed")
        return super()._connparams(asynchronous)  # type: ignore[no-untyped-call]  # kombu

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]  # kombu
        except (json.JSONDecodeError, RecursionError) as error:
            log.error("not a message, dropped", reason=str(error))
            raise Empty from None  # as where nothing came


class Transport(redis.Transport):
    Channel = _Channel

    #: a full Redis is one to wait for, like one that is away: its error ended the worker
    connection_errors = (*redis.Transport.connection_errors, redis_py.exceptions.OutOfMemoryError)

    def _deliver(self, message: Any, queue: str) -> None:
        if (problem := self._problem(message)) is not None:
            log.error("not a message, dropped", queue=queue, reason=problem)
            return
        super()._deliver(message, queue)  # type: ignore[no-untyped-call]  # kombu

    def _problem(self, message: Any) -> str | None:
        """Why Kombu could not make a message of it, None where it can."""
        try:
            made = self.Channel.Message(message, channel=self.channels[0])  # type: ignore[no-untyped-call]  # kombu
            _ = made.delivery_info["exchange"], made.delivery_info["routing_key"]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return repr(error)
        return None


def use() -> None:
    """From now on redis:// means this one, in whatever process imports this."""
    transport.TRANSPORT_ALIASES["redis"] = f"{__name__}:{Transport.__name__}"
