"""What libcurl does where a call is cancelled, where a limit passes, and with a provider's faults: behaviour.py TRIALS

In an environment of its own, with pycurl. Each row is one experiment, against a server of the tests that does what it
is told; what came out stands in docs/decisions.md.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO

import pycurl

from tests.providers.server import Hangup, Received, Server, chunked, whole

CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'


def handle(server: Server) -> tuple[pycurl.Curl, BytesIO]:
    curl, body = pycurl.Curl(), BytesIO()
    curl.setopt(pycurl.URL, f"{server.url}/chat/completions")
    curl.setopt(pycurl.POSTFIELDS, b"{}")
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.NOPROXY, "*")
    curl.setopt(pycurl.WRITEDATA, body)
    return curl, body


def perform(curl: pycurl.Curl) -> str:
    try:
        curl.perform()
    except pycurl.error as error:
        return f"error {error.args[0]}: {error.args[1]}"
    return f"status {curl.getinfo(pycurl.RESPONSE_CODE)}"


def cancelled(prepare: Callable[[pycurl.Curl], Callable[[], None]], server: Server) -> float:
    """ms from the other thread's word until perform() is back, while the server is silent."""
    curl, _ = handle(server)
    cancel, arrived, said_s = prepare(curl), threading.Event(), [0.0]

    def silent(_: Received) -> Iterator[bytes]:
        arrived.set()
        yield from server.silence()

    def other() -> None:
        arrived.wait(10)
        time.sleep(random.uniform(0.3, 1.5))
        said_s[0] = time.perf_counter()
        cancel()

    server.answer = silent
    thread = threading.Thread(target=other)
    thread.start()
    perform(curl)
    ended_s = time.perf_counter()
    thread.join()
    return (ended_s - said_s[0]) * 1000


def by_progress(curl: pycurl.Curl) -> Callable[[], None]:
    stop = threading.Event()
    curl.setopt(pycurl.NOPROGRESS, 0)
    curl.setopt(pycurl.XFERINFOFUNCTION, lambda *_: int(stop.is_set()))
    return stop.set


def by_shutdown(curl: pycurl.Curl) -> Callable[[], None]:
    """Our own way, by a copy of the socket that libcurl is given."""
    copies: list[socket.socket] = []

    def opened(_purpose: int, address: object) -> socket.socket:
        made = socket.socket(address.family, address.socktype, address.protocol)  # type: ignore[attr-defined]  # pycurl's
        copies.append(socket.socket(fileno=os.dup(made.fileno())))
        return made

    curl.setopt(pycurl.OPENSOCKETFUNCTION, opened)
    return lambda: copies[-1].shutdown(socket.SHUT_RDWR)


def limits(server: Server, trials: int) -> None:
    server.answer = lambda _: server.silence()
    for ms in (300, 2_000):
        late = [
            _took(server, lambda curl, ms=ms: curl.setopt(pycurl.TIMEOUT_MS, ms))[0] - ms
            for _ in range(trials // 3 or 1)
        ]
        print(f"total limit of {ms} ms (TIMEOUT_MS): ends {min(late):.1f} to {max(late):.1f} ms late")

    def silent_after(_: Received) -> Iterator[bytes]:
        yield from _cut(3)
        yield from server.silence()

    server.answer = silent_after

    def slow(curl: pycurl.Curl) -> None:
        curl.setopt(pycurl.LOW_SPEED_LIMIT, 1)
        curl.setopt(pycurl.LOW_SPEED_TIME, 2)

    took, said = zip(*(_took(server, slow) for _ in range(trials // 3 or 1)), strict=True)
    print(
        f"silence of 2 s (LOW_SPEED_TIME, whole seconds): ends after {min(took):.0f} to {max(took):.0f} ms: {said[0]}"
    )


def _took(server: Server, prepare: Callable[[pycurl.Curl], object]) -> tuple[float, str]:
    curl, _ = handle(server)
    prepare(curl)
    began_s = time.perf_counter()
    said = perform(curl)
    return (time.perf_counter() - began_s) * 1000, said


def timers(server: Server, trials: int) -> None:
    """Of an answer that takes 100 ms, by the server's own clock."""
    held_ms = [0.0]

    def late(_: Received) -> Iterator[bytes]:
        began_s = time.perf_counter()
        server.closing.wait(0.1)
        held_ms[0] = (time.perf_counter() - began_s) * 1000
        yield from whole(200, {}, b"{}")

    server.answer, curl = late, handle(server)[0]
    off = []
    for _ in range(trials):
        perform(curl)
        waited_s = curl.getinfo(pycurl.STARTTRANSFER_TIME) - curl.getinfo(pycurl.PRETRANSFER_TIME)
        off.append(waited_s * 1000 - held_ms[0])
    print(
        f"first byte less request sent, by libcurl's timers: {min(off):.2f} to {max(off):.2f} ms over the server's own"
    )


def _cut(count: int) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(count):
        yield b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK)


def faults(server: Server) -> None:
    """Those of the sixteen that reach a client below the status; the others are read above it, whatever the client."""

    def reset(_: Received) -> Iterator[bytes]:
        raise Hangup(reset=True)
        yield b""

    def short(_: Received) -> Iterator[bytes]:
        yield from _cut(3)
        raise Hangup

    def reset_within(_: Received) -> Iterator[bytes]:
        yield from _cut(3)
        raise Hangup(reset=True)

    def no_http(_: Received) -> Iterator[bytes]:
        yield b"nonsense\r\n\r\n"
        raise Hangup

    rows: dict[str, Callable[[Received], Iterator[bytes]]] = {
        "S05 reset before any byte": reset,
        "S06 silent for ever (TIMEOUT_MS 500)": lambda _: server.silence(),
        "S08 closed within the chunks": short,
        "    reset within the chunks": reset_within,
        "S11 whole, and no [DONE]": lambda _: iter(chunked([CHUNK])),
        "    no HTTP": no_http,
        "S04 503": lambda _: iter(whole(503, {}, b"{}")),
    }
    for name, answer in rows.items():
        server.answer = answer
        curl, body = handle(server)
        curl.setopt(pycurl.TIMEOUT_MS, 500)
        said = perform(curl)
        print(f"{name:<38} {len(body.getvalue()):>4} bytes, {said}")


def stale(server: Server) -> None:
    """A kept connection that the provider closes: is the request sent again, and how often does it get there?"""
    seen = [0]

    def answer(_: Received) -> Iterator[bytes]:
        seen[0] += 1
        if seen[0] == 2:
            raise Hangup(reset=True)
        yield from whole(200, {}, b"{}")

    server.answer = answer
    curl, _ = handle(server)
    perform(curl)
    print(f"a kept connection that is reset by the next request: {perform(curl)}; the server saw {seen[0]} requests")


def store() -> None:
    said: list[str] = []
    curl = pycurl.Curl()
    curl.setopt(pycurl.VERBOSE, 1)
    curl.setopt(pycurl.DEBUGFUNCTION, lambda _, text: said.append(text.decode(errors="replace").strip()))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        curl.setopt(pycurl.URL, f"https://127.0.0.1:{listener.getsockname()[1]}")
        curl.setopt(pycurl.NOPROXY, "*")
        curl.setopt(pycurl.TIMEOUT_MS, 300)
        with suppress(pycurl.error):
            curl.perform()
    found = [line for text in said for line in text.splitlines() if "CAfile" in line or "CApath" in line]
    has = {name: bool(pycurl.version_info()[4] & getattr(pycurl, name)) for name in ("VERSION_HTTP2", "VERSION_HTTP3")}
    print(f"{pycurl.version}\n{has}; certificates: {'; '.join(found) or 'no store found'}")
    print(f"multi can be woken (curl_multi_wakeup): {hasattr(pycurl.CurlMulti(), 'wakeup')}")


def main() -> None:
    trials = int(sys.argv[1])
    print()
    store()
    with Server(lambda _: whole(200, {}, b"{}")) as server:
        for name, prepare in {"progress callback": by_progress, "shutdown of a copied socket": by_shutdown}.items():
            took = sorted(cancelled(prepare, server) for _ in range(trials))
            print(f"cancelled while it waits, {name}: median {took[len(took) // 2]:.1f} ms, at most {took[-1]:.1f} ms")
        limits(server, trials)
        timers(server, trials)
        faults(server)
        stale(server)


if __name__ == "__main__":
    main()
