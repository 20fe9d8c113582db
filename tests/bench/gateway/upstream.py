"""A provider that costs next to nothing: OpenAI chat completions of fixed bytes, after a fixed delay.

python -m tests.bench.gateway.upstream PORT DELAY_MS GAP_MS. A stream is CHUNKS chunks, one each GAP_MS. It runs in
uvloop: no registry has a compiled server that streams at a pace. Plain answers without delay are nginx's, where that is
installed (Debian, Ubuntu: apt install nginx-light): see upstreams.py.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import cast

import uvloop

CHUNKS = 40
GAP_MS = 20.0
HEAD = {"id": "chatcmpl-bench", "created": 1735689600, "model": "bench"}
USAGE = {"prompt_tokens": 12, "completion_tokens": CHUNKS, "total_tokens": 12 + CHUNKS}


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + _json({**HEAD, "object": "chat.completion.chunk", "choices": [choice]}) + b"\n\n"


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_MESSAGE = {"role": "assistant", "content": "A mutex lets one thread at a time into a section of the code. " * 3}
_CHOICE = {"index": 0, "message": _MESSAGE, "finish_reason": "stop"}
BODY = _json({**HEAD, "object": "chat.completion", "choices": [_CHOICE], "usage": USAGE})
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
BEGIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FIRST = _http_chunk(_chunk({"role": "assistant", "content": "word "}))
NEXT = _http_chunk(_chunk({"content": "word "}))
_LAST = _chunk({}, "stop") + b"data: " + _json({**HEAD, "choices": [], "usage": USAGE}) + b"\n\ndata: [DONE]\n\n"
LAST = _http_chunk(_LAST) + b"0\r\n\r\n"
#: asked for in so many words, an answer that no socket's buffers hold
LONG_ASKED = b"A long answer, please."
_LONG_CHOICE = {"index": 0, "message": {"role": "assistant", "content": "word " * 800_000}, "finish_reason": "stop"}
LONG_BODY = _json({**HEAD, "object": "chat.completion", "choices": [_LONG_CHOICE], "usage": USAGE})
LONG = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(LONG_BODY) + LONG_BODY
#: bytes searched for what is asked, at either end of a request: a long one is not read for it
LOOKED_AT = 4096


class Upstream(asyncio.Protocol):
    def __init__(self, delay_s: float, gap_s: float) -> None:
        self.delay_s, self.gap_s = delay_s, gap_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self.loop = asyncio.get_running_loop()
        self.waiting = bytearray()
        #: bytes that a whole request has; 0 until its head is there
        self.needed = 0

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        if not self.needed:
            head_ends = self.waiting.find(b"\r\n\r\n")
            if head_ends < 0:
                return
            head = bytes(self.waiting[:head_ends]).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            self.needed = head_ends + 4 + length
        if len(self.waiting) < self.needed:
            return
        ends = bytes(self.waiting[:LOOKED_AT]), bytes(self.waiting[: self.needed][-LOOKED_AT:])
        del self.waiting[: self.needed]
        self.needed = 0
        self._later(self._step(ends))

    def _step(self, ends: tuple[bytes, bytes]) -> Callable[[], None]:
        if any(asked in part for asked in (b'"stream": true', b'"stream":true') for part in ends):
            return self._begin
        return self._long if LONG_ASKED in ends[0] else self._plain

    def _later(self, step: Callable[[], None]) -> None:
        if self.delay_s:
            self.loop.call_later(self.delay_s, step)
        else:
            step()

    def _plain(self) -> None:
        self.transport.write(PLAIN)

    def _long(self) -> None:
        self.transport.write(LONG)

    def _begin(self) -> None:
        self.transport.write(BEGIN + FIRST)
        self._next(self.loop.time() + self.gap_s, 1)

    def _next(self, due_s: float, sent: int) -> None:
        self.loop.call_at(due_s, self._go_on, due_s, sent)

    def _go_on(self, due_s: float, sent: int) -> None:
        if self.transport.is_closing():
            return
        if sent == CHUNKS:
            self.transport.write(LAST)
            return
        self.transport.write(NEXT)
        self._next(due_s + self.gap_s, sent + 1)


async def serve(port: int, delay_s: float, gap_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(delay_s, gap_s), "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000, float(sys.argv[3]) / 1000))
