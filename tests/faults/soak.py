"""A stack at sixty times its pace, with a fault at random every half minute: python -m tests.faults.soak MINUTES [SEED]

Rounds come every minute instead of every hour, and chats all the time. At the end: what grew, what stuck, what was
lost; exit code 1 where something did.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import select, text

from app.store.models import Round
from tests.faults.story import Chats
from tests.faults.test_api import DIED, master
from tests.faults.test_processes import CONTROL, PROBES, send
from tests.faults.world import PROVIDERS, World, world
from tests.support.commands import serving
from tests.support.waiting import wait_until

#: s between two rounds, two faults and two looks
ROUND_S, FAULT_S, LOOK_S = 60, 30, 5
#: MB per hour, of a process that was not replaced; the first minutes are left out
MOST_MB_PER_H, WARM_UP_S = 60.0, 120
NAMES = {"api": "app.cli.main api", "probes": PROBES, "control": CONTROL, "beat": "app.cli.main beat"}


@dataclass
class Looks:
    """What was seen of each process, by name and pid, and of the servers."""

    rss_mb: dict[tuple[str, int], list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    files: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    queued: list[int] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)

    def look(self, seen: World, at_s: float) -> None:
        for name, words in NAMES.items():
            for pid in seen.stack.pids(words):
                try:
                    process = psutil.Process(pid)
                    self.rss_mb[name, pid].append((at_s, process.memory_info().rss / 1e6))
                    self.files[name].append(process.num_fds())
                except psutil.Error:  # it has just ended
                    continue
        queues = ("control", "optimizer", *(f"probe.{name}" for name in PROVIDERS))
        self.queued.append(sum(int(str(seen.cache.llen(f"tooloo:celery:{name}"))) for name in queues))
        with seen.engine.connect() as connection:
            self.connections.append(int(connection.scalar(text("SELECT count(*) FROM pg_stat_activity")) or 0))

    def slopes(self) -> dict[str, float]:
        """MB per hour, the worst process of each name that lived long enough to say."""
        worst: dict[str, float] = {}
        for (name, _), points in self.rss_mb.items():
            late = [point for point in points if point[0] > points[0][0] + WARM_UP_S]
            if len(late) > 120 / LOOK_S:
                slope = statistics.linear_regression(*zip(*late, strict=True)).slope * 3600
                worst[name] = max(worst.get(name, slope), slope)
        return worst


def main(minutes: float, seed: int) -> int:
    draw = random.Random(seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        world(Path(folder), policy={"interval_s": ROUND_S}, TOOLOO_LOG_LEVEL="info") as seen,
    ):
        seen.slow(300)
        chats, looks, done = Chats(seen.url), Looks(), Counter[str]()
        chats.start()
        began = time.monotonic()
        next_fault_s, pause = FAULT_S, threading.Event()
        while (at_s := time.monotonic() - began) < 60 * minutes:
            pause.wait(LOOK_S)
            looks.look(seen, at_s)
            if at_s > next_fault_s:
                name = draw.choice(sorted(FAULTS))
                done[name] += 1
                print(f"{at_s:6.0f} s  {name}", flush=True)
                FAULTS[name](seen, chats)
                next_fault_s = time.monotonic() - began + FAULT_S
        wait_until(lambda: seen.is_well() and not seen.stack.process.poll(), 120, "all is well at the end")
        chats.stop()
        return _summary(seen, chats, looks, done, minutes)


def _summary(seen: World, chats: Chats, looks: Looks, done: Counter[str], minutes: float) -> int:
    with seen.engine.connect() as connection:
        rounds = Counter(connection.scalars(select(Round.status)))
        stuck = connection.scalar(
            text("SELECT count(*) FROM rounds WHERE status IN ('running', 'optimizing') AND deadline_at < now()")
        )
    looks.look(seen, 0)
    stored = seen.stored(chats.answered)
    unstored = len(set(chats.answered) - stored)
    _, tracebacks = seen.trouble(0)
    slopes = looks.slopes()
    print(f"\nminutes {minutes:g}; faults {done.total()}: {dict(done)}")
    print(f"rounds {dict(rounds)}; past their deadline and open {stuck}")
    print(f"chats {len(chats.answered)} answered, {len(chats.failed)} failed {dict(Counter(chats.failed))}")
    print(f"slowest {chats.slowest_s:.1f} s; outcomes lost {unstored}, counted {seen.counted_lost()}")
    print("RSS, MB per hour: " + ", ".join(f"{name} {slope:+.1f}" for name, slope in sorted(slopes.items())))
    print("open files, first and last: " + ", ".join(f"{n} {f[0]} {f[-1]}" for n, f in sorted(looks.files.items())))
    print(f"messages queued, most and last: {max(looks.queued)} {looks.queued[-1]}")
    print(f"connections of PostgreSQL, most and last: {max(looks.connections)} {looks.connections[-1]}")
    print(f"tracebacks in the log: {tracebacks}")
    grew = [name for name, slope in slopes.items() if slope > MOST_MB_PER_H]
    died = DIED * done["api freezes"]
    return int(bool(stuck or grew or unstored > seen.counted_lost() + died))


def _redis_stops(seen: World, chats: Chats) -> None:
    seen.redis.stop()
    chats.go_on(12)
    seen.redis.start()


def _redis_dies(seen: World, _: Chats) -> None:
    seen.redis.kill()
    seen.redis.start()


def _redis_half_open(seen: World, chats: Chats) -> None:
    seen.redis.relay.hold()
    chats.go_on(12)
    seen.redis.relay.resume()


def _redis_forgets(seen: World, _: Chats) -> None:
    seen.cache.flushall()


def _postgres_stops(seen: World, chats: Chats) -> None:
    seen.postgres.stop()
    chats.go_on(12)
    seen.postgres.start()


def _postgres_dies(seen: World, _: Chats) -> None:
    seen.postgres.kill()
    seen.postgres.start()


def _worker_dies(seen: World, _: Chats) -> None:
    send(seen, PROBES, signal.SIGKILL, 1)


def _control_dies(seen: World, _: Chats) -> None:
    send(seen, CONTROL, signal.SIGKILL)


def _api_freezes(seen: World, chats: Chats) -> None:
    if serving(master(seen)):
        os.kill(min(serving(master(seen))), signal.SIGSTOP)
        chats.go_on(12)


def _providers_away(seen: World, chats: Chats) -> None:
    seen.to_lab.refuse()
    chats.go_on(4)
    seen.to_lab.resume()


FAULTS: dict[str, Callable[[World, Chats], None]] = {
    "api freezes": _api_freezes,
    "control dies": _control_dies,
    "postgres dies": _postgres_dies,
    "postgres stops": _postgres_stops,
    "providers away": _providers_away,
    "redis dies": _redis_dies,
    "redis forgets": _redis_forgets,
    "redis half-open": _redis_half_open,
    "redis stops": _redis_stops,
    "worker dies": _worker_dies,
}

if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
