"""How fast the runtime config is read, and reaches ten processes: `python -m tests.bench.config_propagation`.

A change is timed from the call that publishes it to the swap in each process, on the monotonic clock that all
processes of one machine share; then the same with the whole write, from the caller's merge through PostgreSQL.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
import timeit
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from app.bootstrap import connect
from app.domain.config.runtime_config import RuntimeConfig
from app.live import live_config
from app.live.published import Subscription
from app.store import database
from tests.support import servers
from tests.support.system import System, build

PROCESSES, CHANGES, READS = 10, 200, 1_000_000


def follow(redis_url: str, database_url: str, folder: str, pipe: Connection) -> None:
    """One process: tells when each version arrived in it."""
    system = build(database_url, redis_url, Path(folder))
    arrived: dict[int, int] = {}

    def note(config: RuntimeConfig) -> None:
        arrived[config.revision] = time.monotonic_ns()

    system.services.config.on_change(note)
    subscription = Subscription(connect(redis_url), [system.services.config])
    subscription.start()
    pipe.send("ready")
    last = pipe.recv()
    give_up_at = time.monotonic() + 10
    while last not in arrived and time.monotonic() < give_up_at:
        time.sleep(0.01)
    pipe.send(arrived)
    subscription.stop()
    system.close()


def measure(
    system: System, redis_url: str, database_url: str, folder: Path, change: Callable[[int], int]
) -> list[float]:
    """ms from each change to its arrival, over all processes; `change` gives the version it made."""
    from tests.bench.config_propagation import follow  # by the name under which a new process finds it

    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for number in range(PROCESSES):
        mine, theirs = context.Pipe()
        process = context.Process(target=follow, args=(redis_url, database_url, str(folder / str(number)), theirs))
        process.start()
        pipes.append(mine)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    time.sleep(1)  # every subscription stands
    sent: dict[int, int] = {}
    for number in range(CHANGES):
        at = time.monotonic_ns()
        sent[change(number)] = at
        time.sleep(0.02)
    for pipe in pipes:
        pipe.send(max(sent))
    arrivals = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.join()
    missed = sum(version not in arrived for arrived in arrivals for version in sent)
    if missed:
        print(f"  {missed} of {len(sent) * PROCESSES} arrivals were overtaken by a newer version")
    return [(arrived[v] - at) / 1e6 for arrived in arrivals for v, at in sent.items() if v in arrived]


def show(what: str, times_ms: list[float]) -> None:
    cuts = statistics.quantiles(times_ms, n=100)
    print(f"{what}: p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms, max {max(times_ms):.2f} ms (n = {len(times_ms)})")


def main() -> None:
    with servers.folder() as folder, servers.postgres(folder) as database_url, servers.redis(folder) as redis_url:
        database.migrate(database_url)
        system = build(database_url, redis_url, folder / "writer")
        services = system.services
        start = live_config.recover(services.sessions, services.redis, folder / "none", services.providers)
        services.config.refresh(services.redis)

        config = services.config
        per_read = timeit.timeit(lambda: config.value.global_.exploration_rate, number=READS) / READS
        empty = timeit.timeit(lambda: None, number=READS) / READS
        print(f"a read of one value: {(per_read - empty) * 1e9:.0f} ns (n = {READS})")

        def publish(number: int) -> int:
            newer = start.model_copy(update={"version": str(start.revision + number + 1)})
            live_config.publish(services.redis, newer)
            return newer.revision

        show(f"published → {PROCESSES} processes", measure(system, redis_url, database_url, folder, publish))
        live_config.recover(services.sessions, services.redis, folder / "none", services.providers)

        def write(number: int) -> int:
            change = {"updateFrequency": 1000 + number}
            return live_config.update(
                services.sessions, services.redis, change, author="bench", reason="bench"
            ).revision

        show(f"written → {PROCESSES} processes", measure(system, redis_url, database_url, folder, write))
        system.close()


if __name__ == "__main__":
    main()
