"""What stands between the server and the Flask application: it reads a request's body, then gives it a thread.

The server calls it in its event loop (RSGI): a body that does not come costs a few kilobytes and no thread, and its
time runs out. The application (WSGI) runs in threads and finds the whole body in memory.
"""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Any, Protocol

from flask import request

from app.api import inflate, stopping
from app.api.bodies import Bodies
from app.api.edge import Environ, Wsgi
from app.api.sweep import Sweep
from app.api.threads import Threads
from app.errors import InvalidRequest, TooLooError
from app.operations import beating

Headers = list[tuple[str, str]]

#: key of the WSGI environment: an error that was met before the application; it answers with it
REFUSED = "tooloo.refused"
#: key of the WSGI environment: the Client
CLIENT = "tooloo.client"
#: s until it is looked at whether the client still waits: most answers are there sooner
WATCHED_AFTER_S = 0.5
#: s between two looks at what has ended, and at who has waited for so long
SWEEP_S = 0.1
#: headers that mean something here
READ = {
    *("authorization", "x-api-key", "x-goog-api-key", "x-request-id", "if-match", "last-event-id", "content-encoding"),
    *("x-tooloo-segment", "x-tooloo-parameters", "x-tooloo-whole-answers"),
    *("anthropic-version", "anthropic-beta"),
}
#: what is the same in every WSGI environment
_SAME: Environ = {
    "SCRIPT_NAME": "",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}


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


class Front:
    """An RSGI application in front of a WSGI one; `threads` is how many requests it works on at once."""

    def __init__(self, app: Wsgi, threads: int, bodies: Bodies) -> None:
        self._app = app
        self._bodies = bodies
        self._threads = Threads(threads)
        #: in the order in which they began
        self._watches: deque[_Watch] = deque()
        self._sweep = Sweep(SWEEP_S, self._look)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        stopping.watch()
        beating.begin(loop)

    async def __rsgi__(self, scope: Any, exchange: Exchange) -> None:
        body = b""
        refused: TooLooError | None = None
        try:
            body = await self._body(scope.headers, exchange)
        except TooLooError as error:
            refused = error
        watch = _Watch(exchange)
        self._watches.append(watch)
        self._sweep.need(watch.loop)
        try:
            await self._threads.run(partial(self._serve, scope, body, refused, watch))
        finally:
            watch.end()
            self._bodies.free(body)

    async def _body(self, headers: Any, exchange: Exchange) -> bytes:
        length = headers.get("content-length")
        if length is None and "transfer-encoding" not in headers:
            return b""
        return await self._bodies.read(exchange, None if length is None else int(length))

    def _look(self, now_s: float) -> bool:
        """After requests that have ended, and clients that have waited for long."""
        while self._watches and (self._watches[0].ended or self._watches[0].began_s + WATCHED_AFTER_S <= now_s):
            self._watches.popleft().begin()
        return self._threads.settle()

    def _serve(self, scope: Any, body: bytes, refused: TooLooError | None, watch: _Watch) -> None:
        """In a thread."""
        fields = scope.headers.items()
        environ = _environ(scope, fields)
        try:
            _check(scope.headers, fields)
        except TooLooError as error:
            refused = refused or error
        if refused is not None:
            environ[REFUSED] = refused
        environ[inflate.BODY] = body
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ[CLIENT] = watch.client
        head = _Head()
        chunks = self._app(environ, head)
        try:
            _send(watch.exchange, head, chunks)
        finally:
            if (close := getattr(chunks, "close", None)) is not None:
                close()
            watch.ended = True


def answer_refused() -> None:
    """In the application, before it looks at a request: what was met before it, told as its own errors are."""
    if (error := request.environ.get(REFUSED)) is not None:
        raise error


class _Watch:
    """Over one client, from when an answer takes longer than most; `end` it."""

    __slots__ = ("_task", "began_s", "client", "ended", "exchange", "loop")

    def __init__(self, exchange: Exchange) -> None:
        self.client = Client()
        self.exchange = exchange
        self.loop = asyncio.get_running_loop()
        self.began_s = self.loop.time()
        #: the answer has been sent
        self.ended = False
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


class _Head:
    """WSGI's start_response."""

    __slots__ = ("headers", "status")

    def __call__(self, status: str, headers: Headers, exc_info: object = None) -> Callable[[bytes], None]:
        self.status, self.headers = int(status[:3]), headers
        return _write


def _write(_: bytes) -> None:
    raise NotImplementedError("an application that calls write() instead of returning its answer")


def _send(exchange: Exchange, head: _Head, chunks: Iterable[bytes]) -> None:
    """In one piece where the application says how long it is, else piece by piece until the client leaves."""
    rest = iter(chunks)
    first = next(rest, b"")
    if any(name.lower() == "content-length" for name, _ in head.headers):
        exchange.response_bytes(head.status, head.headers, b"".join((first, *rest)))
        return
    stream = exchange.response_stream(head.status, head.headers)
    if _reaches(stream, first):
        for chunk in rest:
            if not _reaches(stream, chunk):
                return


def _reaches(stream: Stream, chunk: bytes) -> bool:
    """Whether somebody is still there to read it. The server takes it at once: what it returns has ended already."""
    try:
        next(stream.send_bytes(chunk).__await__(), None)
    except RuntimeError:
        return False
    return True


def _environ(scope: Any, fields: Headers) -> Environ:
    """PEP 3333's, with what Werkzeug reads."""
    server, _, port = scope.server.rpartition(":")
    environ = {
        **_SAME,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "wsgi.url_scheme": scope.scheme,
    }
    for header, value in fields:
        name = _name(header)
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    return environ


def _check(headers: Any, fields: Headers) -> None:
    """The server has a name and no value for a header that is not ASCII; those we read are not left out in silence."""
    names = headers.keys()
    if len(names) > len(fields):
        for name in READ & set(names):
            if headers.get(name) is None:
                raise InvalidRequest(f"the header {name} holds more than ASCII: no header can", field=name)


@lru_cache(maxsize=1000)
def _name(header: str) -> str:
    name = header.upper().replace("-", "_")
    return name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"
