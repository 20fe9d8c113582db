"""Request bodies as they come in: how large one may be, how long it may take, and how much all of them may hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from app.api.sweep import Sweep
from app.errors import Busy, InvalidRequest, PayloadTooLarge, RequestTimeout

#: times the largest body: so much is read and thrown away, so that the client gets to read why it is refused
DRAINED = 4
#: bytes; a body that says it is no larger is taken in one piece
SMALL = 64 * 1024
#: s between two looks at whether a small one is late
SWEEP_S = 0.25


class Incoming(Protocol):
    """The server's side of a request: its body whole (RuntimeError where the client left), or piece by piece."""

    def __call__(self) -> Awaitable[bytes]: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class BodyLimits:
    #: bytes of one body
    largest: int
    #: bytes of all bodies in the memory of this process
    held: int
    #: s until a body must be whole, and …
    wait_s: float
    #: … one more for each so many bytes of it that have come
    bytes_per_s: int


class _Reading:
    """A small body on its way: asyncio.timeout() would cost more than to read it."""

    __slots__ = ("is_late", "loop", "task", "until_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, wait_s: float) -> None:
        task = asyncio.current_task(loop)
        assert task is not None
        self.loop, self.task = loop, task
        self.until_s = loop.time() + wait_s
        self.is_late = False

    def give_up(self) -> None:
        if not self.is_late:
            self.is_late = True
            self.task.cancel()


class Bodies:
    """The bodies in this process's memory; used in the event loop alone."""

    def __init__(self, limits: BodyLimits) -> None:
        self.limits = limits
        self.held = 0
        #: small ones on their way, in the order in which they began
        self._reading: dict[_Reading, None] = {}
        self._sweep = Sweep(SWEEP_S, self._give_up)

    async def read(self, incoming: Incoming, declared: int | None) -> bytes:
        """A whole body, of `declared` bytes where the client said so; `free` it when its request has ended.

        Raises PayloadTooLarge, RequestTimeout, Busy, or InvalidRequest where it ends too soon.
        """
        limits = self.limits
        if declared is not None and declared > limits.largest * DRAINED:
            raise self._too_large()
        try:
            if declared is not None and declared <= min(SMALL, limits.largest):
                return await self._whole(incoming, declared)
            async with asyncio.timeout(limits.wait_s) as clock:
                return await self._pieces(incoming, declared, clock)
        except TimeoutError:
            raise RequestTimeout(
                f"the body did not come: it has {limits.wait_s:g} s, and a second more for each"
                f" {limits.bytes_per_s} bytes that came"
            ) from None

    def free(self, body: bytes) -> None:
        self.held -= len(body)

    async def _whole(self, incoming: Incoming, declared: int) -> bytes:
        self._hold(declared)
        reading = _Reading(asyncio.get_running_loop(), self.limits.wait_s)
        self._reading[reading] = None
        self._sweep.need(reading.loop)
        try:
            body = await incoming()
        except RuntimeError:
            body = b""
        except asyncio.CancelledError:
            if not reading.is_late:
                raise
            reading.task.uncancel()
            raise TimeoutError from None
        finally:
            del self._reading[reading]
            self.held -= declared
        self._hold(len(_complete(body, declared)))
        return body

    def _give_up(self, now_s: float) -> bool:
        """Those whose time is over: they began in this order, and all have the same. Is there any left?"""
        for reading in list(takewhile(lambda each: each.until_s <= now_s, self._reading)):
            reading.give_up()
        return bool(self._reading)

    async def _pieces(self, incoming: Incoming, declared: int | None, clock: asyncio.Timeout) -> bytes:
        pieces: list[bytes] = []
        kept = 0
        try:
            async for piece in self._coming(incoming, clock):
                self._hold(len(piece))
                kept += len(piece)
                pieces.append(piece)
            return _complete(b"".join(pieces), declared)
        except BaseException:
            self.held -= kept
            raise

    async def _coming(self, incoming: Incoming, clock: asyncio.Timeout) -> AsyncIterator[bytes]:
        """Its pieces up to the largest size; what is too large is read on for a while, and thrown away."""
        limits = self.limits
        started = clock.when() or 0.0
        came = 0
        async for piece in incoming:
            came += len(piece)
            clock.reschedule(started + came / limits.bytes_per_s)
            if came > limits.largest * DRAINED:
                break
            if came <= limits.largest:
                yield piece
        if came > limits.largest:
            raise self._too_large()

    def _hold(self, size: int) -> None:
        if self.held + size > self.limits.held:
            raise Busy("the bodies of other requests fill the memory there is for them: try again in a moment")
        self.held += size

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"the body is larger than {self.limits.largest} bytes (TOOLOO_MAX_BODY_MB)")


def _complete(body: bytes, declared: int | None) -> bytes:
    if declared is not None and len(body) < declared:
        raise InvalidRequest(f"the body ended after {len(body)} of its {declared} bytes")
    return body
