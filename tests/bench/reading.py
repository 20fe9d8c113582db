"""What the pages' routes read, and how long that takes, with a year of rounds and outcomes.

    python -m tests.bench.reading [--outcomes N] [--days N]

Fills an embedded PostgreSQL, sums it up as an upgrade would, and asks each route for a day up to a year: least and
median wall time, CPU of this process, size as JSON. Ten million outcomes, as the default is, take some minutes to fill.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from app.api.request_list import listing
from app.api.system.comparing import baselines_json
from app.api.system.spend import spend_json
from app.api.system.timeline import timeline_json
from app.operations import rolling
from app.services import Services
from app.store import database
from tests.bench.year import Size, fill
from tests.support import servers
from tests.support.system import build

REPEAT = 7
AGES = ("24h", "7d", "30d", "365d")
SERIES = (("30d", "day"), ("90d", "week"), ("365d", "month"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outcomes", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=365)
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average before: {os.getloadavg()[0]:.2f}")
    with servers.folder() as folder, servers.postgres(folder) as url, servers.redis(folder) as redis_url:
        database.migrate(url)
        services = build(url, redis_url, folder).services
        fill(services.engine, list(services.targets), Size(asked.days, asked.outcomes, asked.outcomes // 25))
        sum_up(services, asked.days)
        print("| | wall ms, least | median | CPU ms | JSON kB |\n|---|---|---|---|---|")
        for name, ask in asks(services):
            print(f"| {name} | {' | '.join(measured(ask))} |")


def sum_up(services: Services, days: int) -> None:
    """All of it in one run, with outcomes kept for as long."""
    retention = replace(services.policy.retention, outcomes_days=days + 1)
    patient = replace(services, policy=replace(services.policy, retention=retention))
    began_s, hours = time.monotonic(), 0
    while made := rolling.roll_up(patient):
        hours += made
    print(f"{hours} hours summed up in {time.monotonic() - began_s:.0f} s")


def asks(services: Services) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    for age in AGES:
        since = {"from": f"now-{age}"}
        yield f"timeline of {age}", partial(timeline_json, services, since)
        yield f"better of {age}", partial(baselines_json, services, since)
        for by in ("day,provider", "key"):
            yield f"spend of {age} by {by}", partial(spend_json, services, {**since, "by": by})
    for age, by in SERIES:
        yield f"better of {age} by {by}", partial(baselines_json, services, {"from": f"now-{age}", "by": by})
    for name, wanted in (("all", {}), ("failed", {"status": "failed"}), ("by an attempt", {"error": "overloaded"})):
        yield f"requests, {name}", partial(listing, services, wanted)


def measured(ask: Callable[[], dict[str, Any]]) -> list[str]:
    wall, cpu = [], []
    for _ in range(REPEAT):
        began_s, used_s = time.perf_counter(), time.process_time()
        answer = ask()
        wall.append((time.perf_counter() - began_s) * 1000)
        cpu.append((time.process_time() - used_s) * 1000)
    size = len(json.dumps(answer)) / 1000
    return [f"{value:.0f}" for value in (min(wall), statistics.median(wall), min(cpu), size)]


if __name__ == "__main__":
    main()
