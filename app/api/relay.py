"""Streams that have begun, waited for together: one thread polls what many of them come from, and sends on what comes.

A thread for each would be woken for each piece, and hundreds of them then wait for the interpreter's lock, which costs
several times what the pieces do. What may wait for anything else, the end of a stream and its rescue, gets a thread.
"""

from __future__ import annotations

import os
import selectors
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import perf_counter
from typing import Protocol

#: s between two looks at who has waited for too long
TICK_S = 0.05
#: pieces of one stream that are sent before it is the others' turn
AT_ONCE = 64


class Polled(Protocol):
    """`wake_s` of perf_counter(): when its reader goes on though nothing has come."""

    wake_s: float

    def fileno(self) -> int: ...


class Source(Protocol):
    """Where the pieces of an answer come from: see ReplyStream."""

    @property
    def waits_for(self) -> Polled | None: ...
    def relay(self) -> bool: ...
    def wait(self) -> None: ...


class Relayed:
    """One answer on its way: `pieces`, of which an empty one means that `source` says what to poll until the next."""

    __slots__ = ("_pieces", "_send", "_then", "fd", "is_read", "polled", "raised", "source")

    def __init__(
        self,
        source: Source,
        pieces: Iterator[bytes],
        send: Callable[[bytes], bool],
        then: Callable[[Relayed], None],
    ) -> None:
        """`send` says whether anybody still reads; `then` is called when the rest wants a thread, and may not wait."""
        self.source = source
        #: None: nothing is to be polled, there is more already
        self.polled: Polled | None = None
        #: what is polled; -1: nothing
        self.fd = -1
        self.is_read = True
        #: what the pieces have raised: there are no more
        self.raised: Exception | None = None
        self._pieces = pieces
        self._send = send
        self._then = then

    def advance(self) -> bool:
        """Send what has come; False where that was all, nobody reads it, or the rest wants a thread."""
        pieces: list[bytes] = []
        try:
            goes_on = self._read(pieces)
        except Exception as error:  # noqa: BLE001  # for the thread that has the rest
            self.raised, goes_on = error, False
        if pieces:
            self.is_read = self._send(b"".join(pieces))
        return goes_on and self.is_read

    def end(self) -> None:
        self._then(self)

    def _read(self, pieces: list[bytes]) -> bool:
        self.polled = None
        for piece in self._pieces:
            if not piece:
                self.polled = self.source.waits_for
                return self.polled is not None
            pieces.append(piece)
            if len(pieces) == AT_ONCE:
                return True
        return False


class Relay:
    """Its thread is started with the first stream."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_started = False
        self._new: deque[Relayed] = deque()
        #: those that have more without anything that is to be polled
        self._ready: deque[Relayed] = deque()
        self._selector = selectors.DefaultSelector()
        self._bell, self._rope = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._rope, False)
        self._polled: set[Relayed] = set()
        self._tick_s = 0.0

    def take(self, stream: Relayed) -> None:
        """In any thread, which has nothing more to do with it."""
        self._new.append(stream)
        with self._lock:
            if not self._is_started:
                self._is_started = True
                self._selector.register(self._bell, selectors.EVENT_READ)
                threading.Thread(target=self._run, name="relay", daemon=True).start()
        with suppress(BlockingIOError):  # it has not looked yet at so many
            os.write(self._rope, b"\0")

    def _run(self) -> None:
        while True:
            self._round(0 if self._ready else TICK_S if self._polled else None)

    def _round(self, wait_s: float | None) -> None:
        """Nothing of a stream is held after it: the server ends an answer when nobody has it any more."""
        for key, _ in self._selector.select(wait_s):
            if key.data is None:
                os.read(self._bell, 4096)
            else:
                self._advance(key.data)
        for waiting in (self._new, self._ready):
            for _ in range(len(waiting)):
                self._advance(waiting.popleft())
        self._look(perf_counter())

    def _look(self, now_s: float) -> None:
        """After those for whom nothing has come for long."""
        if now_s < self._tick_s:
            return
        self._tick_s = now_s + TICK_S
        for stream in [each for each in self._polled if each.polled is not None and each.polled.wake_s <= now_s]:
            self._advance(stream)

    def _advance(self, stream: Relayed) -> None:
        if not stream.advance():
            self._poll(stream, -1)
            stream.end()
        elif stream.polled is None:
            self._poll(stream, -1)
            self._ready.append(stream)
        else:
            self._poll(stream, stream.polled.fileno())

    def _poll(self, stream: Relayed, fd: int) -> None:
        if stream.fd == fd:
            return
        if stream.fd >= 0:
            self._selector.unregister(stream.fd)
            self._polled.discard(stream)
        stream.fd = fd
        if fd >= 0:
            self._selector.register(fd, selectors.EVENT_READ, stream)
            self._polled.add(stream)
