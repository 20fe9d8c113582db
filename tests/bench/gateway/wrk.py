"""Requests by callers that wait for their answer: wrk's, which costs next to nothing, or Python's where it is missing.

wrk is a package of Debian, Ubuntu (`apt install wrk`), Fedora and Homebrew.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.gateway import load

COMPILED = shutil.which("wrk") is not None
LABEL = (
    "load by wrk"
    if COMPILED
    else "load by Python, which costs more than what it measures: install wrk (Debian, Ubuntu: apt install wrk)"
)
SCRIPT = """
wrk.method = "POST"
wrk.body = %s
%s
done = function(summary, latency, requests)
  local bad = summary.errors
  io.write(string.format("TAKEN %%d %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    bad.status + bad.connect + bad.read + bad.write + bad.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""
SUMMED = re.compile(r"^TAKEN (\d+) (\d+) (\d+) (-?\d+) (-?\d+) (-?\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Served:
    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Of those that were answered well."""
        return max(0, self.requests - self.failed) / self.seconds if self.seconds else 0.0


def closed_loop(port: int, path: str, body: bytes, headers: Mapping[str, str], callers: int, seconds: float) -> Served:
    """Each of `callers` asks again as soon as it has its answer. wrk takes whole seconds."""
    if not COMPILED:
        return _in_python(port, load.request(path, body, headers), callers, seconds)
    with tempfile.TemporaryDirectory(prefix="tooloo-wrk-") as folder:
        script = Path(folder) / "post.lua"
        lines = "\n".join(f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in headers.items())
        script.write_text(SCRIPT % (_lua(body.decode()), lines))
        whole_s = max(1, round(seconds))
        command = ["wrk", "-t1", f"-c{callers}", f"-d{whole_s}s", "--timeout", "30s", "-s", str(script)]
        url = f"http://127.0.0.1:{port}{path}"
        ran = subprocess.run([*command, url], capture_output=True, text=True, check=False, timeout=whole_s + 60)
    if (found := SUMMED.search(ran.stdout)) is None:
        raise OSError(f"wrk said nothing to read: {(ran.stderr or ran.stdout)[-200:]!r}")
    requests, us, failed, *latencies_us = map(int, found.groups())
    if not requests:  # nobody was answered while it was measured, which is no latency of 0
        latencies_us = [us] * 3
    return Served(requests, us / 1e6, failed, *(each / 1000 for each in latencies_us))


def _lua(text: str) -> str:
    """JSON's strings are Lua's, where they are ASCII and nothing is escaped by \\u."""
    return json.dumps(text)


def _in_python(port: int, message: bytes, callers: int, seconds: float) -> Served:
    taken = load.run(load.closed_loop(port, message, callers, seconds))
    shares = (load.percentile(taken.ms, share) for share in (0.5, 0.95, 0.99))
    return Served(len(taken.ms) + taken.failed, taken.seconds, taken.failed, *shares)
