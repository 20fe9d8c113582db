"""A provider that costs next to nothing: OpenAI chat completions of fixed bytes, after a fixed delay.

python -m tests.bench.gateway.upstream PORT. `POST /delay` with a number of ms in the body sets the delay. A stream is
CHUNKS chunks, one each GAP_S.
"""

from __future__ import annotations

import asyncio
import json
import sys

CHUNKS = 40
GAP_S = 0.02
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
_BODY = _json({**HEAD, "object": "chat.completion", "choices": [_CHOICE], "usage": USAGE})
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY
BEGIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FIRST = _http_chunk(_chunk({"role": "assistant", "content": "word "}))
NEXT = _http_chunk(_chunk({"content": "word "}))
_LAST = _chunk({}, "stop") + b"data: " + _json({**HEAD, "choices": [], "usage": USAGE}) + b"\n\ndata: [DONE]\n\n"
LAST = _http_chunk(_LAST) + b"0\r\n\r\n"

_delay_s = [0.0]


class Upstream(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self.waiting = b""

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        head, found, body = self.waiting.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if len(body) < length:
            return
        self.waiting = body[length:]
        if head.startswith(b"POST /delay"):
            _delay_s[0] = float(body[:length]) / 1000
            self.transport.write(PLAIN)
        elif b'"stream": true' in body or b'"stream":true' in body:
            self._later(_delay_s[0], self._begin)
        else:
            self._later(_delay_s[0], lambda: self.transport.write(PLAIN))

    def _later(self, after_s: float, step: object) -> None:
        if after_s:
            self.loop.call_later(after_s, step)  # type: ignore[arg-type]  # any callable without arguments
        else:
            step()  # type: ignore[operator]  # as above

    def _begin(self) -> None:
        self.transport.write(BEGIN + FIRST)
        self.loop.call_later(GAP_S, self._go_on, 1)

    def _go_on(self, sent: int) -> None:
        if self.transport.is_closing():
            return
        if sent == CHUNKS:
            self.transport.write(LAST)
            return
        self.transport.write(NEXT)
        self.loop.call_later(GAP_S, self._go_on, sent + 1)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
