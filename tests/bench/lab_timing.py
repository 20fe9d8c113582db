"""How exactly the lab keeps its times, as a table: python tests/bench/lab_timing.py [--concurrency 100] [--calls 3000]

The lab runs in a process of its own, every answer due a fixed time after the request. `server` is what the lab itself
saw: the last byte handed to the network, minus the time it was due. `client` is the time until the answer was whole,
minus the same, as seen by a client process on the same machine: it holds the client's own work too. Where other
programs want the same cores, `chrt -f 10 python …` (as root) measures the lab and not them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import time
from collections.abc import Sequence
from multiprocessing import Process
from pathlib import Path

import aiohttp

from app.config_files import load_providers
from app.lab.serve import serve
from app.lab.server import create_app
from tests.support.ports import free_port

CONFIG = Path(__file__).resolve().parents[2] / "config"
EXACT = {"sigma": 0, "error_rate": 0, "tokens_per_s": 1e9}
BODY = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


def run_lab(port: int) -> None:
    app = create_app(load_providers(CONFIG), (), lambda prompt, quality, rng, /, *, temperature: "Paris. " * 25)
    serve(app, "127.0.0.1", port, lambda: None)


async def measure(port: int, latency_ms: float, concurrency: int, calls: int, stream: bool) -> list[float]:
    """Error of each call in ms, by the client's clock."""
    url = f"http://127.0.0.1:{port}/lab/profiles/openai"
    async with aiohttp.ClientSession() as session, session.patch(url, json={**EXACT, "latency": latency_ms}) as answer:
        answer.raise_for_status()
    body = json.dumps({**BODY, "stream": stream}).encode()
    head = "POST /openai/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer bench\r\n"
    request = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    errors: list[float] = []
    left = iter(range(calls))

    async def caller() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            # callers of a fixed latency would otherwise fall into step and come all at once
            await asyncio.sleep(random.uniform(0, latency_ms / 4000))
            began = time.perf_counter()
            writer.write(request)
            await read_answer(reader)
            errors.append((time.perf_counter() - began) * 1000 - latency_ms)
        writer.close()

    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return errors


async def read_answer(reader: asyncio.StreamReader) -> None:
    """A client as light as can be: it shares two cores with what it measures."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b"chunked" in head:
        await reader.readuntil(b"\r\n0\r\n\r\n")
    else:
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))


async def server_side(port: int, calls: int) -> list[float]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/lab/requests?last={calls}") as answer,
    ):
        return [seen["lateMs"] for seen in (await answer.json())["data"]["recent"]]


def row(name: str, values: Sequence[float]) -> str:
    ordered = sorted(values)
    shown = [ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.95, 0.99, 1)]
    within = sum(abs(value) <= 2 for value in ordered) / len(ordered)
    return f"{name:<34}" + "".join(f"{value:>9.2f}" for value in shown) + f"{within:>11.1%}"


async def wait_for(port: int) -> None:
    for _ in range(250):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise SystemExit("the lab did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--latency", type=float, nargs="*", default=[240, 520], metavar="MS")
    args = parser.parse_args()
    port = free_port()
    lab = Process(target=run_lab, args=(port,))
    lab.start()
    try:
        asyncio.run(wait_for(port))
        print(
            f"{args.calls} calls, {args.concurrency} at a time; ms late; load average before: {os.getloadavg()[0]:.2f}"
        )
        print(f"{'':<34}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}{'within 2ms':>11}")
        for latency_ms in args.latency:
            for stream in (False, True):
                client = asyncio.run(measure(port, latency_ms, args.concurrency, args.calls, stream))
                server = asyncio.run(server_side(port, min(args.calls, 1000)))
                kind = f"{latency_ms:g} ms, {'stream' if stream else 'plain'}"
                print(row(f"{kind}, server", server))
                print(row(f"{kind}, client", client))
    finally:
        lab.terminate()
        lab.join()


if __name__ == "__main__":
    main()
