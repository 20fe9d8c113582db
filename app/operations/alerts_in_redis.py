"""The alert that PostgreSQL is away, which PostgreSQL cannot keep: one hash in Redis, with the same steps."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from app.domain.policy import AlertsPolicy
from app.operations.attention import Item
from app.store.alerts import Due

KEY = "tooloo:alert:postgres"

#: ARGV id, s of its begin, item. By the clock of Redis, as everything here
_SEE = """
local now = tonumber(redis.call('TIME')[1])
if redis.call('HSETNX', KEYS[1], 'id', ARGV[1]) == 1 then
  redis.call('HSET', KEYS[1], 'began', ARGV[2], 'next', 0, 'tries', 0)
end
redis.call('HSET', KEYS[1], 'seen', now, 'item', ARGV[3])
redis.call('HDEL', KEYS[1], 'ended')
"""
#: ARGV s of quiet
_END = """
local seen = tonumber(redis.call('HGET', KEYS[1], 'seen') or '')
local now = tonumber(redis.call('TIME')[1])
if seen and now - seen > tonumber(ARGV[1]) then redis.call('HSETNX', KEYS[1], 'ended', seen) end
"""
#: ARGV s of the first pause, of the longest
_CLAIM = """
local now = tonumber(redis.call('TIME')[1])
local next = tonumber(redis.call('HGET', KEYS[1], 'next') or '')
if not next or next > now then return nil end
local told, ended = redis.call('HGET', KEYS[1], 'told'), redis.call('HGET', KEYS[1], 'ended')
if told and not ended then return nil end
local tries = redis.call('HINCRBY', KEYS[1], 'tries', 1)
redis.call('HSET', KEYS[1], 'next', now + math.min(tonumber(ARGV[2]), tonumber(ARGV[1]) * 2 ^ math.min(tries - 1, 20)))
local at = redis.call('HMGET', KEYS[1], 'id', 'item', 'began', 'seen')
return {at[1], at[2], at[3], at[4], told and ended or '', now}
"""
#: ARGV id, 1: its end
_TOLD = """
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return end
if ARGV[2] == '1' then redis.call('DEL', KEYS[1]) else redis.call('HSET', KEYS[1], 'told', 1, 'next', 0, 'tries', 0) end
"""


class RedisLedger:
    def __init__(self, connection: redis.Redis, policy: AlertsPolicy) -> None:
        self._connection, self._policy = connection, policy

    def look(self, items: Sequence[Item], *, ends: bool) -> None:
        for item in items:
            began = datetime.now(UTC) if item.since is None else item.since
            self._do(_SEE, f"alert-{uuid.uuid4().hex}", began.timestamp(), json.dumps(item.to_json()))
        if ends:
            self._do(_END, self._policy.quiet_s)

    def claim(self) -> Due | None:
        found = self._do(_CLAIM, self._policy.retry_s, self._policy.retry_max_s)
        if found is None:
            return None
        name, item, began, seen, ended, now = (each.decode() if isinstance(each, bytes) else each for each in found)
        ended_at = _time(ended) if ended else None
        waited = timedelta(seconds=float(now) - float(ended or seen))
        return Due(name, json.loads(item), _time(began), ended_at, waited)

    def told(self, due: Due) -> None:
        self._do(_TOLD, due.id, 0 if due.ended_at is None else 1)

    def given_up(self, due: Due) -> None:
        self.told(due)

    def failed(self, due: Due, problem: str) -> None:
        """With PostgreSQL away it stands in the log alone."""

    def _do(self, script: str, *arguments: str | float) -> Any:
        return self._connection.eval(script, 1, KEY, *arguments)


def _time(seconds: str) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
