"""What a round costs in time, and how exactly it measures.

    python -m tests.bench.rounds [--large] [--only rounds|error|overhead|realistic]

rounds     the whole stack (beat, workers, PostgreSQL, Redis, lab): wall time of rounds of 40 and 1,000 probes (10,000
           with --large) against the ideal: the slowest provider's calls, at its concurrency, back to back
realistic  a round of 40 calls under the lab's profile `realistic`, and chat requests with and without one under way
error      measured minus true latency: our client in threads, and an asyncio client (httpx2); same stub, same
           concurrency
overhead   a probe that calls nobody, against a Celery task that stores a row: ms of wall time per task, one worker
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import requests

from app.domain.rounds.measurement import measurement_error
from app.providers.canary import DELAY_MS, Canary
from app.providers.client import Client, Pool
from tests.support.stack import Stack, stack
from tests.support.system import ROOT
from tests.support.waiting import wait_until

PROVIDERS = ("deepseek", "gemini", "anthropic", "openai")
SYSTEM = "/api/v1/system"
FINAL = {"done", "partial", "failed"}
#: latency of the lab in the bench of rounds; equal for all, so that the ideal is the same for each
LATENCY_MS = 300
#: (probes, probes in flight per provider)
SIZES = [(40, 2), (1_000, 10)]
LARGE = (10_000, 20)
CONCURRENCY = (8, 40, 100)
#: of one worker process, at most
THREADS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="a round of 10,000 probes too")
    parser.add_argument("--only", choices=["rounds", "realistic", "error", "overhead"])
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average before: {os.getloadavg()[0]:.2f}\n")
    benches: dict[str, Callable[[], None]] = {
        "error": bench_error,
        "overhead": bench_overhead,
        "rounds": lambda: bench_rounds([*SIZES, LARGE] if arguments.large else SIZES),
        "realistic": bench_realistic,
    }
    for name, bench in benches.items():
        if arguments.only in {None, name}:
            bench()
            print()


# ── rounds ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def bench_rounds(sizes: Sequence[tuple[int, int]]) -> None:
    print("| probes | in flight | wall s | ideal s | wall / ideal | canary error ms: p50 | p95 | p99 |")
    print("|---|---|---|---|---|---|---|---|")
    for probes, concurrency in sizes:
        for shown in measured_rounds(probes, concurrency, repeat=3 if probes <= 40 else 1):
            ideal_s = ideal(shown, concurrency)
            wall_s = shown["duration"] / 1000
            off = shown["measurementError"] or {}
            print(
                f"| {probes:,} | {4 * concurrency} | {wall_s:.2f} | {ideal_s:.2f} | {wall_s / ideal_s:.2f} "
                f"| {off.get('p50Ms')} | {off.get('p95Ms')} | {off.get('p99Ms')} |"
            )


def measured_rounds(probes: int, concurrency: int, *, repeat: int) -> list[Any]:
    """Finished rounds of a stack made for them."""
    with tempfile.TemporaryDirectory(prefix="tooloo-bench-") as name:
        folder = Path(name)
        make_config(folder / "config", probes // len(PROVIDERS), concurrency)
        policy = {"interval_s": 86_400, "round_usd": 1e6, "day_usd": 1e6, "deadline_s": 3600}
        processes = max(2, -(-len(PROVIDERS) * concurrency // THREADS))
        with stack(folder, policy=policy, TOOLOO_WORKER_PROCESSES=str(processes)) as running:
            for provider in PROVIDERS:
                exact = [f"latency={LATENCY_MS}", "sigma=0", "error_rate=0", "tokens_per_s=1e9"]
                running.tooloo("lab", "set", provider, *exact)
            settle(running)
            return [a_round(running) for _ in range(repeat)]


def make_config(config: Path, prompts: int, concurrency: int) -> None:
    """The project's own config; beyond ten prompts, the standard ones again under other names."""
    shutil.copytree(ROOT / "config", config, ignore=shutil.ignore_patterns("runtime.json"))
    providers = config / "providers.toml"
    providers.write_text(providers.read_text().replace("concurrency = 2", f"concurrency = {concurrency}"))
    if prompts > 10:
        blocks = [
            f'[simple-{n}]\ncategory = "q"\ntext = "What is the capital of Australia? ({n})"\nmax_tokens = 50\n'
            f'grader = "exact"\n[simple-{n}.expected]\nitems = [{{ accept = "canberra" }}]\n'
            for n in range(prompts)
        ]
        (config / "prompts.toml").write_text("\n".join(blocks))


def settle(running: Stack) -> None:
    """Until the round that nobody asked for is over."""
    wait_until(lambda: running.get(f"{SYSTEM}/benchmark-results?limit=1")["latest"], 1200, "the first round")


def a_round(running: Stack) -> Any:
    round_id = running.post(f"{SYSTEM}/benchmarks", {"beside": True})["roundId"]
    path = f"{SYSTEM}/benchmarks/{round_id}"
    wait_until(lambda: running.get(path)["status"] in FINAL, 1200, round_id)
    history = running.get(f"{SYSTEM}/benchmark-results?limit=3")["history"]
    return next(each for each in history if each["id"] == round_id)


def ideal(shown: Any, concurrency: int) -> float:
    """s of the slowest provider's calls, back to back, `concurrency` at a time."""
    by_provider: dict[str, float] = {}
    for result in shown["results"]:
        by_provider[result["provider"]] = by_provider.get(result["provider"], 0.0) + (result["latency"] or 0)
    return max(by_provider.values()) / concurrency / 1000


# ── realistic ────────────────────────────────────────────────────────────────────────────────────────────────────────


def bench_realistic() -> None:
    """What the specification promises: hourly, 40 calls, under 45 s, about 1 % overhead on traffic."""
    with (
        tempfile.TemporaryDirectory(prefix="tooloo-bench-") as name,
        stack(Path(name), policy={"interval_s": 86_400}) as running,
    ):
        settle(running)
        running.tooloo("lab", "reset", "--profile", "realistic")
        rounds = [a_round(running) for _ in range(3)]
        alone = chats(running, until=lambda served: served >= 60)
        round_id = running.post(f"{SYSTEM}/benchmarks", {"beside": True})["roundId"]
        path = f"{SYSTEM}/benchmarks/{round_id}"
        during = chats(running, until=lambda _: running.get(path)["status"] in FINAL)
    print("| realistic round | duration s | ideal s | probes ok | cost USD | mean latency ms | off by, p95 ms |")
    print("|---|---|---|---|---|---|---|")
    for number, shown in enumerate(rounds, 1):
        summary = shown["summary"]
        print(
            f"| {number} | {shown['duration'] / 1000:.1f} | {ideal(shown, 2):.1f} | {summary['successCount']}/40 "
            f"| {summary['totalCostUsd']:.4f} | {summary['avgLatency']} | {shown['measurementError']['p95Ms']} |"
        )
    for label, waits_ms in (("no round under way", alone), ("while a round runs", during)):
        print(
            f"added by the gateway to the provider's own time, {label}: "
            f"p50 {statistics.median(waits_ms):.1f} ms, p95 {percentile(waits_ms, 0.95):.1f} ms, "
            f"{len(waits_ms)} requests"
        )


def chats(running: Stack, until: Callable[[int], bool]) -> list[float]:
    """ms that each request took beyond what its provider took, as a caller sees it; four callers."""
    added: list[float] = []
    stop = threading.Event()

    def caller() -> None:
        with requests.Session() as session:
            while not stop.is_set():
                began = time.perf_counter()
                answer = session.post(f"{running.url}/api/v1/chat", json={"message": "What is a mutex?"}, timeout=60)
                took_ms = (time.perf_counter() - began) * 1000
                attempts = answer.json()["data"]["attempts"]
                added.append(took_ms - sum(attempt["latency"] for attempt in attempts))

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for each in callers:
        each.start()
    wait_until(lambda: until(len(added)), 300, "requests")
    stop.set()
    for each in callers:
        each.join()
    return added


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# ── error ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def bench_error(calls: int = 2_000) -> None:
    print("| client | in flight | calls | measured − true, ms: p50 | p95 | p99 |")
    print("|---|---|---|---|---|---|")
    for concurrency in CONCURRENCY:
        for name, errors in (
            ("ours, threads", by_threads(concurrency, calls)),
            ("httpx2, asyncio", asyncio.run(by_asyncio(concurrency, calls))),
        ):
            found = measurement_error(errors)
            assert found is not None
            off = " | ".join(f"{value:.2f}" for value in (found.p50_ms, found.p95_ms, found.p99_ms))
            print(f"| {name} | {concurrency} | {found.calls} | {off} |")


def by_threads(concurrency: int, calls: int) -> list[float]:
    canary = Canary(Client(Pool(concurrency)))
    try:
        with ThreadPoolExecutor(concurrency) as pool:
            list(pool.map(lambda _: canary.error_ms(), range(2 * concurrency)))  # connections
            return [error for error in pool.map(lambda _: canary.error_ms(), range(calls)) if error is not None]
    finally:
        canary.close()


async def by_asyncio(concurrency: int, calls: int) -> list[float]:
    """The same calls, to a stub of their own."""
    canary = Canary(Client(Pool(1)), DELAY_MS)
    canary.error_ms()
    assert canary._endpoint is not None
    url = f"{canary._endpoint.provider.base_url}/chat/completions"
    body = {"model": "canary", "stream": True, "messages": [{"role": "user", "content": "?"}]}
    errors: list[float] = []
    left = iter(range(calls + 2 * concurrency))
    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx2.AsyncClient(limits=limits, trust_env=False) as client:

        async def caller() -> None:
            for _ in left:
                began = time.perf_counter()
                async with client.stream("POST", url, json=body) as response:
                    text = "".join([piece async for piece in response.aiter_text()])
                took_ms = (time.perf_counter() - began) * 1000
                errors.append(took_ms - float(text.split('"content": "')[1].split('"')[0]))

        await asyncio.gather(*(caller() for _ in range(concurrency)))
    canary.close()
    return errors[2 * concurrency :]


# ── overhead ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def bench_overhead() -> None:
    from tests.bench.bare_tasks import run

    with tempfile.TemporaryDirectory(prefix="tooloo-bench-") as name:
        found = run(Path(name), tasks=2_000, threads=8)
    print("| 2,000 tasks, one worker of 8 threads | wall ms per task | CPU ms of the worker per task |")
    print("|---|---|---|")
    for label, (wall_ms, cpu_ms) in found.items():
        print(f"| {label} | {wall_ms:.2f} | {cpu_ms:.2f} |")
    (bare, _), (probe, _) = found.values()
    print(f"\na probe costs {probe - bare:.2f} ms more than a task that stores a row")


if __name__ == "__main__":
    main()
