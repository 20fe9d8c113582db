"""The main job on real input: the whole stack against the recorded latencies of a trace.

    python -m tests.bench.trace_stack TRACE [--rounds 12] [--speed 40]

Starts `tooloo up` with the lab playing TRACE (beat, workers, PostgreSQL, Redis, optimizer, gateway: all real), runs a
benchmark round where the trace has one, sends each of its requests through POST /api/v1/chat in between, and compares
what was served with what the same requests would have met at random and at each fixed provider.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from click.testing import CliRunner

from app.cli.lab import lab
from app.lab.trace import read_trace
from tests.support.stack import Stack, stack
from tests.support.waiting import wait_until

FINAL = {"done", "partial", "failed"}


@dataclass(frozen=True)
class Served:
    """One request: who answered, after how many attempts, and how long the caller waited, in recorded time."""

    provider: str
    attempts: int
    measured_ms: float
    #: what every provider would have taken
    recorded_ms: dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=Path)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--speed", type=float, default=40.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tooloo-trace-") as name:
        print_report(arguments.trace, arguments.speed, run(Path(name), arguments))


def run(folder: Path, arguments: argparse.Namespace) -> list[Served]:
    made = CliRunner().invoke(
        lab,
        ["config", str(arguments.trace), "--output", str(folder / "config"), "--speed", str(arguments.speed)],
        catch_exceptions=False,
    )
    assert made.exit_code == 0, made.output
    environment = {"TOOLOO_LAB_TRACE": str(arguments.trace.resolve()), "TOOLOO_LAB_SPEED": str(arguments.speed)}
    # the trace says when its rounds are; the hourly slot stays out of it
    with stack(folder, policy={"interval_s": 86_400}, **environment) as running:
        return list(play(running, arguments))


def play(running: Stack, arguments: argparse.Namespace) -> Iterator[Served]:
    """Walk through the rows of the trace, as its clock would."""
    wait_until(lambda: running.get("/api/v1/system/benchmark-results")["latest"], 60, "the first round")
    rounds = requests_sent = 0
    for row in read_trace(arguments.trace).rows:
        if row.is_round:
            if rounds == arguments.rounds:
                return
            advance(running, {"round": rounds})
            measure(running)
            rounds += 1
        else:
            advance(running, {"request": requests_sent})
            yield ask(running, requests_sent, row.samples, arguments.speed)
            requests_sent += 1


def advance(running: Stack, to: dict[str, int]) -> None:
    lab = f"http://127.0.0.1:{running.environment['TOOLOO_LAB_PORT']}"
    requests.post(f"{lab}/lab/trace/advance", json=to, timeout=10).raise_for_status()


def measure(running: Stack) -> None:
    round_id = running.post("/api/v1/system/benchmarks", {"beside": True})["roundId"]
    path = f"/api/v1/system/benchmarks/{round_id}"
    state = wait_until(lambda: shown if (shown := running.get(path))["status"] in FINAL else None, 300, round_id)
    assert state["status"] == "done", state


def ask(running: Stack, number: int, samples: Any, speed: float) -> Served:
    reply = running.post("/api/v1/chat", {"message": f"Request {number} of the trace"})
    return Served(
        provider=reply["provider"],
        attempts=len(reply["attempts"]),
        measured_ms=reply["latency"] * speed,
        recorded_ms={name: of_provider[0].latency_ms for name, of_provider in samples.items()},
    )


def print_report(trace: Path, speed: float, served: Sequence[Served]) -> None:
    providers = list(served[0].recorded_ms)
    fixed = {name: [each.recorded_ms[name] for each in served] for name in providers}
    best = min(providers, key=lambda name: statistics.mean(fixed[name]))
    columns = {
        "served by TooLoo": [each.recorded_ms[each.provider] for each in served],
        "… as the caller measured it": [each.measured_ms for each in served],
        "random choice": [value for each in served for value in each.recorded_ms.values()],
        f"best fixed host ({best})": fixed[best],
        "best host at every step": [min(each.recorded_ms.values()) for each in served],
    }
    print(f"{trace.name}, {len(served)} requests, played {speed:g} times as fast as recorded\n")
    print("| | mean ms | p50 ms | p95 ms |\n|---|---|---|---|")
    for name, values in columns.items():
        cuts = statistics.quantiles(values, n=100)
        print(f"| {name} | {statistics.mean(values):,.0f} | {cuts[49]:,.0f} | {cuts[94]:,.0f} |")
    shares = Counter(each.provider for each in served)
    print("\n" + json.dumps({name: round(count / len(served), 3) for name, count in shares.most_common()}))
    print(json.dumps({"second attempts": sum(each.attempts > 1 for each in served)}))


if __name__ == "__main__":
    main()
