"""The best provider dies under load: how many requests fail, and what those that do not fail wait.

    python -m tests.bench failover [--seconds 10] [--callers 16] [--kind cut|server_error|overloaded|hang]

The whole stack as `make up` starts it, the lab's providers at 240 to 520 ms (simulated). Callers ask again as soon as
they have their answer. Half-way the provider that answered most is killed; at the end it is revived.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.bench.rounds import percentile, settle
from tests.support.stack import Stack, stack

LATENCY_MS = {"deepseek": 240, "gemini": 350, "anthropic": 450, "openai": 520}


@dataclass(frozen=True)
class Asked:
    at_s: float
    ms: float
    provider: str
    attempts: int
    ok: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--kind", default="cut")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tooloo-bench-") as name,
        stack(Path(name), policy={"interval_s": 86_400}) as running,
    ):
        settle(running)
        for provider, latency_ms in LATENCY_MS.items():
            running.tooloo("lab", "set", provider, f"latency={latency_ms}", "sigma=0.1", "error_rate=0")
        killed_s, best, asked = _run(running, given.callers, given.seconds, given.kind)
    _table(best, given.kind, killed_s, given.seconds, asked)


def _run(running: Stack, callers: int, seconds: float, kind: str) -> tuple[float, str, list[Asked]]:
    asked: list[Asked] = []
    over = threading.Event()
    threads = [threading.Thread(target=_call, args=(running.url, over.is_set, asked)) for _ in range(callers)]
    for each in threads:
        each.start()
    over.wait(seconds)
    best = Counter(each.provider for each in asked).most_common(1)[0][0]
    killed_s = time.perf_counter()
    running.tooloo("lab", "set", best, "error_rate=1", f"error_kind={kind}")
    over.wait(seconds)
    over.set()
    for each in threads:
        each.join()
    return killed_s, best, asked


def _call(url: str, is_over: Callable[[], bool], asked: list[Asked]) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "What is a mutex?"}]}
    with requests.Session() as session:
        while not is_over():
            began = time.perf_counter()
            answer = session.post(f"{url}/v1/chat/completions", json=body, timeout=60)
            now_s = time.perf_counter()
            target = answer.headers.get("x-tooloo-target", "")
            attempts = int(answer.headers.get("x-tooloo-attempts", "0"))
            asked.append(Asked(now_s, (now_s - began) * 1000, target.partition("/")[0], attempts, answer.ok))


def _table(best: str, kind: str, killed_s: float, seconds: float, asked: Sequence[Asked]) -> None:
    print(f"{best} killed ({kind}) under load; simulated providers")
    print("| when | requests | failed | fell over | answered by it | p50 ms | p95 ms | p99 ms |")
    print("|---|---|---|---|---|---|---|---|")
    for label, since, until in (
        ("before", -seconds, 0.0),
        ("the first 2 s after", 0.0, 2.0),
        ("later", 2.0, 2 * seconds + 60),
    ):
        mine = [each for each in asked if since <= each.at_s - killed_s < until]
        ms = [each.ms for each in mine]
        failed, over = sum(not each.ok for each in mine), sum(each.attempts > 1 for each in mine)
        print(
            f"| {label} | {len(mine)} | {failed} | {over} | {sum(each.provider == best for each in mine)} "
            f"| {percentile(ms, 0.5):.0f} | {percentile(ms, 0.95):.0f} | {percentile(ms, 0.99):.0f} |"
        )


if __name__ == "__main__":
    main()
