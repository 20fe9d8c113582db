"""Documents that every process reads in nanoseconds and sees change within milliseconds.

A writer stores version and body in Redis, only if the version is newer, and notifies. Every process keeps the parsed
value in memory and swaps it on the notification. Pub/sub stores nothing for those who were away, so a poll every
POLL_S notices what was missed, and a lost Redis key is answered from the durable copy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

import redis
import structlog

from app.errors import TooLooError

log = structlog.get_logger()
T = TypeVar("T")

CHANNEL = "tooloo:changed"
#: seconds between looks at the version, whatever was notified
POLL_S = 2.0
#: seconds after which a subscription notices that it is to stop
WAKE_S = 0.2

#: KEYS document, channel; ARGV version, body, name. 1: published; 0: Redis holds this version or a newer one
_PUBLISH = """
local held = tonumber(redis.call('HGET', KEYS[1], 'version') or '-1')
if tonumber(ARGV[1]) <= held then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'body', ARGV[2])
redis.call('PUBLISH', KEYS[2], ARGV[3])
return 1
"""


def key(name: str) -> str:
    return f"tooloo:{name}"


def publish(connection: redis.Redis, name: str, version: int, body: str) -> bool:
    """Put a document where all see it, unless a newer one stands there; raises redis.RedisError."""
    return bool(connection.eval(_PUBLISH, 2, key(name), CHANNEL, version, body, name))


def read(connection: redis.Redis, name: str) -> tuple[int, str] | None:
    """Version and body in Redis, or None; raises redis.RedisError."""
    version, body = connection.hmget(key(name), "version", "body")
    return None if version is None or body is None else (int(version), _text(body))


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


class Published(Generic[T]):
    """One document as this process sees it; `value` is immutable and swapped whole."""

    def __init__(
        self,
        name: str,
        value: T,
        *,
        parse: Callable[[str], T],
        durable: Callable[[], tuple[int, str] | None],
    ) -> None:
        """`durable` reads version and body from Postgres; it may raise DependencyUnavailable."""
        self.name = name
        self.value = value
        self.version = -1
        self._parse = parse
        self._durable = durable
        self._listeners: list[Callable[[T], None]] = []
        self._lock = threading.Lock()

    def on_change(self, listener: Callable[[T], None]) -> Callable[[], None]:
        """Call `listener` with each new value, from then on; returns what ends that."""
        self._listeners.append(listener)

        def leave() -> None:
            with suppress(ValueError):  # a second time is no mistake
                self._listeners.remove(listener)

        return leave

    def fall_back(self, value: T) -> None:
        """Serve `value` until a version is found, whatever its number: for a process that finds no server."""
        with self._lock:
            if self.version < 0:
                self.value = value

    def refresh(self, connection: redis.Redis) -> bool:
        """Look at Redis, or at Postgres where Redis has nothing; True if the value is new."""
        found = self._from_redis(connection)
        if found is None:
            try:
                found = self._durable()
            except TooLooError as error:
                log.warning("no copy to read", document=self.name, reason=str(error))
                return False
        return found is not None and self.offer(*found)

    def offer(self, version: int, body: str) -> bool:
        """Take over a version if it is newer than the one held; an unreadable one is reported and left."""
        with self._lock:
            if version <= self.version:
                return False
            try:
                value = self._parse(body)
            except (ValueError, TooLooError) as error:
                log.error("unreadable document", document=self.name, version=version, reason=str(error))
                return False
            self.value, self.version = value, version
        for listener in list(self._listeners):
            try:
                listener(value)
            except Exception:
                log.exception("listener failed", document=self.name, version=version)
        return True

    def _from_redis(self, connection: redis.Redis) -> tuple[int, str] | None:
        try:
            return read(connection, self.name)
        except redis.RedisError as error:
            log.warning("redis not reachable", document=self.name, reason=str(error))
            return None


class Refreshable(Protocol):
    """What a Subscription keeps up to date."""

    def refresh(self, connection: redis.Redis) -> bool: ...


class Subscription:
    """The thread that keeps the documents of a process up to date."""

    def __init__(self, connection: redis.Redis, documents: Sequence[Refreshable]) -> None:
        self._connection = connection
        self._documents = documents
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="published", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except redis.RedisError as error:
                log.warning("redis not reachable, polling", reason=str(error))
                self._stop.wait(1.0)
            self._refresh()

    def _follow(self) -> None:
        """Refresh on each notification, and at least every POLL_S, until stopped or Redis is lost."""
        pubsub = self._connection.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]  # redis-py
        with pubsub:
            pubsub.subscribe(CHANNEL)
            refreshed_at = 0.0
            while not self._stop.is_set():
                told = pubsub.get_message(timeout=WAKE_S)
                if told is not None or time.monotonic() - refreshed_at > POLL_S:
                    self._refresh()
                    refreshed_at = time.monotonic()

    def _refresh(self) -> None:
        for document in self._documents:
            try:
                document.refresh(self._connection)
            except Exception:  # whatever it is: a process without this thread would serve what it holds for ever
                log.exception("document not refreshed")
