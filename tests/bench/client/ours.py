"""Our client, as bytes (app/providers/http) and JSON; `whole` is all of Client.complete.

python -m tests.bench.client.ours KIND URL THREADS SECONDS, where KIND is plain, whole or stream.
"""

from __future__ import annotations

import json

from app.providers.client import Client
from app.providers.http import framing
from app.providers.http.clock import Call
from app.providers.http.connections import Pool
from tests.bench.client import loop
from tests.providers.calls import HELLO, KEY, endpoint

HEADERS = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
TIMEOUT_MS = 20_000
IDLE_MS = 10_000


def main() -> None:
    kind, url, threads, seconds = loop.arguments()
    pool = Pool(threads)
    client, target = Client(pool), endpoint(url)

    def plain() -> int:
        response = framing.send(pool, Call(TIMEOUT_MS), "POST", f"{url}/chat/completions", HEADERS, loop.BODY)
        json.loads(b"".join(response.pieces()))
        return 1

    def whole() -> int:
        client.complete(target, "m", HELLO, timeout_ms=TIMEOUT_MS)
        return 1

    def stream() -> int:
        call = Call(TIMEOUT_MS, idle_ms=IDLE_MS)
        response = framing.send(pool, call, "POST", f"{url}/chat/completions", HEADERS, loop.STREAM_BODY)
        call.begin()
        return sum(1 for _ in response.pieces(stream=True))

    loop.measure(lambda: {"plain": plain, "whole": whole, "stream": stream}[kind], threads, seconds)


if __name__ == "__main__":
    main()
