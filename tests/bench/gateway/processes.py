"""A server that is measured: how it is started, waited for, and what it costs."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.bench.gateway import load, wrk

#: of the project; not tests.support.system's, which loads all of the application
ROOT = Path(__file__).resolve().parents[3]
PROCESSES = 2
READY_S = 120
#: LiteLLM writes its logs and callbacks for seconds after its last answer
SETTLE_S = 20
#: s of CPU in half a second, below which all of them are at rest
AT_REST_S = 0.05


class NotStarted(Exception):
    """It cannot take part; why is the message."""


@dataclass(frozen=True)
class Server:
    name: str
    port: int
    path: str
    model: str
    process: subprocess.Popen[bytes] | None = None
    #: sent with each request
    headers: Mapping[str, str] = field(default_factory=dict)

    def all_headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "Authorization": f"Bearer {load.KEY}", **self.headers}

    def message(self, body: bytes | None = None, *, stream: bool = False) -> bytes:
        return load.request(self.path, body or load.chat(self.model, stream=stream), self.all_headers())

    def closed_loop(self, callers: int, seconds: float) -> wrk.Served:
        body = load.chat(self.model, stream=False)
        return wrk.closed_loop(self.port, self.path, body, self.all_headers(), callers, seconds)

    def cpu_s(self) -> float:
        times = [each.cpu_times() for each in self._tree()]
        return sum(each.user + each.system for each in times)

    def memory_mb(self) -> float:
        """Without what its processes share, counted twice."""
        return sum(each.memory_full_info().pss for each in self._tree()) / 1e6

    def _tree(self) -> list[psutil.Process]:
        if self.process is None:
            return []
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]


@contextmanager
def run(name: str, command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (log / f"{name}.log").open("ab") as out:
        process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=ROOT, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(server: Server, path: str, log: Path) -> None:
    """Until it answers a GET of `path`, whatever it answers. `log` is where it says why it cannot."""
    url = f"http://127.0.0.1:{server.port}{path}"
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            if server.process is not None and server.process.poll() is not None:
                break
            time.sleep(0.1)
    raise NotStarted(f"it did not start; {last_line(log)}")


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"it said last: {lines[-1][:200]}" if lines else "it said nothing"


def settle(everything: Sequence[Server]) -> None:
    """Until none of them works any more: what one puts off until it has answered must not slow down the next one."""
    end = time.monotonic() + SETTLE_S
    before = sum(server.cpu_s() for server in everything)
    while time.monotonic() < end:
        time.sleep(0.5)
        now = sum(server.cpu_s() for server in everything)
        if now - before < AT_REST_S:
            return
        before = now
