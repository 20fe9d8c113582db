"""Takes live outcomes off the request path: gateway → bounded buffer → Redis stream."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from uuid import uuid4

import redis
import structlog

from app.errors import DependencyUnavailable
from app.evidence.spill import Fields, Spill
from app.evidence.unconfirmed import Unconfirmed, is_older
from app.json_bytes import dumps

log = structlog.get_logger()

STREAM = "tooloo:outcomes"
#: what this Redis is called, until it is emptied
CALLED = "tooloo:outcomes:called"


#: fields of its entries
OUTCOME, REQUEST, TURN = "outcome", "request", "breaker"


#: entries per transaction
BATCH = 1000


#: a command for each entry costs more than all else that is done for it. ARGV: how many entries the stream may have,
#: what a new Redis is called, then of each entry how many names and values follow, and those. Gives the stream's first
#: and last id before, which are false where there was none, the last one now, and what this Redis is called
APPEND = """
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local before = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
redis.call('SET', KEYS[2], ARGV[2], 'NX')
local at, id = 3, false
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, at + 1, last))
  at = last + 1
end
return {first[1] and first[1][1] or false, before[1] and before[1][1] or false, id, redis.call('GET', KEYS[2])}
"""


#: the buffer is emptied this often
FLUSH_S = 0.2


#: `outcome`: the columns of the outcomes table; `request`: those of the request log (app.request_log), or what
#: gives them; `breaker`: those of breaker_turns. Times are ISO text.
Entry = Mapping[str, Mapping[str, Any] | Callable[[], Mapping[str, Any]]]


#: of an outcome: request and attempt
Key = tuple[str, int]
#: s between two looks for files that a process has left
LOOK_S = 5.0


class Recorder:
    """Takes live outcomes off the request path: a bounded buffer, emptied to Redis by a thread.

    A full buffer drops the newest and counts it: a request never waits for Redis. What is in it when the process ends
    and Redis is away is kept in a file (`spill`); what a Redis forgets before it was taken in is put in again, unless
    `stored` finds it.
    """

    def __init__(
        self,
        connection: redis.Redis,
        *,
        size: int,
        stream_size: int,
        spill: Spill | None = None,
        stored: Callable[[Collection[Key]], set[Key]] | None = None,
    ) -> None:
        self._append = connection.register_script(APPEND)
        self._size = size
        self._stream_size = stream_size
        self._spill = spill
        self._stored = stored
        self._unconfirmed = Unconfirmed(size)
        #: the Redis that has what we sent last
        self._called: str | None = None
        #: what a Redis that forgets may have lost, and is not sent again yet
        self._missed: list[Fields] = []
        self._looked_s = -LOOK_S
        self._buffer: deque[Entry] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        #: entries lost to a full buffer since the process started
        self.dropped = 0

    def start(self) -> None:
        self._thread.start()

    def add(self, entry: Entry) -> bool:
        """False where it had to be dropped. See Entry; what is callable is called later, in the recorder's thread."""
        if len(self._buffer) >= self._size:
            self.dropped += 1
            return False
        self._buffer.append(entry)
        return True

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        well = True
        while not self._stop.wait(FLUSH_S):
            well = self._flush()
            if well:
                self._take_kept()
        if not (well and self._flush()):  # Redis has its one chance: a frozen one costs seconds of the grace
            self._keep_rest()

    def _flush(self) -> bool:
        """False where Redis is away."""
        try:
            while self._buffer:
                batch = [self._buffer[i] for i in range(min(len(self._buffer), BATCH))]
                self._send([_fields(entry) for entry in batch])
                for _ in batch:
                    self._buffer.popleft()
            self._send_missed()
        except (redis.RedisError, DependencyUnavailable) as error:
            log.warning("outcomes wait for redis", waiting=len(self._buffer), reason=str(error))
            self._stop.wait(1.0)
            return False
        return True

    def _send(self, entries: Sequence[Fields]) -> None:
        head = (self._stream_size, uuid4().hex)
        answer: Any = self._append(keys=[STREAM, CALLED], args=[*head, *_arguments(entries)])
        first, before, last, called = (None if each is None else _text(each) for each in answer)
        if self._stored is None or last is None:
            return
        if self._called not in (None, called) or is_older(before, self._unconfirmed.last):
            self._missed += self._unconfirmed.forget()
        self._called = called
        self._unconfirmed.sent(entries, last, first or "0-0")

    def _send_missed(self) -> None:
        """Of what is not an outcome nobody can say whether it was taken in before: it is counted, not sent."""
        if not self._missed or self._stored is None:
            return
        keys = [_key(fields) for fields in self._missed]
        had = self._stored({key for key in keys if key is not None})
        lost = [each for each, key in zip(self._missed, keys, strict=True) if key is not None and key not in had]
        log.warning("redis has lost outcomes, sent again", count=len(lost), not_sent=keys.count(None))
        self._missed = []
        for at in range(0, len(lost), BATCH):
            self._send(lost[at : at + BATCH])

    def _take_kept(self) -> None:
        now_s = time.monotonic()
        if self._spill is None or now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        try:
            self._spill.take(self._send)
        except redis.RedisError as error:
            log.warning("kept outcomes wait for redis", reason=str(error))

    def _keep_rest(self) -> None:
        rest = [_fields(self._buffer.popleft()) for _ in range(len(self._buffer))]
        if rest and (self._spill is None or not self._spill.keep(rest)):
            self.dropped += len(rest)


def _fields(entry: Entry) -> Fields:
    """As the stream has it."""
    return {name: dumps(row() if callable(row) else row, _dumps).decode() for name, row in entry.items()}


def _key(fields: Fields) -> Key | None:
    if OUTCOME not in fields:
        return None
    row = json.loads(fields[OUTCOME])
    return row["request_id"], row["attempt"]


def _arguments(batch: Sequence[Fields]) -> list[Any]:
    """Of APPEND."""
    given: list[Any] = []
    for fields in batch:
        given.append(2 * len(fields))
        for name, document in fields.items():
            given += (name, document)
    return given


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


def _dumps(document: object) -> bytes:
    return json.dumps(document).encode()
