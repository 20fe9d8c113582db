"""What one caller can take of an API process: how long a body may take, and how many requests may be in flight.

The server gives every request a thread and reads its body there, for as long as the client likes. Here a body is read
by a thread beside, the request's own waits a bounded time for it; requests in flight are bounded per key and in all,
below the number of threads, so that health, readiness and metrics always find one.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from queue import Empty, SimpleQueue
from typing import Any

from app.errors import BodyTooSlow, Busy, PayloadTooLarge, TooManyRequests

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

#: where no bound applies: probes of an orchestrator and of Prometheus
HEALTH = frozenset({"/healthz", "/readyz", "/metrics"})
#: s in which a body has to come, and bytes per s that prolong it
FIRST_S, LEAST_RATE = 5.0, 16 * 1024
#: bytes read at once
CHUNK = 64 * 1024
#: threads that read bodies, at most; one whose client neither goes on nor leaves is stuck
READERS = 1024
#: s after which a reader without work ends
IDLE_S = 30.0
#: s, as Retry-After says
RETRY_S = 1.0
#: key of the WSGI environment
TICKET = "tooloo.ticket"


class Ticket:
    """One request's place; given back once, when its answer has been sent or nobody wants it any more."""

    __slots__ = ("_gate", "_key", "admitted")

    def __init__(self, gate: Gate, *, admitted: bool) -> None:
        self._gate = gate
        self._key: str | None = None
        self.admitted = admitted

    def enter(self, key: str) -> None:
        """Count it against the key that asks; raises Busy or TooManyRequests where there is no place."""
        if not self.admitted:
            raise Busy(f"{self._gate.most} requests are in flight here already: try again in a moment")
        if not self._gate.enter(key):
            text = f"{self._gate.most_per_key} requests of this key are in flight here already: wait for some to end"
            raise TooManyRequests(text, retry_after_s=RETRY_S)
        self._key = key

    def release(self) -> None:
        if self.admitted:
            self.admitted = False
            self._gate.leave(self._key)


class Gate:
    """Requests in flight in this process."""

    def __init__(self, most: int, most_per_key: int) -> None:
        self.most, self.most_per_key = most, most_per_key
        self._lock = threading.Lock()
        self._all = 0
        self._of_key: Counter[str] = Counter()

    def ticket(self) -> Ticket:
        with self._lock:
            admitted = self._all < self.most
            self._all += admitted
        return Ticket(self, admitted=admitted)

    def enter(self, key: str) -> bool:
        with self._lock:
            if self._of_key[key] >= self.most_per_key:
                return False
            self._of_key[key] += 1
            return True

    def leave(self, key: str | None) -> None:
        with self._lock:
            self._all -= 1
            if key is not None:
                self._of_key[key] -= 1
                if not self._of_key[key]:
                    del self._of_key[key]


class _Reading:
    """One body on its way in."""

    def __init__(self, source: Any, limit: int) -> None:
        self.read = 0
        self._source = source
        self._limit = limit
        self._parts: list[bytes] = []
        self._over = threading.Event()
        self._began_s = time.monotonic()

    def run(self) -> None:
        """In a reader's thread; may hang for as long as the client likes."""
        try:
            while self.read <= self._limit and (part := self._source.read(CHUNK)):
                self._parts.append(part)
                self.read += len(part)
        finally:
            self._over.set()

    def body(self) -> bytes:
        """Wait for the end; raises BodyTooSlow or PayloadTooLarge."""
        while not self._over.wait(max(0.0, (left_s := self._left_s()))):
            if left_s <= 0:
                raise BodyTooSlow(f"the body came too slowly: {self.read} bytes in {FIRST_S:.0f} s and more")
        if self.read > self._limit:
            raise PayloadTooLarge(f"the body is larger than {self._limit} bytes")
        return b"".join(self._parts)

    def _left_s(self) -> float:
        return self._began_s + FIRST_S + self.read / LEAST_RATE - time.monotonic()


class Readers:
    """Threads that read bodies, made as they are needed; daemons, as a stuck one must not hold up the end."""

    def __init__(self, most: int = READERS) -> None:
        self._most = most
        self._work: SimpleQueue[_Reading] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def start(self, reading: _Reading) -> None:
        """Raises Busy where all are stuck."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._run, name="body", daemon=True).start()
            else:
                raise Busy("too many bodies are on their way in: try again in a moment")
        self._work.put(reading)

    def _run(self) -> None:
        while True:
            try:
                reading = self._work.get(timeout=IDLE_S)
            except Empty:
                with self._lock:
                    if self._idle:  # else one has just been promised
                        self._idle -= 1
                        self._threads -= 1
                        return
                continue
            reading.run()
            with self._lock:
                self._idle += 1


class _Input:
    """wsgi.input whose first read brings the whole body, in bounded time."""

    def __init__(self, source: Any, limit: int, readers: Readers) -> None:
        self._source, self._limit, self._readers = source, limit, readers
        self._body: BytesIO | None = None

    def _whole(self) -> BytesIO:
        if self._body is None:
            reading = _Reading(self._source, self._limit)
            self._readers.start(reading)
            self._body = BytesIO(reading.body())
        return self._body

    def read(self, size: int = -1) -> bytes:
        return self._whole().read(size)

    def readline(self, size: int = -1) -> bytes:
        return self._whole().readline(size)

    def readlines(self, hint: int = -1) -> list[bytes]:
        return self._whole().readlines(hint)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._whole())


class _Held:
    """The answer's body as the server reads it; the place is free again when it is closed."""

    __slots__ = ("_inner", "_ticket")

    def __init__(self, inner: Iterable[bytes], ticket: Ticket) -> None:
        self._inner = inner
        self._ticket = ticket

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)

    def close(self) -> None:
        try:
            if (close := getattr(self._inner, "close", None)) is not None:
                close()
        finally:
            self._ticket.release()


def bounded(app: Wsgi, gate: Gate, max_body: int) -> Wsgi:
    """`app` behind both bounds; who calls is known to it alone, so it calls `Ticket.enter`."""
    readers = Readers()

    def serve(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") in HEALTH:
            return app(environ, start_response)
        environ["wsgi.input"] = _Input(environ["wsgi.input"], max_body, readers)
        ticket = environ[TICKET] = gate.ticket()
        try:
            return _Held(app(environ, start_response), ticket)
        except BaseException:
            ticket.release()
            raise

    return serve
