"""What a provider call costs: python -m tests.bench client [--seconds 3] [--runs 3] [--trials 10] [--without-curl]

First a call through the client over a raw pooled urllib3 request. Then our client beside libcurl (pycurl, installed
into build/ for it): the same POST over kept connections on loopback, with its JSON read, at one thread and at 32, and
32 streams of a chunk every 20 ms; taking turns, medians of --runs. CPU is that of the client's process alone. Then
what libcurl does with cancelled calls, limits and faults. docs/decisions.md says what was decided from it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.bench.client import overhead
from tests.bench.gateway import others, upstreams
from tests.bench.gateway.load import median
from tests.bench.gateway.processes import ROOT, NotStarted

#: row: module, its kind, threads
KINDS = {
    "ours": ("tests.bench.client.ours", "plain"),
    "libcurl": ("tests.bench.client.curl", "plain"),
    "libcurl, a wait that can be woken": ("tests.bench.client.curl", "poll"),
    "ours, with all of Client.complete": ("tests.bench.client.ours", "whole"),
}
STREAMS = {"ours": ("tests.bench.client.ours", "stream"), "libcurl": ("tests.bench.client.curl", "stream")}
THREADS = (1, 32)
Taken = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--trials", type=int, default=10, help="of each limit and each cancelled call")
    parser.add_argument("--without-curl", action="store_true")
    args = parser.parse_args()
    overhead.main()
    if args.without_curl:
        return
    try:
        curl = others.installed("wsgi", others.wsgi_packages()) / "python"
    except NotStarted as error:
        print(f"libcurl takes no part: {error}")
        return
    _beside(curl, args.runs, args.seconds)
    subprocess.run([str(curl), "-m", "tests.bench.client.behaviour", str(args.trials)], cwd=ROOT, check=False)


def _beside(curl: Path, runs: int, seconds: float) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="tooloo-bench-") as folder,
        upstreams.Upstream(Path(folder), Path(folder)) as upstream,
    ):
        url = f"http://127.0.0.1:{upstream.port}"
        upstream.at_once()
        print(f"\n{upstreams.LABEL}")
        for threads in THREADS:
            _rows(f"{threads} thread(s), call", curl, KINDS, url, threads, runs, seconds)
        upstream.paced()
        _rows("32 streams, chunk", curl, STREAMS, url, 32, runs, seconds)


def _rows(
    what: str, curl: Path, kinds: Mapping[str, tuple[str, str]], url: str, threads: int, runs: int, seconds: float
) -> None:
    taken: dict[str, list[Taken]] = {name: [] for name in kinds}
    for _ in range(runs):
        for name, (module, kind) in kinds.items():
            python = str(curl) if module.endswith("curl") else sys.executable
            command = [python, "-m", module, kind, url, str(threads), str(seconds)]
            ran = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=seconds + 60)
            taken[name].append(json.loads(ran.stdout))
    for name, several in taken.items():
        cpu_us = median([1e6 * each["cpu_s"] / max(1, each["calls"]) for each in several])
        per_second = median([each["calls"] / each["seconds"] for each in several])
        failed = sum(each["failed"] for each in several)
        note = f", {failed:.0f} failed" if failed else ""
        print(f"{what:<20} {name:<36} {cpu_us:7.1f} µs CPU   {per_second:8,.0f}/s{note}", flush=True)


if __name__ == "__main__":
    main()
