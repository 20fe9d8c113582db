"""Trials of half-open breakers: one at a time over all processes, claimed in Redis; without Redis one per process."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import Future, wait
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import redis
import structlog

from app.domain.catalog import Target

log = structlog.get_logger()

KEY = "tooloo:breakers:trial:"
#: s that a request waits for Redis's word, once in a trial
PATIENCE_S = 0.5
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


class _Claim(NamedTuple):
    """Redis was asked for a trial; its answer may come behind the request that asked."""

    open_until: datetime
    asked_at: datetime
    token: str
    answer: Future[bool]


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
        #: not answered, or not taken
        self._claims: dict[Target, _Claim] = {}
        #: of trials that run here
        self._tokens: dict[Target, str] = {}
        #: those that have ended, and that Redis has not been told of
        self._ended: dict[Target, str] = {}

    def begin(self, target: Target, open_until: datetime, now: datetime) -> bool:
        """May this request try it? Who may must `end` it; one that never does ends by itself.

        Where Redis is slow the request goes elsewhere, and a later one takes what Redis has granted meanwhile.
        """
        with self._lock:
            if now < self._until.get(target, now):
                return False
            claim = self._claims.get(target)
            asks = claim is None or not self._holds(claim, open_until, now)
            if asks:
                claim = self._claims[target] = self._claim(target, open_until, now)
        assert claim is not None
        if asks:
            wait([claim.answer], timeout=self.patience_s)
        with self._lock:
            return claim.answer.done() and self._claims.get(target) is claim and self._take(target, claim, now)

    def _take(self, target: Target, claim: _Claim, now: datetime) -> bool:
        del self._claims[target]
        granted = claim.answer.result()
        self._until[target] = now + timedelta(seconds=self._lasts_s if granted else AGAIN_S)
        if granted:
            self._tokens[target] = claim.token
        return granted

    def _holds(self, claim: _Claim, open_until: datetime, now: datetime) -> bool:
        return claim.open_until == open_until and now < claim.asked_at + timedelta(seconds=self._lasts_s)

    def _claim(self, target: Target, open_until: datetime, now: datetime) -> _Claim:
        claim = _Claim(open_until, now, uuid.uuid4().hex, Future())
        threading.Thread(target=self._ask, args=(target, claim), name="trial", daemon=True).start()
        return claim

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
    def untold(self) -> Mapping[Target, str]:
        """Tokens of trials that have ended."""
        return dict(self._ended)

    def tell(self, connection: redis.Redis, ended: Mapping[Target, str]) -> None:
        """Give back what has ended; behind what came of it, so that nobody tries it once more. Raises RedisError."""
        for target, token in ended.items():
            connection.eval(_FREE, 1, f"{KEY}{target}", token)
            with self._lock:
                if self._ended.get(target) == token:
                    del self._ended[target]

    def _ask(self, target: Target, claim: _Claim) -> None:
        arguments = (str(target), claim.open_until.isoformat(), claim.token, round(self._lasts_s * 1000))
        try:
            said: Any = self._connection.eval(_CLAIM, 2, self._key, f"{KEY}{target}", *arguments)
        except redis.RedisError as error:
            log.warning("trial not shared", target=str(target), reason=str(error))
            said = 1
        claim.answer.set_result(bool(said))
