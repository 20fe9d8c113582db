"""The gateway beside pass-throughs and other gateways: make bench ARGS="gateway [--short] [--only NAME,…]"

All have two processes (or two cores), in front of one upstream that costs next to nothing; what is measured takes
turns, and each figure is the median of --runs. The machine is shared by all of them, by the load, and by the Postgres
and Redis of ours, so only ratios within one run mean anything. wrk and nginx are used where they are installed, and
said to be missing where not. What cannot be installed or started is a row that says why.

--only takes names of those beside ours: flask, wsgi, ferro, portkey, litellm; "" for none. --parts: throughput,
latency, streams, neighbours, memory. --short is for a look: one run, of a second each.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.gateway import others, ours, upstreams, wrk
from tests.bench.gateway.figures import Figures, show_bars
from tests.bench.gateway.phases import BESIDE, PHASES, Bench, Plan
from tests.bench.gateway.processes import NotStarted, Server

BESIDES = {
    "flask": others.bare_flask,
    "wsgi": others.bare_wsgi,
    "ferro": others.ferro,
    "portkey": others.portkey,
    "litellm": others.litellm,
}
#: how each is called in the table
TITLES = {"flask": "bare Flask", "wsgi": "bare WSGI", "ferro": "ferro", "portkey": "Portkey", "litellm": "LiteLLM"}
SHORT = Plan(seconds=1, runs=1, callers=(1, 32, 200), streams=(200, 400, 500), memory_s=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory-seconds", type=float, default=120, help="of load while memory is watched")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", type=_names(BESIDES), default=list(BESIDES))
    parser.add_argument("--parts", type=_names(PHASES), default=list(PHASES))
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # not without ending what was started
    callers = (1, 8, 16, 32, 64, 100, 200)
    plan = SHORT if args.short else Plan(args.seconds, args.runs, callers, (200, 400, 500), args.memory_seconds)
    print(f"{os.cpu_count()} cores, load average before: {os.getloadavg()[0]:.1f}; {wrk.LABEL}; {upstreams.LABEL};")
    print(f"delays and streams by Python (uvloop). {plan.runs} run(s) of {plan.seconds:g} s.", flush=True)
    figures = Figures()
    try:
        measure(plan, args.only, args.parts, figures)
    except NotStarted as error:
        sys.exit(f"ours, or what is behind it, cannot be measured: {error}")
    finally:  # also where it is ended early: what is known is known
        figures.show()
        show_bars(figures, BESIDE)


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = [name for name in text.split(",") if name]
        if unknown := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return found

    return names


def measure(plan: Plan, beside: Sequence[str], parts: Sequence[str], figures: Figures) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tooloo-bench-")))
        log = folder / "log"
        log.mkdir()
        upstream = stack.enter_context(upstreams.Upstream(folder, log))
        upstream.at_once()
        gateways = [stack.enter_context(ours.tooloo(upstream.port, folder, log))]
        started = (_started(name, upstream.port, folder, log, stack, figures) for name in beside)
        gateways += [server for server in started if server is not None]
        figures.names = ["direct", *(server.name for server in gateways)]
        bench = Bench(plan, upstream, gateways, figures)
        for part in parts:
            print(f"measuring {part} …", flush=True)
            PHASES[part](bench)


def _started(name: str, port: int, folder: Path, log: Path, stack: ExitStack, figures: Figures) -> Server | None:
    try:
        return stack.enter_context(BESIDES[name](port, folder, log))
    except NotStarted as error:
        figures.note(TITLES[name], f"takes no part: {error}")
        return None


if __name__ == "__main__":
    main()
