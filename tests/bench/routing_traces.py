"""What LiteLLM's own strategies capture on traces, beside ours and the baselines, on the same first attempts.

    python -m tests.bench.routing_traces [--all] [TRACE…]

LiteLLM runs in its own environment on the trace's clock (litellm_driver.py); its decisions are scored by the code that
scores ours. It chooses among one deployment per provider, knows the prices of the latest round, and gets the outcome of
its choice through its own callbacks; a failure is a 503. Default settings; --all adds usage-based-routing-v2, and a
cooldown like our breaker's. Means over seeds 0-2 of what draws random numbers. Left out: least-busy, as no two requests
of a trace overlap. About two minutes on two idle cores.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from app.cli.replay import read_lines
from app.config_files import load_policy
from app.domain.replay import trace
from app.domain.replay.metrics import Tally
from app.domain.replay.replay import replay
from app.domain.replay.trace import Header, Request, Round
from tests.bench import litellm_env
from tests.domain.replay.trace_lines import call, lines, request_row, round_row

TRACES = Path("../shared/traces")
DRIVER = Path(__file__).with_name("litellm_driver.py")
SEEDS, ONE = (0, 1, 2), (0,)
#: of ours, and the seeds that make a difference
OURS: Mapping[str, Sequence[int]] = {"tooloo": SEEDS, "static": ONE, "ucb1": ONE, "thompson": SEEDS, "random": SEEDS}
#: name → strategy, settings of the Router, seeds; `allowed_fails` may happen before a cooldown
Theirs = Mapping[str, tuple[str, Mapping[str, Any], Sequence[int]]]
THEIRS: Theirs = {
    "shuffle": ("simple-shuffle", {}, SEEDS),
    "latency": ("latency-based-routing", {}, SEEDS),
    "cost": ("cost-based-routing", {}, ONE),
}
#: with --all
MORE: Theirs = {
    "latency+60s": ("latency-based-routing", {"allowed_fails": 2, "cooldown_time": 60}, SEEDS),
    "usage-v2": ("usage-based-routing-v2", {}, SEEDS),
    "cost+60s": ("cost-based-routing", {"allowed_fails": 2, "cooldown_time": 60}, ONE),
}
Figures = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Held:
    """A trace, read once for many policies."""

    text: Sequence[str]
    header: Header
    rows: Sequence[Round | Request]

    @classmethod
    def of(cls, path: Path) -> Held:
        text = list(read_lines(path))
        header, rows = trace.read(text)
        return cls(text, header, list(rows))


def measured(paths: Sequence[Path], python: Path, theirs: Theirs) -> list[tuple[Header, Figures]]:
    """Of each trace: the figures of each policy, one per seed. One process of LiteLLM's for all: it starts slowly."""
    held = [Held.of(path) for path in paths]
    with tempfile.TemporaryFile("w+") as answers:
        with _driven(held, python, theirs, answers):
            ours = [_ours(each.text) for each in held]
        answers.seek(0)
        return [
            (each.header, {**mine, **_theirs(each, theirs, answers)}) for each, mine in zip(held, ours, strict=True)
        ]


@contextmanager
def _driven(held: Sequence[Held], python: Path, theirs: Theirs, answers: IO[str]) -> Iterator[None]:
    """LiteLLM at work, until the end of the block at least; then its decisions stand in `answers`."""
    runs = [(strategy, settings, seed) for strategy, settings, seeds in theirs.values() for seed in seeds]
    with tempfile.TemporaryFile("w+") as documents:
        for each in held:
            document = {"providers": each.header.providers, "rows": list(_shown(each.rows)), "runs": runs}
            documents.write(json.dumps(document) + "\n")
        documents.seek(0)
        with subprocess.Popen(
            [python, DRIVER], stdin=documents, stdout=answers, stderr=subprocess.PIPE, text=True,
            env=litellm_env.ENVIRONMENT,
        ) as driver:  # fmt: skip
            yield
            _, said = driver.communicate()
    if driver.returncode != 0:
        raise RuntimeError(f"LiteLLM ended early: {said[-2000:]}")


def _ours(text: Sequence[str]) -> Figures:
    policy = load_policy(Path("config"))
    return {name: [replay(text, name, policy, seed).figures for seed in seeds] for name, seeds in OURS.items()}


def _theirs(held: Held, theirs: Theirs, answers: IO[str]) -> Figures:
    requests = [row for row in held.rows if isinstance(row, Request)]
    return {
        f"LiteLLM {name}": [_scored(held.header, requests, json.loads(answers.readline())) for _ in seeds]
        for name, (_, _, seeds) in theirs.items()
    }


def _shown(rows: Sequence[Round | Request]) -> Iterator[tuple[str, float, Mapping[str, Any]]]:
    """What the driver needs of a trace: of a round the prices, of a request what each provider would have given."""
    for row in rows:
        if isinstance(row, Request):
            yield "request", row.at_s, {name: (s.latency_ms, s.ok, s.tokens) for name, s in row.samples.items()}
            continue
        answered = {name: [s for s in samples if s.ok and s.tokens] for name, samples in row.table.items()}
        prices = {
            name: sum(s.cost_usd for s in samples) / sum(s.tokens for s in samples)
            for name, samples in answered.items()
            if samples
        }
        yield "prices", row.at_s, prices


def _scored(header: Header, requests: Sequence[Request], decisions: Sequence[str]) -> Mapping[str, Any]:
    tally = Tally(header)
    for request, provider in zip(requests, decisions, strict=True):
        tally.add(request, provider)
    return tally.figures()


def small_trace(folder: Path) -> Path:
    """Where no traces are at hand: the best of three providers becomes slow for a third of the time, then dies."""
    rows: list[Mapping[str, Any]] = []
    dead = call(30, ok=False, cost_usd=0)
    for number in range(900):
        best = call(200) if number < 300 else call(600) if number < 600 else dead
        calls = {"a": best, "b": call(350), "c": call(500)}
        rows += [round_row(6.0 * number, calls)] if number % 150 == 0 else []
        rows.append(request_row(6.0 * number, calls))
    path = folder / "small.jsonl"
    path.write_text("".join(lines(rows, name="small", providers=["a", "b", "c"], roundIntervalS=900.0)))
    return path


def main(arguments: Sequence[str]) -> None:
    python, workers = litellm_env.python().absolute(), os.cpu_count() or 1
    theirs = {**THEIRS, **(MORE if "--all" in arguments else {})}
    paths = [Path(each) for each in arguments if not each.startswith("-")] or sorted(TRACES.glob("*.jsonl.gz"))
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor() as pool:
        if not paths:
            print(f"no traces in {TRACES}: a small one is made, which proves little")
            paths = [small_trace(Path(folder))]
        shares = [paths[n::workers] for n in range(workers)]
        jobs = [pool.submit(measured, share, python, theirs) for share in shares if share]
        done = sorted((each for job in jobs for each in job.result()), key=lambda each: each[0].name)
    print(f"\nLiteLLM {litellm_env.VERSION}, driven on the clock of the traces; means over seeds")
    _print("captured", "captured", "{:.3f}", done)
    _print("first attempts that failed", "failRate", "{:.2%}", done)


def _print(title: str, key: str, form: str, done: Sequence[tuple[Header, Figures]]) -> None:
    names = list(done[0][1])
    print(f"\n{title:30}" + "".join(f"{name.removeprefix('LiteLLM '):>12}" for name in names))
    for header, found in done:
        values = [[each[key] for each in found[name]] for name in names]
        cells = ["–" if None in each else form.format(statistics.mean(each)) for each in values]
        name = f"{header.name} (simulated)" if header.simulated else header.name
        print(f"{name:30}" + "".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main(sys.argv[1:])
