"""What one routing decision costs, explanation data included, beside LiteLLM's own strategies in the same run; and what
the decisions of both are worth on traces (routing_traces.py).

    python -m tests.bench.routing [--without-litellm] [--without-traces] [--all]

LiteLLM is nobody's dependency here: it is installed, pinned, into build/litellm-router for this bench alone, the first
time. CPU time, as the machine is shared; medians of seven interleaved runs. Compare the ratios: its speed drifts.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from app.domain.catalog import Target
from app.domain.config import runtime_config
from app.domain.config.runtime_config import ProviderConfig
from app.domain.evidence.scorecard import Scorecard
from app.domain.outcome import Outcome, Source
from app.domain.policy import Policy
from app.domain.routing import router
from app.domain.routing.plan import Plan
from tests.bench import litellm_env, routing_traces
from tests.domain.small_world import START

RUNS = 7
SIZES = (4, 100)
#: µs; and how many times cheaper than LiteLLM's latency-based routing
BARS = {4: 10.0, 100: 50.0}
CHEAPER = 20


def decision(size: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """One decision with its explanation, on a plan that stands; and the plan, made when the evidence changed."""
    policy, rng = Policy(), random.Random(1)
    targets = tuple(Target(f"p{n}", "model") for n in range(size))
    config = runtime_config.initial(0, {t.provider: ProviderConfig(priority=n) for n, t in enumerate(targets, 1)})
    rows = [
        Outcome(target, Source.BENCHMARK, START, True, 200.0 + 7 * n + rng.random(), cost_usd=0.001, quality=0.9)
        for n, target in enumerate(targets)
        for _ in range(10)
    ]
    card = Scorecard.empty().close_round(rows, policy)

    def plan() -> Plan:
        return router.plan(config, targets, card, {}, policy, START)

    made = plan()

    def decide() -> object:
        route = router.route(made, rng, START)
        return router.explanation_json(made, route)

    return decide, plan


def cost_us(step: Callable[[], object], seconds: float = 0.15) -> float:
    count, started = 0, time.process_time()
    while time.process_time() - started < seconds:
        for _ in range(10):
            step()
        count += 10
    return (time.process_time() - started) / count * 1e6


#: runs in LiteLLM's own environment; prints one JSON object per line that it reads
_THEIRS = """
import json, logging, sys, time
logging.disable(logging.CRITICAL)
from litellm import Router
routers = {}
def made(strategy, size):
    if (strategy, size) not in routers:
        models = [{"model_name": "m", "litellm_params": {"model": f"openai/m{n}", "api_key": "x", "api_base": "http://127.0.0.1:9"},
                   "model_info": {"id": str(n)}} for n in range(size)]
        routers[strategy, size] = Router(model_list=models, routing_strategy=strategy)
    return routers[strategy, size]
message = [{"role": "user", "content": "What is a mutex?"}]
for line in sys.stdin:
    strategy, size = json.loads(line)
    router, count, started = made(strategy, size), 0, time.thread_time()
    while time.thread_time() - started < 0.3:
        router.get_available_deployment(model="m", messages=message)
        count += 1
    print(json.dumps((time.thread_time() - started) / count * 1e6), flush=True)
"""
STRATEGIES = ("simple-shuffle", "latency-based-routing")


class LiteLLM:
    """Its process, which measures itself when it is told to."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [litellm_env.python(), "-c", _THEIRS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=litellm_env.ENVIRONMENT,
        )

    def cost_us(self, strategy: str, size: int) -> float | None:
        """None: this strategy has no synchronous decision."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([strategy, size]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return float(answer) if answer.strip() else None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def main(arguments: list[str]) -> None:
    theirs = None
    if "--without-litellm" not in arguments:
        try:
            theirs = LiteLLM()
        except subprocess.CalledProcessError as error:
            print(f"LiteLLM could not be installed ({error}): measured without it")
    for size in SIZES:
        _measure(size, theirs)
    if theirs is not None:
        theirs.close()
        if "--without-traces" not in arguments:
            routing_traces.main(arguments)


def _measure(size: int, theirs: LiteLLM | None) -> None:
    decide, plan = decision(size)
    costs: dict[str, list[float]] = {"decision with explanation": [], "new plan, as the evidence changed": []}
    strategies = [f"LiteLLM {name}" for name in STRATEGIES] if theirs is not None else []
    costs |= {name: [] for name in strategies}
    for _ in range(RUNS):
        costs["decision with explanation"].append(cost_us(decide))
        costs["new plan, as the evidence changed"].append(cost_us(plan))
        for name in strategies:
            found = theirs.cost_us(name.removeprefix("LiteLLM "), size) if theirs is not None else None
            if found is not None:
                costs[name].append(found)
    ours = statistics.median(costs["decision with explanation"])
    verdict = "met" if ours <= BARS[size] else "MISSED"
    print(f"\n{size} targets: µs of CPU, median of {RUNS} (lowest–highest)")
    for name, runs in costs.items():
        if runs:
            ratio = f"  × {statistics.median(runs) / ours:.0f}" if name.startswith("LiteLLM") else ""
            print(f"  {name:36}{statistics.median(runs):9.2f}  ({min(runs):.2f}–{max(runs):.2f}){ratio}")
    print(f"  bar ≤ {BARS[size]:g} µs: {verdict}")
    if costs.get("LiteLLM latency-based-routing"):
        cheaper = statistics.median(costs["LiteLLM latency-based-routing"]) / ours
        print(f"  bar ≥ {CHEAPER} × cheaper than LiteLLM latency-based: {'met' if cheaper >= CHEAPER else 'MISSED'}")


if __name__ == "__main__":
    main(sys.argv[1:])
