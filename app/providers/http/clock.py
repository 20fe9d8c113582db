"""One HTTP attempt on the clock: when it began, when it must be over, and which deadline that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter
from typing import Protocol

from app.errors import LocalFailure, Timeout
from app.timing import Timing

#: of a call's time, spent by the reader of its stream, from which on a late end is his
READERS_SHARE = 0.1


class Limited(Protocol):
    """A connection that gives up at a moment, however its peer spreads the bytes, and where the peer is silent."""

    deadline_s: float | None
    idle_s: float | None
    beat_s: float | None
    waits: bool

    def interrupt(self) -> None:
        """Wake whoever waits for it, from any thread."""


@dataclass(slots=True)
class Call:
    """Seconds of perf_counter(). A call has a deadline for everything, one until its answer has begun, and from then on
    a limit on silence, which any byte ends, a comment too."""

    timeout_ms: float
    first_token_limit_ms: float | None = None
    idle_ms: float | None = None
    #: whoever waits for it hears of it this often, while nothing comes
    beat_ms: float | None = None
    started_s: float = field(default_factory=perf_counter)
    connect_ms: float = 0.0
    #: the answer has begun: only the total deadline is left
    begun: bool = False
    first_token_ms: float | None = None
    total_ms: float | None = None
    #: the connection it runs on; set as soon as there is one
    connection: Limited | None = None
    interrupted: bool = False
    #: its connection is in the pool again, and may be another call's
    released: bool = False
    #: of a plain answer: when a byte of it came that is no blank, or who waits was told that none does
    said_s: float = field(default_factory=perf_counter)
    _ending: Lock = field(default_factory=Lock, repr=False)

    @property
    def deadline_s(self) -> float:
        """The deadline that holds now."""
        limit_ms = self.timeout_ms
        if self.first_token_limit_ms is not None and not self.begun:
            limit_ms = min(limit_ms, self.first_token_limit_ms)
        return self.started_s + limit_ms / 1000

    @property
    def left_s(self) -> float:
        return self.deadline_s - perf_counter()

    def elapsed_ms(self) -> float:
        return (perf_counter() - self.started_s) * 1000

    def drain(self, limit_s: float) -> None:
        """The answer is there; the connection may take `limit_s` more to come to its end."""
        if self.connection is not None:
            self.connection.deadline_s = min(self.deadline_s, perf_counter() + limit_s)

    def resume(self) -> None:
        """It was not there yet."""
        if self.connection is not None:
            self.connection.deadline_s = self.deadline_s

    def run_on(self, connection: Limited) -> None:
        self.connection = connection
        if self.interrupted:  # looked at after `connection` is set, as interrupt() looks at it after it has set this
            raise ConnectionAbortedError("the call was interrupted before it was sent")
        connection.deadline_s = self.deadline_s
        connection.idle_s = None
        connection.waits = True
        connection.beat_s = None if self.beat_ms is None else self.beat_ms / 1000

    def begin(self) -> None:
        """The first piece of the answer is there, be it reasoning."""
        if not self.begun:
            self.begun = True
            if self.connection is not None:
                self.connection.deadline_s = self.deadline_s
                self.connection.idle_s = None if self.idle_ms is None else self.idle_ms / 1000

    def said_nothing(self) -> bool:
        """Is it time for a beat, though blanks come, and keep the connection alive?"""
        if self.beat_ms is None:
            return False
        now_s, beat_s = perf_counter(), self.beat_ms / 1000
        is_due = now_s >= self.said_s + beat_s
        if is_due:
            self.said_s = now_s
        if self.connection is not None:
            self.connection.beat_s = self.said_s + beat_s - now_s
        return is_due

    def note_said(self) -> None:
        """What came is a part of a plain answer: the next beat is a whole one away."""
        self.said_s = perf_counter()
        if self.connection is not None and self.beat_ms is not None:
            self.connection.beat_s = self.beat_ms / 1000

    def note_content(self) -> None:
        """The first token a reader can use is there."""
        if self.first_token_ms is None:
            self.first_token_ms = self.elapsed_ms()

    def end(self) -> None:
        """The answer is complete; whatever the connection does after that is not its latency."""
        with self._ending:
            if self.total_ms is None:
                self.total_ms = self.elapsed_ms()

    def release(self) -> None:
        """The connection is about to be given to whoever wants it."""
        with self._ending:
            self.released = True

    def interrupt(self) -> None:
        """Wake the thread that waits for this call, or keep it from sending; a set-up of the connection is waited for.

        Once the call has ended or its body is read, its connection may be another call's, and is left alone.
        """
        self.interrupted = True
        with self._ending:
            if self.connection is not None and self.total_ms is None and not self.released:
                self.connection.interrupt()

    def check_reader(self, away_s: float) -> None:
        """Raise LocalFailure where the deadline passed and the stream's reader took a good part of the time.

        A provider that drips is not excused by a reader who happens to be inside when the time is over.
        """
        if self.total_ms is None and self.left_s < 0 and away_s * 1000 > READERS_SHARE * self.timeout_ms:
            raise LocalFailure("the deadline passed while the reader of the stream was busy elsewhere")

    def timing(self) -> Timing:
        total_ms = self.elapsed_ms() if self.total_ms is None else self.total_ms
        return Timing(connect_ms=self.connect_ms, first_token_ms=self.first_token_ms, total_ms=total_ms)

    def timed_out(self) -> Timeout:
        """The Timeout of the limit that has just passed."""
        if self.connection is None:
            return Timeout(f"no connection within {self.elapsed_ms():.0f} ms", phase="connect")
        if self.begun and self.idle_ms is not None:
            if self.left_s > 0:
                return Timeout(f"nothing came for {self.idle_ms:.0f} ms", phase="idle")
            # it was never silent for long: our own clock ends it, and nobody is to blame
            return Timeout(f"no complete answer within {self.timeout_ms:.0f} ms", phase="total", flowed=True)
        if self.begun or self.first_token_limit_ms is None or self.first_token_limit_ms >= self.timeout_ms:
            return Timeout(f"no complete answer within {self.timeout_ms:.0f} ms", phase="total")
        return Timeout(f"no first token within {self.first_token_limit_ms:.0f} ms", phase="first_token")


class CancelToken:
    """Stops a call from another thread, whether it has begun or not."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._call: Call | None = None
        self._cancelled = False

    def bind(self, call: Call) -> None:
        with self._lock:
            self._call = call
            if self._cancelled:
                call.interrupt()

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._call is not None:
                self._call.interrupt()
