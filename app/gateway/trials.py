"""Trials of half-open breakers: one at a time over all processes, claimed in Redis; without Redis one per process."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog

from app.domain.catalog import Target

log = structlog.get_logger()

KEY = "tooloo:breakers:trial:"
#: s that a request waits for Redis's word, once in a trial; without it the claim holds in this process alone
PATIENCE_S = 0.2
#: s until a trial that another process has is asked for again: it may come to no end
AGAIN_S = 1.0

#: KEYS breakers, claim; ARGV target, moment until which it was open, token, ms. 1: ours; 0: another process has it,
#: or knows of a trial that has ended
_CLAIM = """
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and cjson.decode(held).open_until ~= ARGV[2] then return 0 end
return redis.call('SET', KEYS[2], ARGV[3], 'NX', 'PX', ARGV[4]) and 1 or 0
"""
#: KEYS claim; ARGV token
_FREE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Trials:
    """Of one process."""

    def __init__(self, connection: redis.Redis, key: str, lasts_s: float, patience_s: float = PATIENCE_S) -> None:
        self.patience_s = patience_s
        self._connection = connection
        #: where the breakers of all processes are
        self._key = key
        self._lasts_s = lasts_s
        self._lock = threading.Lock()
        #: until when nobody else tries the target here
        self._until: dict[Target, datetime] = {}
        #: of trials that run here
        self._tokens: dict[Target, str] = {}
        #: those that have ended, and that Redis has not been told of
        self._ended: dict[Target, str] = {}

    def begin(self, target: Target, open_until: datetime, now: datetime) -> bool:
        """May this request try it? Who may must `end` it; one that never does ends by itself."""
        token = uuid.uuid4().hex
        with self._lock:
            if now < self._until.get(target, now):
                return False
            self._until[target] = now + timedelta(seconds=self._lasts_s)
            self._tokens[target] = token
        if self._claims(target, open_until, token):
            return True
        with self._lock:
            if self._tokens.get(target) == token:
                del self._tokens[target]
                self._until[target] = now + timedelta(seconds=AGAIN_S)
        return False

    def end(self, target: Target) -> bool:
        """True where there is something to tell Redis."""
        if target not in self._until:
            return False
        with self._lock:
            self._until.pop(target, None)
            token = self._tokens.pop(target, None)
            if token is not None:
                self._ended[target] = token
        return token is not None

    @property
    def untold(self) -> bool:
        return bool(self._ended)

    def tell(self, connection: redis.Redis) -> None:
        """Give back what has ended; behind what came of it, so that nobody tries it once more. Raises RedisError."""
        for target, token in tuple(self._ended.items()):
            connection.eval(_FREE, 1, f"{KEY}{target}", token)
            with self._lock:
                if self._ended.get(target) == token:
                    del self._ended[target]

    def _claims(self, target: Target, open_until: datetime, token: str) -> bool:
        """By Redis, as far as it says so in time."""
        answer: Future[bool] = Future()
        ask = threading.Thread(
            target=lambda: answer.set_result(self._asked(target, open_until, token)), name="trial", daemon=True
        )
        ask.start()
        try:
            return answer.result(timeout=self.patience_s)
        except TimeoutError:
            return True

    def _asked(self, target: Target, open_until: datetime, token: str) -> bool:
        arguments = (str(target), open_until.isoformat(), token, round(self._lasts_s * 1000))
        try:
            said: Any = self._connection.eval(_CLAIM, 2, self._key, f"{KEY}{target}", *arguments)
        except redis.RedisError as error:
            log.warning("trial not shared", target=str(target), reason=str(error))
            return True
        return bool(said)
