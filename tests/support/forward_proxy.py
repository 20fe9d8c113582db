"""A real little forward proxy: CONNECT, and requests in absolute form, which it hands on to loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

BAD_GATEWAY = 502


class ForwardProxy:
    """`leads` says which port of loopback is behind each host that it knows; others get 502."""

    def __init__(self, leads: Mapping[str, int], *, says: bytes | None = None, authorization: str = "") -> None:
        self.leads = dict(leads)
        #: instead of a tunnel; b"": it closes
        self.says = says
        self.authorization = authorization
        #: head of each request that it got, as it came
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._listener, *self._open):
            _shut(sock)

    @property
    def first_lines(self) -> list[str]:
        return [head.partition("\r\n")[0] for head in self.heads]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            head, rest = _head(sock)
            self.heads.append(head)
            answer, upstream = self._answer(head)
            sock.sendall(answer)
            if upstream is None:
                _shut(sock)
                return
            self._open.append(upstream)
            if not head.startswith("CONNECT"):
                upstream.sendall(_from_origin(head) + rest)
            threading.Thread(target=_pump, args=(upstream, sock), daemon=True).start()
            _pump(sock, upstream)
        except OSError:
            _shut(sock)

    def _answer(self, head: str) -> tuple[bytes, socket.socket | None]:
        if self.says is not None:
            return self.says, None
        if self.authorization and f"Proxy-Authorization: {self.authorization}\r\n" not in head:
            return b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", None
        method, target, _ = head.partition("\r\n")[0].split()
        host = target.rpartition(":")[0] if method == "CONNECT" else urlsplit(target).hostname
        if host not in self.leads:
            return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", None
        upstream = socket.create_connection(("127.0.0.1", self.leads[host]))
        return b"HTTP/1.1 200 Connection established\r\n\r\n" if method == "CONNECT" else b"", upstream


def _head(sock: socket.socket) -> tuple[str, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := sock.recv(65536)):
            raise ConnectionError("it went away")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return f"{head.decode('latin-1')}\r\n", rest


def _from_origin(head: str) -> bytes:
    """Without what was for the proxy alone."""
    lines = [line for line in head.split("\r\n") if line and not line.startswith("Proxy-Authorization:")]
    method, target, version = lines[0].split()
    return "\r\n".join((f"{method} {urlsplit(target).path} {version}", *lines[1:], "", "")).encode("latin-1")


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass  # the other way has ended it
    finally:
        _shut(source)
        _shut(target)


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it never was connected, or is closed
    finally:
        sock.close()
