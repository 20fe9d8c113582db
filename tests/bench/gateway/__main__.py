"""The gateway beside a bare pass-through, LiteLLM and Portkey: python -m tests.bench gateway [--seconds 4] [--runs 3]

All are served by two processes each, in front of one upstream that costs next to nothing; what is measured takes
turns, and each figure is the median of --runs. The machine is shared by all of them and by the load, so only ratios
within one run mean anything. `--without-others` leaves LiteLLM and Portkey out; the latter takes part in the requests
per second only, as that is what there is a bar for. The bars are those of docs/gateway.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.gateway import servers
from tests.bench.gateway.load import Taken, closed_loop, median, open_loop, streams
from tests.bench.gateway.servers import Server

CALLERS = (1, 32, 200)
RATES = (50, 200)
STREAMS = 200
DELAY_MS = 200.0

Figures = dict[str, dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--without-others", action="store_true")
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average before: {os.getloadavg()[0]:.1f}")
    with _all(not args.without_others) as everything:
        direct, *gateways = everything
        figures: Figures = {each.name: {} for each in everything}
        for server in gateways:
            asyncio.run(closed_loop(server.port, server.message(stream=False), 8, 2))
        _throughput(gateways, figures, args.runs, args.seconds)
        everything = [each for each in everything if each.name != "Portkey"]
        servers.set_delay(direct.port, DELAY_MS)
        _latency(everything, figures, args.runs, args.seconds)
        servers.set_delay(direct.port, 0)
        _streams(everything, figures, args.runs, args.seconds)
    _table(figures)
    _bars(figures)


@contextmanager
def _all(with_others: bool) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tooloo-bench-")))
        log = folder / "log"
        log.mkdir()
        direct = stack.enter_context(servers.upstream(log))
        found = [
            direct,
            stack.enter_context(servers.ours(direct.port, folder, log)),
            stack.enter_context(servers.pass_through(direct.port, log)),
        ]
        if with_others:
            found.append(stack.enter_context(servers.litellm(direct.port, folder, log)))
        if with_others and shutil.which("npm"):
            found.append(stack.enter_context(servers.portkey(direct.port, folder, log)))
        yield found


def _throughput(gateways: Sequence[Server], figures: Figures, runs: int, seconds: float) -> None:
    for callers in CALLERS:
        taken: dict[str, list[tuple[Taken, float]]] = {server.name: [] for server in gateways}
        for _ in range(runs):
            for server in gateways:
                servers.settle(gateways)
                before = server.cpu_s()
                message = server.message(stream=False)
                got = asyncio.run(closed_loop(server.port, message, callers, seconds))
                taken[server.name].append((got, server.cpu_s() - before))
        for name, several in taken.items():
            figures[name][f"requests/s, c={callers}"] = median([got.per_second for got, _ in several])
            figures[name][f"p99 ms, c={callers}"] = median([got.percentile(0.99) for got, _ in several])
            figures[name][f"CPU ms/request, c={callers}"] = median(
                [1000 * cpu / max(1, len(got.ms)) for got, cpu in several]
            )
            _note_failures(figures[name], [got for got, _ in several])


def _latency(everything: Sequence[Server], figures: Figures, runs: int, seconds: float) -> None:
    for rate in RATES:
        taken: dict[str, list[Taken]] = {server.name: [] for server in everything}
        for _ in range(runs):
            for server in everything:
                servers.settle(everything)
                message = server.message(stream=False)
                taken[server.name].append(asyncio.run(open_loop(server.port, message, rate, seconds)))
        for name, several in taken.items():
            for share in (0.5, 0.95, 0.99):
                added = median([got.percentile(share) for got in several]) - DELAY_MS
                figures[name][f"added ms at {rate}/s, p{share * 100:.0f}"] = added
            _note_failures(figures[name], several)


def _streams(everything: Sequence[Server], figures: Figures, runs: int, seconds: float) -> None:
    taken: dict[str, list[tuple[Taken, float, float]]] = {server.name: [] for server in everything}
    for _ in range(runs):
        for server in everything:
            servers.settle(everything)
            before = server.cpu_s()
            got = asyncio.run(streams(server.port, server.message(stream=True), STREAMS, max(seconds, 4)))
            taken[server.name].append((got, server.cpu_s() - before, server.memory_mb()))
    for name, several in taken.items():
        mine = figures[name]
        mine[f"first token ms p50, {STREAMS} streams"] = median([got.percentile(0.5) for got, _, _ in several])
        mine[f"first token ms p95, {STREAMS} streams"] = median([got.percentile(0.95) for got, _, _ in several])
        mine["CPU µs/chunk"] = median([1e6 * cpu / max(1, got.chunks) for got, cpu, _ in several])
        mine["memory MB"] = median([memory for _, _, memory in several])
        _note_failures(mine, [got for got, _, _ in several])


def _note_failures(mine: dict[str, float], several: Sequence[Taken]) -> None:
    mine["failed"] = mine.get("failed", 0) + sum(got.failed for got in several)


def _table(figures: Figures) -> None:
    names = list(figures)
    rows = list(dict.fromkeys(row for mine in figures.values() for row in mine))
    print(f"{'':<36}" + "".join(f"{name:>13}" for name in names))
    for row in rows:
        cells = (f"{figures[name][row]:>13,.1f}" if row in figures[name] else f"{'–':>13}" for name in names)
        print(f"{row:<36}" + "".join(cells))


def _bars(figures: Figures) -> None:
    ours, bare, direct = figures["TooLoo"], figures["bare Flask"], figures["direct"]
    other = figures.get("LiteLLM")
    print()
    _bar("c=32, × bare Flask", ours["requests/s, c=32"] / bare["requests/s, c=32"], 0.65)
    for rate in RATES:
        name = f"added ms at {rate}/s, p50"
        _bar(f"{name}, over direct", ours[name] - direct[name], 3, most=True)
    first = f"first token ms p95, {STREAMS} streams"
    _bar(f"{first}, over direct", ours[first] - direct[first], 10, most=True)
    if other is not None:
        _beside(ours, other)
    if (portkey := figures.get("Portkey")) is not None:
        for callers, least in ((32, 1.5), (200, 1)):
            name = f"requests/s, c={callers}"
            _bar(f"c={callers}, × Portkey", ours[name] / max(portkey[name], 1e-9), least)


def _beside(ours: Mapping[str, float], other: Mapping[str, float]) -> None:
    for callers, least in ((32, 10), (200, 8)):
        name = f"requests/s, c={callers}"
        _bar(f"c={callers}, × LiteLLM", ours[name] / max(other[name], 1e-9), least)
    for rate in RATES:
        name = f"added ms at {rate}/s, p95"
        _bar(f"{name}, ÷ LiteLLM", ours[name] / other[name], 0.25, most=True)
    _bar("CPU per chunk, ÷ LiteLLM", ours["CPU µs/chunk"] / other["CPU µs/chunk"], 1 / 8, most=True)
    _bar("memory, ÷ LiteLLM", ours["memory MB"] / other["memory MB"], 1 / 5, most=True)


def _bar(what: str, value: float, bar: float, *, most: bool = False) -> None:
    met = value <= bar if most else value >= bar
    print(f"{'met   ' if met else 'MISSED'} {what}: {value:.2f} (bar {'≤' if most else '≥'} {bar:.3g})")


if __name__ == "__main__":
    main()
