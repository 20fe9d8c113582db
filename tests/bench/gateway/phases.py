"""What is measured, one phase after the other. Within a phase the servers take turns, and each figure is a median."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import linear_regression
from typing import TypeVar

from tests.bench.gateway import beside, load, upstream
from tests.bench.gateway.figures import OURS, Figures
from tests.bench.gateway.load import median
from tests.bench.gateway.processes import Server, settle
from tests.bench.gateway.upstreams import Upstream

T = TypeVar("T")
RATES = (50, 200)
#: ms that p99 may be where the most requests/s are looked for
P99_LIMITS_MS = (50, 100)
DELAY_MS = 200.0
#: a longer gap is one that a reader sees
GAP_LIMIT_MS = 100.0
SMALL_CALLERS = 8
#: what a load or a server under it may end in
BROKEN = (OSError, subprocess.SubprocessError, ValueError)


@dataclass(frozen=True)
class Plan:
    seconds: float
    runs: int
    callers: Sequence[int]
    streams: Sequence[int]
    memory_s: float


@dataclass(frozen=True)
class Bench:
    plan: Plan
    upstream: Upstream
    gateways: Sequence[Server]
    figures: Figures

    def turns(self, servers: Sequence[Server], what: str, measure: Callable[[Server], T]) -> dict[str, list[T]]:
        """Each server's, run by run; one that breaks is said to, and has fewer."""
        taken: dict[str, list[T]] = {server.name: [] for server in servers}
        for _ in range(self.plan.runs):
            for server in servers:
                settle(servers)
                try:
                    taken[server.name].append(measure(server))
                except BROKEN as error:
                    self.figures.note(server.name, f"{what}: {error}")
        return {name: several for name, several in taken.items() if several}

    def warm_up(self) -> None:
        """All of them have lost their connections where the upstream was changed."""
        for server in self.gateways:
            taken = load.run(load.closed_loop(server.port, server.message(), 8, 1))
            if not taken.ms:
                self.figures.note(server.name, "none of its first answers was good")

    def note_failures(self, name: str, what: str, failed: int, of: int) -> None:
        if failed:
            self.figures.note(name, f"{what}: {failed} of {of} failed")


def throughput(bench: Bench) -> None:
    """Callers that wait for their answer, and ask again."""
    bench.upstream.at_once()
    bench.warm_up()
    put, best = bench.figures.put, dict[tuple[str, int], float]()
    for callers in bench.plan.callers:
        what = f"c={callers}"

        def measure(server: Server, callers: int = callers) -> tuple[float, float, float, int, int]:
            before_s = server.cpu_s()
            served = server.closed_loop(callers, bench.plan.seconds)
            cpu_us = 1e6 * (server.cpu_s() - before_s) / max(1, served.requests)
            return served.per_second, served.p99_ms, cpu_us, served.failed, served.requests

        for name, several in bench.turns(bench.gateways, what, measure).items():
            per_second, p99_ms, cpu_us = (median([each[n] for each in several]) for n in range(3))
            put(f"requests/s, {what}", name, per_second)
            put(f"p99 ms, {what}", name, p99_ms)
            put(f"CPU µs/request, {what}", name, cpu_us)
            for limit_ms in P99_LIMITS_MS:
                kept = per_second if p99_ms <= limit_ms else 0.0
                best[name, limit_ms] = max(best.get((name, limit_ms), 0.0), kept)
            bench.note_failures(name, what, sum(each[3] for each in several), sum(each[4] for each in several))
    for (name, limit_ms), per_second in sorted(best.items(), key=lambda each: each[0][1]):
        put(f"requests/s at p99 ≤ {limit_ms} ms", name, per_second)


def latency(bench: Bench) -> None:
    """Requests at a rate, in front of a provider that takes 200 ms."""
    bench.upstream.paced(delay_ms=DELAY_MS)
    bench.warm_up()
    everything = [bench.upstream.direct(), *bench.gateways]
    for rate in RATES:

        def measure(server: Server, rate: int = rate) -> load.Taken:
            return load.run(load.open_loop(server.port, server.message(), rate, bench.plan.seconds))

        for name, several in bench.turns(everything, f"{rate}/s", measure).items():
            for share in (0.5, 0.95):
                added_ms = median([load.percentile(taken.ms, share) for taken in several]) - DELAY_MS
                bench.figures.put(f"added ms at {rate}/s, p{share * 100:.0f}", name, added_ms)
            failed = sum(taken.failed for taken in several)
            bench.note_failures(name, f"{rate}/s", failed, failed + sum(len(taken.ms) for taken in several))


def streams(bench: Bench) -> None:
    """Streams at once, each of a chunk every 20 ms."""
    bench.upstream.paced(gap_ms=upstream.GAP_MS)
    bench.warm_up()
    everything = [bench.upstream.direct(), *bench.gateways]
    for count in bench.plan.streams:
        what = f"{count} streams"

        def measure(server: Server, count: int = count) -> tuple[load.Taken, float]:
            before_s = server.cpu_s()
            message = server.message(stream=True)
            taken = load.run(load.streams(server.port, message, count, max(bench.plan.seconds, 2)))
            return taken, server.cpu_s() - before_s

        for name, several in bench.turns(everything, what, measure).items():
            _put_streams(bench, name, what, count, several)


def _put_streams(bench: Bench, name: str, what: str, count: int, several: Sequence[tuple[load.Taken, float]]) -> None:
    taken = [each for each, _ in several]
    put, failed = bench.figures.put, sum(each.failed for each in taken)
    bench.note_failures(name, what, failed, failed + sum(len(each.ms) for each in taken))
    if not any(each.ms for each in taken):
        return
    put(f"{what}: first token ms, p95", name, median([load.percentile(each.ms, 0.95) for each in taken]))
    put(f"{what}: largest gap ms, p95", name, median([load.percentile(each.gaps_ms, 0.95) for each in taken]))
    put(f"{what}: held without a gap > {GAP_LIMIT_MS:.0f} ms", name, median([count * _held(each) for each in taken]))
    put(f"{what}: CPU µs/chunk", name, median([1e6 * cpu_s / max(1, each.chunks) for each, cpu_s in several]))


def _held(taken: load.Taken) -> float:
    """The share of streams that had no long gap; one that failed had."""
    whole = len(taken.gaps_ms) + taken.failed
    return sum(gap_ms <= GAP_LIMIT_MS for gap_ms in taken.gaps_ms) / max(1, whole)


def row_beside(kind: str) -> str:
    return f"p95 of small ones, × alone, beside {kind}"


BESIDE = tuple(map(row_beside, beside.KINDS))


def neighbours(bench: Bench) -> None:
    """What one request, or many, cost all others: p95 of eight callers' small ones, beside it and alone."""
    bench.upstream.paced(gap_ms=beside.OPEN_GAP_MS)
    bench.warm_up()
    ratios: dict[tuple[str, str], list[float]] = {}

    def measure(server: Server) -> float:
        alone = server.closed_loop(SMALL_CALLERS, bench.plan.seconds).p95_ms
        for kind in beside.KINDS:
            settle(bench.gateways)
            with beside.others(kind, server) as status:
                if status != 200:
                    bench.figures.note(server.name, f"{kind}: its first answer had status {status or 'none'}")
                served = server.closed_loop(SMALL_CALLERS, bench.plan.seconds)
            bench.note_failures(server.name, f"small ones beside {kind}", served.failed, served.requests)
            if not served.requests:
                bench.figures.note(server.name, f"no small one was answered beside {kind}")
            ratios.setdefault((kind, server.name), []).append(served.p95_ms / max(alone, 1e-9))
        return alone

    for name, several in bench.turns(bench.gateways, "beside others", measure).items():
        bench.figures.put(f"p95 ms of small ones, alone, c={SMALL_CALLERS}", name, median(several))
        for kind in beside.KINDS:
            if (mine := ratios.get((kind, name))) is not None:
                bench.figures.put(row_beside(kind), name, median(mine))


def memory(bench: Bench) -> None:
    """Of all when all is done; of ours over a run at 32 callers, MB per minute."""
    for server in bench.gateways:
        bench.figures.put("memory MB, after the run", server.name, server.memory_mb())
    bench.upstream.at_once()
    for server in bench.gateways:
        if server.name == OURS and bench.plan.memory_s:
            slope, last = _slope(server, bench.plan.memory_s)
            bench.figures.put("memory, MB/min in the second half", server.name, slope)
            bench.figures.put(f"memory MB, after {bench.plan.memory_s:.0f} s more at 32 callers", server.name, last)


def _slope(server: Server, seconds: float) -> tuple[float, float]:
    """MB per minute of the second half, by least squares, and MB at the end."""
    began_s, points = time.monotonic(), list[tuple[float, float]]()
    step_s = max(1.0, seconds / 20)
    while (now_s := time.monotonic() - began_s) < seconds or len(points) < 6:
        server.closed_loop(32, step_s)
        points.append((now_s / 60, server.memory_mb()))
    half = points[len(points) // 2 :]
    return linear_regression(*zip(*half, strict=True)).slope, points[-1][1]


PHASES: dict[str, Callable[[Bench], None]] = {
    "throughput": throughput,
    "latency": latency,
    "streams": streams,
    "neighbours": neighbours,
    "memory": memory,
}
