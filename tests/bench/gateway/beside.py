"""What other callers do while small requests are measured.

python -m tests.bench.gateway.beside KIND PORT PATH MODEL HEADERS

Says "ready STATUS" once it stands, and goes on until it is ended. KIND is one of KINDS. HEADERS is JSON.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import uvloop

from tests.bench.gateway import load, upstream
from tests.bench.gateway.processes import ROOT, Server

#: of the body that is one prompt; of the context of some 100,000 tokens in turns
BODY_MB, TURNS, TURN_CHARACTERS = 20, 200, 2_000
SLOW_READERS, SLOW_BYTES_PER_S = 8, 50_000
OPEN_STREAMS = 500
#: between the chunks of each; 5,000 a second in all
OPEN_GAP_MS = 100.0


async def _again(server: Server, body: bytes) -> None:
    """One caller, over and over."""
    message = server.message(body)
    caller = load.Caller(server.port)
    await caller.ask(message)
    _ready(0 if caller.reader is None else caller.reader.status)
    while True:
        await caller.ask(message)


async def _body(server: Server) -> None:
    await _again(server, load.chat(server.model, stream=False, content="x" * (BODY_MB * 1_000_000)))


async def _context(server: Server) -> None:
    await _again(
        server, load.chat(server.model, stream=False, content="word " * (TURN_CHARACTERS // 5), turns=TURNS + 1)
    )


async def _slow(server: Server) -> None:
    message = server.message(load.chat(server.model, stream=False, content=upstream.LONG_ASKED.decode()))
    statuses = await asyncio.gather(*(_read_slowly(server.port, message) for _ in range(SLOW_READERS)))
    _ready(min(status for status, _ in statuses))
    await asyncio.gather(*(task for _, task in statuses))


async def _read_slowly(port: int, message: bytes) -> tuple[int, asyncio.Task[None]]:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, message)
    head = await loop.sock_recv(sock, 1024)

    async def on() -> None:
        while await loop.sock_recv(sock, SLOW_BYTES_PER_S // 10):
            await asyncio.sleep(0.1)

    return int(head[9:12] or 0), asyncio.create_task(on())


async def _streams(server: Server) -> None:
    task = asyncio.create_task(load.streams(server.port, server.message(stream=True), OPEN_STREAMS, 3600))
    await asyncio.sleep(load.SPREAD_S + 1)
    _ready(200)
    await task


def _ready(status: int) -> None:
    print(f"ready {status}", flush=True)


KINDS: dict[str, Callable[[Server], Coroutine[Any, Any, None]]] = {
    f"a body of {BODY_MB} MB": _body,
    "100k tokens of context": _context,
    f"{SLOW_READERS} slow readers of 4 MB": _slow,
    f"{OPEN_STREAMS} open streams": _streams,
}


@contextmanager
def others(kind: str, server: Server) -> Iterator[int]:
    """While they are at it. Gives the status of their first answer, or 0."""
    command = [sys.executable, "-m", "tests.bench.gateway.beside", kind, str(server.port), server.path, server.model]
    command.append(json.dumps(dict(server.headers)))
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        word, _, status = process.stdout.readline().strip().partition(" ")
        yield int(status) if word == "ready" else 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        time.sleep(0.2)


def main(kind: str, port: str, path: str, model: str, headers: str) -> None:
    uvloop.run(KINDS[kind](Server("", int(port), path, model, headers=json.loads(headers))))


if __name__ == "__main__":
    main(*sys.argv[1:])
