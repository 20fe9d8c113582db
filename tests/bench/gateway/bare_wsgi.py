"""The least a gateway in Python can do: a WSGI callable that hands the body on by libcurl, and the answer back.

Runs in an environment of its own, with pycurl. A plain answer takes one easy handle per thread, which waits without the
interpreter's lock; a stream a plain socket, whose pieces are handed on as they come, framing and all undone by hand.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pycurl

URL = os.environ["BENCH_UPSTREAM"] + "/chat/completions"
PLACE = urlsplit(URL)
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
_mine = threading.local()


def create() -> Callable[[dict[str, Any], StartResponse], Iterator[bytes] | list[bytes]]:
    return hand_on


def hand_on(environment: dict[str, Any], start: StartResponse) -> Iterator[bytes] | list[bytes]:
    body = environment["wsgi.input"].read()
    if b'"stream": true' in body[-4096:] or b'"stream": true' in body[:4096]:
        start("200 OK", [("Content-Type", "text/event-stream")])
        return _streamed(body)
    handle, answer = _handle(), BytesIO()
    handle.setopt(pycurl.POSTFIELDS, body)
    handle.setopt(pycurl.WRITEDATA, answer)
    try:
        handle.perform()
    except pycurl.error:
        start("502 Bad Gateway", [("Content-Length", "0")])
        return []
    data = answer.getvalue()
    start(f"{handle.getinfo(pycurl.RESPONSE_CODE)} OK", _plain(len(data)))
    return [data]


def _plain(length: int) -> list[tuple[str, str]]:
    return [("Content-Type", "application/json"), ("Content-Length", str(length))]


def _handle() -> pycurl.Curl:
    if not hasattr(_mine, "handle"):
        _mine.handle = handle = pycurl.Curl()
        handle.setopt(pycurl.URL, URL)
        handle.setopt(pycurl.HTTPHEADER, ["Content-Type: application/json", "Expect:"])
        handle.setopt(pycurl.NOSIGNAL, 1)
    return _mine.handle  # type: ignore[no-any-return]  # a thread-local has no types


def _streamed(body: bytes) -> Iterator[bytes]:
    head = f"POST {PLACE.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection((PLACE.hostname, PLACE.port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(head + body)
        seen = b""
        while b"\r\n\r\n" not in seen:
            seen += sock.recv(65536)
        yield from _chunks(sock, seen.partition(b"\r\n\r\n")[2])


def _chunks(sock: socket.socket, waiting: bytes) -> Iterator[bytes]:
    """Each HTTP chunk that has come whole."""
    while True:
        size, found, rest = waiting.partition(b"\r\n")
        if found and len(rest) >= (length := int(size, 16)) + 2:
            if not length:
                return
            yield rest[:length]
            waiting = rest[length + 2 :]
        elif data := sock.recv(65536):
            waiting += data
        else:
            return
