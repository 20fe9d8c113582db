"""A request from its server's side, and who waits for its answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Protocol

Headers = list[tuple[str, str]]


class Sent(Protocol):
    def __await__(self) -> Iterator[None]: ...


class Stream(Protocol):
    def send_bytes(self, data: bytes) -> Sent: ...


class Exchange(Protocol):
    """The server's side of one request; it may be answered in any thread."""

    def __call__(self) -> Awaitable[bytes]: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def client_disconnect(self) -> Awaitable[None]: ...
    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None: ...
    def response_stream(self, status: int, headers: Headers) -> Stream: ...


class Client:
    """Who waits for an answer: one that comes in one piece has none at which it would show that they have left."""

    __slots__ = ("_callback", "_left", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = False
        self._callback: Callable[[], None] | None = None

    def on_leave(self, callback: Callable[[], None]) -> None:
        """To be called when they leave, or now where they have; in another thread."""
        with self._lock:
            self._callback = callback
        if self._left:
            callback()

    def leave(self) -> None:
        with self._lock:
            self._left, callback = True, self._callback
        if callback is not None:
            callback()


class Watch:
    """Over one client, from when an answer takes longer than most; `end` it."""

    __slots__ = ("_task", "began_s", "client", "ended", "exchange", "loop", "relayed")

    def __init__(self, exchange: Exchange) -> None:
        self.client = Client()
        self.exchange = exchange
        self.loop = asyncio.get_running_loop()
        self.began_s = self.loop.time()
        #: the answer has been sent
        self.ended = False
        #: ends when the relay has sent the rest of the answer; None: there is nothing that it sends
        self.relayed: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        if not self.ended:
            self._task = self.loop.create_task(self._wait())

    async def _wait(self) -> None:
        await self.exchange.client_disconnect()
        if not self.ended:
            self.client.leave()

    def end(self) -> None:
        self.ended = True
        if self._task is not None:
            self._task.cancel()
