"""Rate limits of keys, counted over all processes without a request ever waiting for Redis.

Each process counts in memory and adds its count to Redis every EVERY_S, where it reads what the others counted. Until
then it does not know of them, so a burst over N processes may pass up to N times the limit, once a minute at worst.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import redis
import structlog

log = structlog.get_logger()

WINDOW_S = 60
EVERY_S = 0.5
#: s that a window's counts stay in Redis
KEPT_S = 3 * WINDOW_S


class Limits:
    """Requests of this minute by key. A minute is one of the clock, the same for all processes."""

    def __init__(self, connection: redis.Redis) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._window = 0
        self._mine: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._all: Mapping[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="limits", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def take(self, key_id: str, per_minute: int, now_s: float) -> float | None:
        """Count a request; None, or the seconds after which there is room again."""
        with self._lock:
            self._turn(int(now_s // WINDOW_S))
            used = self._all.get(key_id, 0) + self._mine[key_id] - self._sent[key_id]
            if used >= per_minute:
                return WINDOW_S - now_s % WINDOW_S
            self._mine[key_id] += 1
            return None

    def exchange(self, now_s: float) -> None:
        """Tell the others what was counted here, and hear what they counted; raises redis.RedisError.

        For one thread at a time: two would tell the same count twice.
        """
        with self._lock:
            window, mine = self._window, self._mine.copy()
            new = mine - self._sent
        if not mine or window != int(now_s // WINDOW_S):
            return
        name = f"tooloo:used:{window}"
        pipeline = self._connection.pipeline(transaction=True)
        for key_id, count in new.items():
            pipeline.hincrby(name, key_id, count)
        pipeline.expire(name, KEPT_S)
        pipeline.hgetall(name)
        told: Mapping[Any, Any] = pipeline.execute()[-1]
        with self._lock:
            if window == self._window:
                self._sent = mine
                self._all = {_text(key_id): int(count) for key_id, count in told.items()}

    def _turn(self, window: int) -> None:
        if window != self._window:
            self._window, self._mine, self._sent, self._all = window, Counter(), Counter(), {}

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            try:
                self.exchange(time.time())
            except redis.RedisError as error:
                log.warning("limits count this process alone", reason=str(error))
                self._stop.wait(5.0)


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()
