"""What keys have used of their limits, counted in Redis by scripts: each of them is one step for all processes.

Of a key there is a hash (what was used in this minute, day and month) and a set of the requests in flight, each with
what is reserved for it. The minute is one of Redis's clock. A request of a process that died falls out of the set when
nobody renews it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from app.domain.key_limits import NANOS, Budget, KeyLimits

#: what was refused, by the number a script answers
REFUSALS = ("", "requests", "tokens", "in_flight", "day", "month")
#: s after which a request in flight that is not renewed is taken for lost
HOLD_S = 30
#: s for which a key that nobody uses is remembered: a month, and some days
KEPT_S = 40 * 86_400

_COMMON = """
local state, holds = KEYS[1], KEYS[2]
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local minute = math.floor(now / 60)

local function reserved(name) return tonumber(string.match(name, '|(%d+)$')) or 0 end

-- as Redis takes whole numbers: -0 it does not
local function add(field, number) redis.call('HINCRBY', state, field, string.format('%d', number)) end

local function roll(day, month, day_seed, month_seed)
  local held = redis.call('HMGET', state, 'minute', 'day', 'month')
  if tonumber(held[1]) ~= minute then
    redis.call('HSET', state, 'minute', minute, 'requests', 0, 'tokens', 0)
  end
  if not held[2] then redis.call('HSET', state, 'day', day, 'day_spent', day_seed)
  elseif held[2] < day then redis.call('HSET', state, 'day', day, 'day_spent', 0) end
  if not held[3] then redis.call('HSET', state, 'month', month, 'month_spent', month_seed)
  elseif held[3] < month then redis.call('HSET', state, 'month', month, 'month_spent', 0) end
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', holds, '-inf', now)) do
    redis.call('ZREM', holds, name)
    add('held', -reserved(name))
  end
end

local function figures(refused)
  local f = redis.call('HMGET', state, 'requests', 'tokens', 'held', 'day_spent', 'month_spent')
  local left_ms = math.ceil((minute + 1) * 60000 - now * 1000)
  redis.call('EXPIRE', state, KEPT)
  return {refused, minute, left_ms, tonumber(f[1]) or 0, tonumber(f[2]) or 0, redis.call('ZCARD', holds),
          tonumber(f[3]) or 0, tonumber(f[4]) or 0, tonumber(f[5]) or 0}
end
""".replace("KEPT", str(KEPT_S))

_TAKE = (
    _COMMON
    + """
roll(ARGV[2], ARGV[3], ARGV[4], ARGV[5])
local name, tokens, hold_s = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local most_requests, most_tokens, most_open = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local most_day, most_month = tonumber(ARGV[12]), tonumber(ARGV[13])
local usd = reserved(name)
local f = figures(0)
local refused = 0
local function beyond(most, spent) return most >= 0 and (spent >= most or spent + usd > most) end
if most_requests >= 0 and f[4] >= most_requests then refused = 1
elseif most_tokens >= 0 and f[5] + tokens > most_tokens then refused = 2
elseif most_open >= 0 and f[6] >= most_open then refused = 3
elseif beyond(most_day, f[8] + f[7]) then refused = 4
elseif beyond(most_month, f[9] + f[7]) then refused = 5
end
if refused == 0 then
  add('requests', 1)
  add('tokens', tokens)
  add('held', usd)
  redis.call('ZADD', holds, now + hold_s, name)
  redis.call('EXPIRE', holds, KEPT)
end
return figures(refused)
""".replace("KEPT", str(KEPT_S))
)

_SETTLE = (
    _COMMON
    + """
roll(ARGV[2], ARGV[3], ARGV[4], ARGV[5])
if tonumber(ARGV[6]) == minute then
  add('requests', ARGV[7])
  add('tokens', ARGV[8])
end
local held = redis.call('HMGET', state, 'day', 'month')
if held[1] == ARGV[2] then add('day_spent', ARGV[9]) end
if held[2] == ARGV[3] then add('month_spent', ARGV[9]) end
for place = 10, #ARGV do
  if redis.call('ZREM', holds, ARGV[place]) == 1 then
    add('held', -reserved(ARGV[place]))
  end
end
return figures(0)
"""
)

_RENEW = (
    _COMMON
    + """
for place = 3, #ARGV do
  if redis.call('ZADD', holds, now + tonumber(ARGV[2]), ARGV[place]) == 1 then
    add('held', reserved(ARGV[place]))
  end
end
return 0
"""
)

_RAISE = (
    _COMMON
    + """
roll(ARGV[2], ARGV[3], ARGV[4], ARGV[5])
local held = redis.call('HMGET', state, 'day', 'day_spent', 'month', 'month_spent')
if held[1] == ARGV[2] and tonumber(held[2]) < tonumber(ARGV[4]) then
  redis.call('HSET', state, 'day_spent', ARGV[4])
end
if held[3] == ARGV[3] and tonumber(held[4]) < tonumber(ARGV[5]) then
  redis.call('HSET', state, 'month_spent', ARGV[5])
end
return figures(0)
"""
)


@dataclass(frozen=True, slots=True)
class Days:
    """The day and month that is counted in, and what this process knows to be spent in them: NANOS."""

    day: str
    month: str
    day_spent: int = 0
    month_spent: int = 0

    @property
    def arguments(self) -> tuple[str | int, ...]:
        return self.day, self.month, self.day_spent, self.month_spent


@dataclass(frozen=True, slots=True)
class Figures:
    """What a key has used, and whether it may go on. Money in NANOS."""

    #: one of REFUSALS
    refused: str
    minute: int
    #: of the minute
    left_s: float
    requests: int
    tokens: int
    #: in flight
    open: int
    #: reserved for those
    held: int
    day_spent: int
    month_spent: int


class Ledger:
    """Raises redis.RedisError. `now_s`: None, which is Redis's clock; tests have their own."""

    def __init__(self, connection: redis.Redis, now_s: float | None = None) -> None:
        self.now_s = now_s
        self._connection = connection
        self._take = connection.register_script(_TAKE)
        self._settle = connection.register_script(_SETTLE)
        self._renew = connection.register_script(_RENEW)
        self._raise = connection.register_script(_RAISE)

    def take(self, key_id: str, limits: KeyLimits, days: Days, name: str, tokens: int) -> Figures:
        """Count a request and reserve what it may use, or none of it where a limit is reached."""
        most = (limits.requests_per_minute, limits.tokens_per_minute, limits.in_flight)
        bounds = [-1 if each is None else each for each in most]
        budget = [-1 if usd is None else round(usd * NANOS) for usd in hard(limits)]
        return _figures(self._run(self._take, key_id, *days.arguments, name, tokens, HOLD_S, *bounds, *budget))

    def settle(self, key_id: str, days: Days, minute: int, used: Sequence[int], ended: Iterable[str] = ()) -> Figures:
        """`used`: requests and tokens more (or fewer) than were counted in that minute, and NANOS spent."""
        return _figures(self._run(self._settle, key_id, *days.arguments, minute, *used, *ended))

    def renew(self, key_id: str, names: Iterable[str]) -> None:
        """These are still in flight."""
        self._run(self._renew, key_id, HOLD_S, *names)

    def at_least(self, key_id: str, days: Days) -> Figures:
        """So much is known to be spent: a Redis that has lost its data knows less."""
        return _figures(self._run(self._raise, key_id, *days.arguments))

    def _run(self, script: Any, key_id: str, *arguments: str | float) -> Any:
        name = f"tooloo:allowance:{key_id}"
        now = "" if self.now_s is None else self.now_s
        return script(keys=[name, f"{name}:holds"], args=[now, *arguments])


def hard(limits: KeyLimits) -> tuple[float | None, float | None]:
    """USD of a day and a month beyond which nothing goes."""
    budget = limits.budget or Budget()
    return (budget.day_usd, budget.month_usd) if budget.hard else (None, None)


def _figures(told: Sequence[int]) -> Figures:
    refused, minute, left_ms, *rest = map(int, told)
    return Figures(REFUSALS[refused], minute, left_ms / 1000, *rest)
