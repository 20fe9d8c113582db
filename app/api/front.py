"""What stands between the server and the Flask application: it reads a request's body, then gives it a thread.

The server calls it in its event loop (RSGI): a body that does not come costs a few kilobytes and no thread, and its
time runs out. The application (WSGI) runs in threads and finds the whole body in memory.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from itertools import cycle
from typing import Any

from flask import request

from app.api import inflate, stopping
from app.api.bodies import Bodies
from app.api.edge import Environ, Wsgi
from app.api.peers import PEER, Connection
from app.api.relay import Relay, Relayed, Source
from app.api.sweep import Sweep
from app.api.threads import Threads
from app.api.watch import Exchange, Headers, Stream, Watch
from app.errors import InvalidRequest, TooLooError
from app.operations import beating

#: says whether anybody is still there to read it
Send = Callable[[bytes], bool]

#: key of the WSGI environment: an error that was met before the application; it answers with it
REFUSED = "tooloo.refused"
#: key of the WSGI environment: the Client
CLIENT = "tooloo.client"
#: s until it is looked at whether the client still waits: most answers are there sooner
WATCHED_AFTER_S = 0.5
#: threads that send streams on: each waits its turn for the interpreter's lock, its streams with it. One has too few
#: turns where many requests begin (largest gap of 400 streams 1.26 s; eight .49 s), 24 cost half as much CPU again
RELAYS = 8
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


class Front:
    """An RSGI application in front of a WSGI one; `threads` is how many requests it works on at once."""

    def __init__(self, app: Wsgi, threads: int, bodies: Bodies) -> None:
        self._app = app
        self._bodies = bodies
        self._threads = Threads(threads)
        self._relays = cycle([Relay() for _ in range(RELAYS)])
        #: in the order in which they began
        self._watches: deque[Watch] = deque()
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
        watch = Watch(exchange)
        self._watches.append(watch)
        self._sweep.need(watch.loop)
        try:
            await self._threads.run(partial(self._serve, scope, body, refused, watch))
            if watch.relayed is not None:
                await watch.relayed
        finally:
            watch.end()
            self._bodies.free(body)

    def _resume(self, rest: Callable[[], None], watch: Watch) -> None:
        """What the relay leaves to a thread."""
        assert watch.relayed is not None
        self._threads.start(rest, watch.relayed)
        self._sweep.need(watch.loop)

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

    def _serve(self, scope: Any, body: bytes, refused: TooLooError | None, watch: Watch) -> None:
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
        environ[PEER] = Connection(scope.client, scope.server)
        head = _Head()
        chunks = self._app(environ, head)
        is_relayed = False
        try:
            is_relayed = self._send(watch, head, chunks)
        finally:
            if not is_relayed:
                _end(chunks, watch)

    def _send(self, watch: Watch, head: _Head, chunks: Iterable[bytes]) -> bool:
        """In one piece where the application says how long it is, else piece by piece until the client leaves.

        True: the relay sends the rest.
        """
        pieces = iter(chunks)
        first = next(pieces, b"")
        if any(name.lower() == "content-length" for name, _ in head.headers):
            watch.exchange.response_bytes(head.status, head.headers, b"".join((first, *pieces)))
            return False
        stream = watch.exchange.response_stream(head.status, head.headers)
        if not _reaches(stream, first):
            return False
        source: Source | None = getattr(chunks, "source", None)
        if source is not None and source.relay():
            self._hand_over(watch, source, chunks, pieces, partial(_reaches, stream))
            return True
        _send_rest(pieces, partial(_reaches, stream))
        return False

    def _hand_over(
        self, watch: Watch, source: Source, chunks: Iterable[bytes], pieces: Iterator[bytes], send: Send
    ) -> None:
        """To the relay; at its end, back to a thread."""

        def rest(stream: Relayed) -> None:
            source.wait()
            try:
                if stream.raised is not None:
                    raise stream.raised
                if stream.is_read:
                    _send_rest(pieces, send)
            finally:
                _end(chunks, watch)

        def then(stream: Relayed) -> None:
            with suppress(RuntimeError):  # the loop has ended, and the process with it
                watch.loop.call_soon_threadsafe(self._resume, partial(rest, stream), watch)

        watch.relayed = watch.loop.create_future()
        next(self._relays).take(Relayed(source, pieces, send, then))


def answer_refused() -> None:
    """In the application, before it looks at a request: what was met before it, told as its own errors are."""
    if (error := request.environ.get(REFUSED)) is not None:
        raise error


class _Head:
    """WSGI's start_response."""

    __slots__ = ("headers", "status")

    def __call__(self, status: str, headers: Headers, exc_info: object = None) -> Callable[[bytes], None]:
        self.status, self.headers = int(status[:3]), headers
        return _write


def _write(_: bytes) -> None:
    raise NotImplementedError("an application that calls write() instead of returning its answer")


def _send_rest(pieces: Iterable[bytes], send: Send) -> None:
    for piece in pieces:
        if piece and not send(piece):
            return


def _end(chunks: Iterable[bytes], watch: Watch) -> None:
    try:
        if (close := getattr(chunks, "close", None)) is not None:
            close()
    finally:
        watch.ended = True


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
