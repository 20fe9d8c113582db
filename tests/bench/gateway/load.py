"""Load in Python, as light as it can be made: raw HTTP over kept connections, in one event loop (uvloop's).

For what no compiled generator of a registry does: requests at a rate, whether or not earlier ones are answered, and
streams whose every gap is measured. Requests by callers that wait for their answer are wrk's (wrk.py); `closed_loop`
stands in where that is not installed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import random
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

KEY = "bench-gateway-load"
END = b"0\r\n\r\n"
TIMEOUT_S = 60
#: between the first request of one caller and that of the last, so that streams do not run in step
SPREAD_S = 1.0


@dataclass
class Taken:
    """Milliseconds of each request (of a stream: until its first token), the largest gap of each stream, chunks read,
    and how many failed."""

    ms: list[float] = field(default_factory=list)
    gaps_ms: list[float] = field(default_factory=list)
    chunks: int = 0
    failed: int = 0
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.ms) / self.seconds if self.seconds else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[int(share * (len(ordered) - 1))] if ordered else float("nan")


def median(values: Sequence[float]) -> float:
    """Of those that are numbers."""
    known = sorted(value for value in values if not math.isnan(value))
    return known[len(known) // 2] if known else float("nan")


def chat(
    model: str, *, stream: bool, content: str = "What is a mutex? Answer in one sentence.", turns: int = 1
) -> bytes:
    messages = [{"role": "user" if n % 2 == 0 else "assistant", "content": content} for n in range(turns)]
    return json.dumps({"model": model, "messages": messages, "stream": stream}).encode()


def request(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n" + body


def run(load: Coroutine[Any, Any, Taken]) -> Taken:
    """In a loop of its own, with no garbage collection among the gaps it measures."""
    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(load)
    finally:
        gc.enable()


class Reader(asyncio.Protocol):
    """One kept connection, which runs one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._done: asyncio.Future[bool] | None = None
        self._head = bytearray()
        self.status = 0
        self._left: int | None = None
        self._tail = b""
        #: seconds of perf_counter(): when content came first, and last
        self.first_s = 0.0
        self._last_s = 0.0
        self.gap_s = 0.0
        self.chunks = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def connection_lost(self, _: Exception | None) -> None:
        self.transport = None
        self._end(good=False)

    async def ask(self, message: bytes) -> bool:
        """Has a whole answer with status 200 come?"""
        assert self.transport is not None
        self._head.clear()
        self.status, self._left, self._tail = 0, None, b""
        self.first_s = self._last_s = self.gap_s = 0.0
        self.chunks = 0
        self._done = asyncio.get_running_loop().create_future()
        self.transport.write(message)
        return await self._done

    def data_received(self, data: bytes) -> None:
        now_s = time.perf_counter()
        if not self._tail and self._left is None:
            self._head += data
            head, found, data = bytes(self._head).partition(b"\r\n\r\n")
            if not found:
                return
            self._begin(head)
        self._count(data, now_s)
        if self._left is not None:
            self._left -= len(data)
            if self._left <= 0:
                self._end(good=self.status == 200)
            return
        self._tail = (self._tail + data)[-len(END) :] or b"-"
        if self._tail == END:
            self._end(good=self.status == 200)

    def _begin(self, head: bytes) -> None:
        self.status = int(head[9:12])
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        self._left = int(length) if length else None

    def _count(self, data: bytes, now_s: float) -> None:
        words = data.count(b'"content"')
        if not words:
            return
        self.chunks += words
        if self._last_s:
            self.gap_s = max(self.gap_s, now_s - self._last_s)
        else:
            self.first_s = now_s
        self._last_s = now_s

    def _end(self, *, good: bool) -> None:
        done, self._done = self._done, None
        if done is not None and not done.done():
            done.set_result(good)


class Caller:
    """Asks over one connection after the other, each as long as it lasts."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.reader: Reader | None = None

    async def ask(self, message: bytes) -> bool:
        try:
            return await asyncio.wait_for(self._asked(message), TIMEOUT_S)
        except (OSError, TimeoutError):
            self.close()
            return False

    async def _asked(self, message: bytes) -> bool:
        if self.reader is None or self.reader.transport is None:
            loop = asyncio.get_running_loop()
            _, self.reader = await loop.create_connection(Reader, "127.0.0.1", self._port)
        return await self.reader.ask(message)

    def close(self) -> None:
        if self.reader is not None and self.reader.transport is not None:
            self.reader.transport.close()
        self.reader = None


async def closed_loop(port: int, message: bytes, callers: int, seconds: float) -> Taken:
    """Each of `callers` asks again as soon as it has its answer."""
    taken = Taken()
    began = time.perf_counter()

    async def ask() -> None:
        caller = Caller(port)
        while (start := time.perf_counter()) < began + seconds:
            if await caller.ask(message):
                taken.ms.append((time.perf_counter() - start) * 1000)
            else:
                taken.failed += 1
        caller.close()

    await asyncio.gather(*(ask() for _ in range(callers)))
    taken.seconds = time.perf_counter() - began
    return taken


async def open_loop(port: int, message: bytes, per_second: float, seconds: float) -> Taken:
    """A request every 1/per_second, whether or not the earlier ones are answered; timed from when it was due."""
    taken, idle = Taken(), list[Caller]()
    began = time.perf_counter()

    async def ask(due: float) -> None:
        caller = idle.pop() if idle else Caller(port)
        if await caller.ask(message):
            taken.ms.append((time.perf_counter() - due) * 1000)
            idle.append(caller)
        else:
            taken.failed += 1
            caller.close()

    tasks = []
    for number in range(int(per_second * seconds)):
        due = began + number / per_second
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(ask(due)))
    await asyncio.gather(*tasks)
    for caller in idle:
        caller.close()
    taken.seconds = time.perf_counter() - began
    return taken


async def streams(port: int, message: bytes, count: int, seconds: float) -> Taken:
    """`count` streams at a time, begun evenly; `ms` is the time to the first token."""
    taken = Taken()
    began = time.perf_counter()

    async def ask() -> None:
        caller = Caller(port)
        await asyncio.sleep(random.random() * SPREAD_S)
        while (start := time.perf_counter()) < began + SPREAD_S + seconds:
            good = await caller.ask(message)
            reader = caller.reader
            taken.failed += not good
            if good and reader is not None and reader.chunks:
                taken.chunks += reader.chunks
                taken.ms.append((reader.first_s - start) * 1000)
                taken.gaps_ms.append(reader.gap_s * 1000)
            elif not good:
                caller.close()
                await asyncio.sleep(0.1)  # one that refuses is not to be asked as fast as can be
        caller.close()

    await asyncio.gather(*(ask() for _ in range(count)))
    taken.seconds = time.perf_counter() - began
    return taken
