"""Load, as light as Python can make it: raw HTTP over kept connections, in one asyncio process."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

KEY = "bench"
END = b"0\r\n\r\n"


@dataclass
class Taken:
    """Milliseconds of each request (of a stream: until its first token), chunks read, and how many failed."""

    ms: list[float] = field(default_factory=list)
    chunks: int = 0
    failed: int = 0
    seconds: float = 0.0

    def percentile(self, share: float) -> float:
        ordered = sorted(self.ms)
        return ordered[int(share * (len(ordered) - 1))] if ordered else float("nan")

    @property
    def per_second(self) -> float:
        return len(self.ms) / self.seconds if self.seconds else 0.0


def request(path: str, model: str, *, stream: bool, headers: Mapping[str, str] | None = None) -> bytes:
    messages = [{"role": "user", "content": "What is a mutex? Answer in one sentence."}]
    body = json.dumps({"model": model, "messages": messages, "stream": stream}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return f"{head}{more}\r\n".encode() + body


class Caller:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def plain(self, message: bytes) -> bool:
        reader = await self._send(message)
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        if b"content-length: " in lower:
            await reader.readexactly(int(lower.split(b"content-length: ")[1].split(b"\r\n")[0]))
        else:
            await reader.readuntil(END)
        return b" 200 " in head[:16]

    async def stream(self, message: bytes, began: float, taken: Taken) -> bool:
        reader = await self._send(message)
        head = await reader.readuntil(b"\r\n\r\n")
        first, tail = True, b""
        while not tail.endswith(END):
            data = await reader.read(65536)
            if not data:
                self.close()
                return False
            taken.chunks += data.count(b'"content"')
            if first and b"word" in data:
                taken.ms.append((time.perf_counter() - began) * 1000)
                first = False
            tail = (tail + data)[-len(END) :]
        return b" 200 " in head[:16]

    async def _send(self, message: bytes) -> asyncio.StreamReader:
        if self._pair is None:
            self._pair = await asyncio.open_connection("127.0.0.1", self._port)
        self._pair[1].write(message)
        return self._pair[0]

    def close(self) -> None:
        if self._pair is not None:
            self._pair[1].close()
            self._pair = None


LOST = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


async def closed_loop(port: int, message: bytes, callers: int, seconds: float) -> Taken:
    """Each of `callers` asks again as soon as it has its answer."""
    taken = Taken()
    began = time.perf_counter()
    end = began + seconds

    async def ask() -> None:
        caller = Caller(port)
        while (start := time.perf_counter()) < end:
            try:
                good = await caller.plain(message)
            except LOST:
                good = False
                caller.close()
            if good:
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
        try:
            good = await asyncio.wait_for(caller.plain(message), 30)
        except (*LOST, TimeoutError):
            good = False
            caller.close()
        if good:
            taken.ms.append((time.perf_counter() - due) * 1000)
            idle.append(caller)
        else:
            taken.failed += 1

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
    end = began + seconds

    async def ask() -> None:
        caller = Caller(port)
        await asyncio.sleep(random.random())
        while (start := time.perf_counter()) < end:
            try:
                good = await asyncio.wait_for(caller.stream(message, start, taken), 60)
            except (*LOST, TimeoutError):
                good = False
                caller.close()
            taken.failed += not good
        caller.close()

    await asyncio.gather(*(ask() for _ in range(count)))
    taken.seconds = time.perf_counter() - began
    return taken


def median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
