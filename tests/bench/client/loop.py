"""Calls over and over in some threads, and what they cost: what the drivers of both clients have in common."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable

#: one call; gives how many pieces (of a stream) or 1
Call = Callable[[], int]
BODY = json.dumps(
    {"model": "bench", "messages": [{"role": "user", "content": "What is a mutex?"}], "stream": False}
).encode()
STREAM_BODY = BODY.replace(b"false", b"true")
WARM_UP_S = 0.5


def measure(make: Callable[[], Call], threads: int, seconds: float) -> None:
    """Each thread makes its own call and repeats it. Prints calls, seconds, CPU seconds of the process, failed."""
    counts, failed = [0] * threads, [0] * threads
    began = threading.Event()
    ends = [0.0]

    def work(place: int) -> None:
        call = make()
        call()
        began.wait()
        while time.perf_counter() < ends[0]:
            try:
                counts[place] += call()
            except Exception:  # noqa: BLE001 - whatever either client raises, counted
                failed[place] += 1

    workers = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
    for worker in workers:
        worker.start()
    time.sleep(WARM_UP_S)
    started_s, cpu_s = time.perf_counter(), time.process_time()
    ends[0] = started_s + seconds
    began.set()
    for worker in workers:
        worker.join()
    took_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    json.dump({"calls": sum(counts), "seconds": took_s, "cpu_s": cpu_s, "failed": sum(failed)}, sys.stdout)


def arguments() -> tuple[str, str, int, float]:
    """KIND URL THREADS SECONDS"""
    kind, url, threads, seconds = sys.argv[1:]
    return kind, url, int(threads), float(seconds)
