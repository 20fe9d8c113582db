"""Takes live outcomes off the request path: gateway → bounded buffer → Redis stream."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis
import structlog

from app.json_bytes import dumps

log = structlog.get_logger()

STREAM = "tooloo:outcomes"


#: fields of its entries
OUTCOME, REQUEST, TURN = "outcome", "request", "breaker"


#: entries per transaction
BATCH = 1000


#: a command for each entry costs more than all else that is done for it. ARGV: how many entries the stream may have,
#: then of each entry how many names and values follow, and those
APPEND = """
local at = 2
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, at + 1, last))
  at = last + 1
end
"""


#: the buffer is emptied this often
FLUSH_S = 0.2


#: `outcome`: the columns of the outcomes table; `request`: those of the request log (app.request_log), or what
#: gives them; `breaker`: those of breaker_turns. Times are ISO text.
Entry = Mapping[str, Mapping[str, Any] | Callable[[], Mapping[str, Any]]]


class Recorder:
    """Takes live outcomes off the request path: a bounded buffer, emptied to Redis by a thread.

    A full buffer drops the newest and counts it: a request never waits for Redis.
    """

    def __init__(self, connection: redis.Redis, *, size: int, stream_size: int) -> None:
        self._append = connection.register_script(APPEND)
        self._size = size
        self._stream_size = stream_size
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
        while not self._stop.wait(FLUSH_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        while self._buffer:
            batch = [self._buffer[i] for i in range(min(len(self._buffer), BATCH))]
            try:
                self._append(keys=[STREAM], args=_arguments(batch, self._stream_size))
            except redis.RedisError as error:
                log.warning("outcomes wait for redis", waiting=len(self._buffer), reason=str(error))
                self._stop.wait(1.0)
                return
            for _ in batch:
                self._buffer.popleft()


def _arguments(batch: Sequence[Entry], stream_size: int) -> list[Any]:
    """Of APPEND."""
    given: list[Any] = [stream_size]
    for entry in batch:
        given.append(2 * len(entry))
        for name, row in entry.items():
            given += (name, dumps(row() if callable(row) else row, _dumps))
    return given


def _dumps(document: object) -> bytes:
    return json.dumps(document).encode()
