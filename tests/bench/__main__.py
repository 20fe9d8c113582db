"""Measurements. `make bench` runs the short ones; `make bench ARGS="trace TRACE"` the long one.

lab      how well the lab keeps its times, at 100 calls at once
config   how fast the runtime config is read, and reaches ten processes
client   what a provider call costs over a raw pooled urllib3 request, and our client beside libcurl (installed into
         build/ for it)
rounds   wall time, task overhead and measurement error of rounds; --large adds one of 10,000 probes
routing  what one routing decision costs, and what decisions are worth on traces, beside LiteLLM's strategies (installed
         into build/ for it); --without-traces leaves out the latter, which takes minutes, --all adds strategies to it
regimes  what decisions are worth in simulated regimes, beside other policies, held to the bars; takes minutes. Options
         are those of `tooloo replay --regimes`
gateway  requests/s, added latency, streams, memory and what callers cost each other, beside pass-throughs, ferro,
         Portkey and LiteLLM (installed into build/ for it); --short for a look
failover the best provider dies under load: failed requests, and what the others wait
reading  what the pages' routes cost with a year of rounds and ten million outcomes, which take minutes to fill
affinity ten turns of an agent, with affinity and without: money, time and moves
trace    the whole stack on a recorded trace
"""

from __future__ import annotations

import runpy
import sys

BENCHES = {
    "lab": "tests.bench.lab_timing",
    "client": "tests.bench.client",
    "config": "tests.bench.config_propagation",
    "rounds": "tests.bench.rounds",
    "routing": "tests.bench.routing",
    "regimes": "tests.bench.regimes",
    "gateway": "tests.bench.gateway",
    "failover": "tests.bench.failover",
    "reading": "tests.bench.reading",
    "affinity": "tests.bench.affinity",
    "trace": "tests.bench.trace_stack",
}
SHORT = ("lab", "client", "config", "routing")


def main(arguments: list[str]) -> None:
    name, *rest = arguments or [""]
    if name and name not in BENCHES:
        sys.exit(f"there is no bench {name!r}; there are: {', '.join(BENCHES)}\n\n{__doc__}")
    for each in [name] if name else SHORT:
        print(f"── {each}")
        sys.argv = [BENCHES[each], *rest]
        runpy.run_module(BENCHES[each], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
