"""Measurements. `make bench` runs the short ones; `make bench ARGS="trace TRACE"` the long one.

lab      how well the lab keeps its times, at 100 calls at once
client   what a provider call costs over a raw pooled urllib3 request
gateway  requests/s, added latency and streams, beside a bare pass-through and LiteLLM
trace    the whole stack on a recorded trace
"""

from __future__ import annotations

import runpy
import sys

BENCHES = {
    "lab": "tests.bench.lab_timing",
    "client": "tests.providers.overhead",
    "gateway": "tests.bench.gateway",
    "trace": "tests.bench.trace_stack",
}
SHORT = ("lab", "client")


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
