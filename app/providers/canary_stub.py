"""A server of known delay, for canary calls: a program of its own, `python -I canary_stub.py DELAY_MS`.

Writes its port as the first line of stdout; ends when stdin does, so it never outlives the worker that started it.
Speaks as much of the OpenAI wire format as one streamed answer takes. The answer's text is the time that passed between
the last byte of the request and the first of the answer, in ms by this process's own clock: the true latency, whatever
the machine did to the delay. It imports nothing of the application.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from time import perf_counter

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n"


class Stub(asyncio.Protocol):
    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        now_s = perf_counter()
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank or len(body) < _length(head):
            return
        self._received = b""
        if head.startswith(b"POST"):
            asyncio.get_running_loop().call_later(self._delay_s, self._answer, now_s)
        else:  # a warm-up
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    def _answer(self, received_s: float) -> None:
        if self._transport.is_closing():
            return
        true_ms = (perf_counter() - received_s) * 1000
        body = "".join(f"data: {event}\n\n" for event in (*map(json.dumps, _events(f"{true_ms:.3f}")), "[DONE]"))
        self._transport.write((HEAD.format(len(body)) + body).encode())


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _events(text: str) -> list[dict[str, object]]:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    start = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return [{"model": "canary", "choices": [start]}, {"model": "canary", "choices": [end], "usage": usage}]


async def serve(delay_ms: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Stub(delay_ms / 1000), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()  # to its end: the worker is gone


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is meant for the worker, which ends us
        asyncio.run(serve(float(sys.argv[1])))
