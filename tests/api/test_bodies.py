"""Reading request bodies: their size, their time, and what all of them hold; on a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

import pytest

from app.api.bodies import Bodies, BodyLimits
from app.errors import Busy, InvalidRequest, PayloadTooLarge, RequestTimeout, TooLooError

LIMITS = BodyLimits(largest=100_000, held=150_000, wait_s=20, bytes_per_s=1000)


class Loop(asyncio.SelectorEventLoop):
    """Its time passes when a body says so."""

    now_s = 0.0

    def time(self) -> float:
        return self.now_s


class Incoming:
    """A body in pieces, each of which takes a while; `ends`: False where the client stops and stays."""

    def __init__(self, loop: Loop, pieces: Sequence[bytes], each_s: float = 0.0, *, ends: bool = True) -> None:
        self._loop, self._pieces, self._each_s, self._ends = loop, pieces, each_s, ends
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self._loop.now_s += self._each_s
            await asyncio.sleep(0)  # the time may run out here
            self.taken += len(piece)
            yield piece
        if not self._ends:
            self._loop.now_s += 1000
            await asyncio.Event().wait()

    async def __call__(self) -> bytes:
        return b"".join([piece async for piece in self])


class Left:
    """The client has left; the server says so of a body asked for in one piece alone."""

    async def __call__(self) -> bytes:
        raise RuntimeError("closed")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{"
        yield b""


def run(loop: Loop, reading: Coroutine[Any, Any, bytes]) -> bytes:
    try:
        return loop.run_until_complete(reading)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("size", [0, 1, 70_000, 100_000])
def test_a_body_is_read_whole(size: int, declared: bool) -> None:
    loop, body = Loop(), b"x" * size
    bodies = Bodies(LIMITS)
    pieces = [body[i : i + 30_000] for i in range(0, size, 30_000)]

    assert run(loop, bodies.read(Incoming(loop, pieces), size if declared else None)) == body

    assert bodies.held == size
    bodies.free(body)
    assert bodies.held == 0


@pytest.mark.parametrize("declared", [1000, 70_000, None])
def test_the_time_of_a_body_that_does_not_come_runs_out(declared: int | None) -> None:
    loop, bodies = Loop(), Bodies(LIMITS)

    with pytest.raises(RequestTimeout):
        run(loop, bodies.read(Incoming(loop, [b"{"], ends=False), declared))

    assert bodies.held == 0


def test_a_body_that_drips_ends_in_time_and_one_on_a_slow_line_is_taken() -> None:
    loop = Loop()
    with pytest.raises(RequestTimeout):
        run(loop, Bodies(LIMITS).read(Incoming(loop, [b"x"] * 100, each_s=1), None))
    assert loop.now_s <= LIMITS.wait_s + 2

    loop = Loop()
    slow = Incoming(loop, [b"x" * 2000] * 40, each_s=1)  # 40 s, at twice what is asked for
    assert len(run(loop, Bodies(LIMITS).read(slow, 80_000))) == 80_000


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_read_on_for_a_while_and_held_by_nobody(declared: bool) -> None:
    loop, bodies = Loop(), Bodies(LIMITS)
    incoming = Incoming(loop, [b"x" * 10_000] * 35)

    with pytest.raises(PayloadTooLarge):
        run(loop, bodies.read(incoming, 350_000 if declared else None))

    assert incoming.taken == 350_000, "the client has sent it all, so it reads the answer"
    assert bodies.held == 0


def test_a_body_far_too_large_is_not_read_to_its_end() -> None:
    loop = Loop()
    named, unnamed = Incoming(loop, [b"x" * 10_000] * 1000), Incoming(loop, [b"x" * 10_000] * 1000)

    with pytest.raises(PayloadTooLarge):
        loop.run_until_complete(Bodies(LIMITS).read(named, 10_000_000))
    with pytest.raises(PayloadTooLarge):
        run(loop, Bodies(LIMITS).read(unnamed, None))

    assert (named.taken, unnamed.taken) == (0, 410_000)


@pytest.mark.parametrize("declared", [90_000, 60_000, None])
def test_all_bodies_together_are_bounded(declared: int | None) -> None:
    loop, bodies = Loop(), Bodies(LIMITS)
    first = loop.run_until_complete(bodies.read(Incoming(loop, [b"x" * 100_000]), 100_000))
    size = declared or 90_000

    with pytest.raises(Busy):
        loop.run_until_complete(bodies.read(Incoming(loop, [b"x" * (size // 2)] * 2), declared))

    bodies.free(first)
    assert len(run(loop, bodies.read(Incoming(loop, [b"x" * (size // 2)] * 2), declared))) == size


@pytest.mark.parametrize("declared", [1000, 70_000])
def test_a_body_whose_client_has_left_is_no_body(declared: int) -> None:
    bodies = Bodies(LIMITS)

    with pytest.raises(InvalidRequest, match=r"ended after"):
        run(Loop(), bodies.read(Left(), declared))

    assert bodies.held == 0


def test_refusals_are_told_with_a_status_of_their_own() -> None:
    errors: list[type[TooLooError]] = [RequestTimeout, PayloadTooLarge, Busy]
    assert [error.status for error in errors] == [408, 413, 503]
