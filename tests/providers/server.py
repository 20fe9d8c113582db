"""A small HTTP server over raw sockets: what it sends, and how it cuts it, is up to the test."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.support import bodies


class Hangup(Exception):
    """Raised by an answer: close the connection here; `reset` with RST instead of FIN."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = Callable[[Received], Iterable[bytes]]


class Server:
    """Serves `answer` on loopback, one thread per connection. Each bytes of an answer is one send."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self.connections = 0
        #: set when the test is over: what an answer waits on instead of sleeping
        self.closing = threading.Event()
        #: set when a client has gone away in the middle of an answer
        self.deserted = threading.Event()
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        scheme = "https" if self._context else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        for sock in (self._listener, *self._open):
            _shut(sock)

    def trickle(self, piece: bytes, *, every_s: float = 0.02, times: int = 500) -> Iterator[bytes]:
        """The same piece again and again, for ten seconds at most."""
        for _ in range(times):
            yield piece
            if self.closing.wait(every_s):
                return

    def silence(self) -> Iterator[bytes]:
        """Nothing, for ten seconds at most."""
        self.closing.wait(10)
        yield from ()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
            with sock.makefile("rb") as stream:
                while (request := _read(stream)) is not None:
                    self.received.append(request)
                    bodies.note(request.path, request.headers, request.body)
                    for piece in self.answer(request):
                        sock.sendall(piece)
        except Hangup as hangup:
            if hangup.reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
        except OSError:
            self.deserted.set()
        finally:
            _shut(sock)


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it never was connected, or is closed
    finally:
        sock.close()


def _read(stream: Any) -> Received | None:
    start = stream.readline().decode("latin-1").split()
    if len(start) != 3:
        return None
    headers = {}
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Received(start[0], start[1], headers, body)


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Anything\r\n{lines}\r\n".encode("latin-1")


def whole(status: int, headers: Mapping[str, str], body: bytes) -> list[bytes]:
    """A response of one piece."""
    framing = {"content-length": str(len(body))}
    return [head(status, _without_framing(headers) | framing) + body]


def chunked(pieces: Iterable[bytes], headers: Mapping[str, str] | None = None, *, end: bool = True) -> Iterator[bytes]:
    """A 200 in chunks, one send each; without `end` the last chunk that HTTP wants is missing."""
    kept = _without_framing(headers or {"content-type": "text/event-stream"})
    yield head(200, kept | {"transfer-encoding": "chunked"})
    for piece in pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    if end:
        yield b"0\r\n\r\n"


def _without_framing(headers: Mapping[str, str]) -> dict[str, str]:
    framing = {"transfer-encoding", "content-length", "connection", "content-encoding"}
    return {name: value for name, value in headers.items() if name.lower() not in framing}
