"""What a call through the client costs over a raw pooled urllib3 request: `python -m tests.bench client`.

Both talk to the same server in a process of its own, taking turns, so that the host's speed cancels out.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
from multiprocessing.connection import Connection
from time import perf_counter

import urllib3

from app.providers.client import Client, Pool
from tests.providers.calls import HELLO, KEY, endpoint
from tests.providers.server import Server, whole

CALLS = 2_000
TEXT = "x" * 700
USAGE = {"prompt_tokens": 9, "completion_tokens": 175, "total_tokens": 184}
#: 1 kB, as OpenAI sends it
PLAIN = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
).encode()


def serve(tell: Connection) -> None:
    limits = {f"x-ratelimit-{name}": "10000" for name in ("limit-requests", "limit-tokens", "remaining-requests")}
    with Server(lambda _: whole(200, {"content-type": "application/json", **limits}, PLAIN)) as server:
        tell.send(server.url)
        tell.recv()


def main() -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    url = ours.recv()
    client, target, raw = Client(Pool(4)), endpoint(url), urllib3.PoolManager(maxsize=4, retries=False)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    times_ms: dict[str, list[float]] = {"raw urllib3": [], "client": []}
    for _ in range(CALLS):
        started = perf_counter()
        json.loads(raw.urlopen("POST", f"{url}/chat/completions", body=body, headers=headers).data)
        times_ms["raw urllib3"].append((perf_counter() - started) * 1000)
        started = perf_counter()
        client.complete(target, "m", HELLO, timeout_ms=10_000)
        times_ms["client"].append((perf_counter() - started) * 1000)
    ours.send("done")
    process.join()
    medians = {name: statistics.median(values[100:]) for name, values in times_ms.items()}
    for name, median in medians.items():
        print(f"{name:12} {median:.3f} ms")
    print(f"overhead     {medians['client'] - medians['raw urllib3']:.3f} ms, median of {CALLS - 100} calls each")


if __name__ == "__main__":
    main()
