"""The whole stack, started as a user starts it: `tooloo up` in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.support import bodies
from tests.support.ports import free_port
from tests.support.system import ROOT
from tests.support.waiting import wait_until

TOOLOO = (sys.executable, "-m", "app.cli.main")
#: as promised: ready within a minute, gone within 15 s; the deadlines here only keep a broken stack from hanging CI
READY_S = 120
GONE_S = 30
#: with it no provider of the lab fails twice in twelve of its first 300 calls, so that no round of ten sees three
#: failures by chance, which rightly moves weights and exploration
SEED = "74"
#: in the folder of a stack: the bodies that its lab got, from whichever process
RECORDED = "bodies.jsonl"
#: chat requests in flight at once
CLIENTS = 5


@dataclass(frozen=True)
class Stack:
    process: subprocess.Popen[str]
    environment: Mapping[str, str]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['TOOLOO_PORT']}"

    @property
    def flower(self) -> str:
        return f"http://127.0.0.1:{self.environment['TOOLOO_FLOWER_PORT']}"

    def get(self, path: str) -> Any:
        response = requests.get(self.url + path, timeout=10)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def post(self, path: str, body: dict[str, Any]) -> Any:
        response = requests.post(self.url + path, json=body, timeout=60)
        assert response.ok, response.text
        return response.json()["data"]

    def tooloo(self, *arguments: str) -> Any:
        """Run a command of the CLI with --json, as in a second terminal; what it printed."""
        done = subprocess.run(
            [*TOOLOO, *arguments, "--json"],
            env=self.environment, capture_output=True, text=True, cwd=ROOT, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def chat_targets(self, count: int) -> list[str]:
        """Which provider answered each of `count` requests, a few of them at once."""
        with ThreadPoolExecutor(CLIENTS) as clients:
            return list(clients.map(self._chat_target, range(count)))

    def _chat_target(self, number: int) -> str:
        answered = self.post("/api/v1/chat", {"message": f"What is {number} + {number}?"})
        return str(answered["provider"])

    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def pids(self, name: str) -> list[int]:
        """Processes of this stack whose command line holds `name`."""
        marker = self.environment["TOOLOO_DATA_DIR"].encode()
        return [pid for pid, line, variables in _processes() if name in line and marker in variables]

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=GONE_S)


@contextmanager
def stack(
    folder: Path,
    *,
    policy: Mapping[str, object] | None = None,
    ready_s: float = READY_S,
    recorded: bool = True,
    **environment: str,
) -> Iterator[Stack]:
    """A ready stack on free ports, its data and config in `folder`. `policy` replaces values of policy.toml by key.

    Not `recorded`: its lab is a test's own.
    """
    config = folder / "config"
    if not config.exists():
        shutil.copytree(ROOT / "config", config, ignore=shutil.ignore_patterns("runtime.json"))
    # however busy the machine that runs the tests: its rounds count
    replace(config / "policy.toml", {"measurement_error_ms": 1000.0, **(policy or {})})
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    variables = {
        **clean,
        "TOOLOO_CONFIG_DIR": str(config),
        "TOOLOO_DATA_DIR": str(folder / "data"),
        "TOOLOO_PORT": str(free_port()),
        "TOOLOO_FLOWER_PORT": str(free_port()),
        "TOOLOO_LAB_PORT": str(free_port()),
        "TOOLOO_LAB_SEED": SEED,
        "TOOLOO_LAB_RECORD": str(folder / RECORDED),
        "PYTHONPATH": str(ROOT),
        **environment,
    }
    log = folder / "up.log"
    with log.open("w") as out:
        process = subprocess.Popen([*TOOLOO, "up"], env=variables, cwd=folder, stdout=out, stderr=out, text=True)
    running = Stack(process, variables, log)
    try:
        wait_until(lambda: _ready(running), ready_s, "TooLoo is ready")
        yield running
    except BaseException:
        print(running.printed())  # what pytest shows when the test fails
        raise
    finally:
        running.stop()
    if recorded:
        assert bodies.check_recorded(folder / RECORDED), "the lab recorded nothing"


def _ready(running: Stack) -> bool:
    assert running.process.poll() is None, f"`tooloo up` ended:\n{running.printed()}"
    return "TooLoo is ready" in running.printed()


def replace(file: Path, values: Mapping[str, object]) -> None:
    """Set `key = value` lines of a TOML file."""
    text = file.read_text()
    for key, value in values.items():
        text, count = re.subn(rf"^{key} = [^ \n]+", f"{key} = {value}", text, flags=re.MULTILINE)
        assert count, f"{file.name} has no {key}"
    file.write_text(text)


def _processes() -> Iterator[tuple[int, str, bytes]]:
    """Pid, command line and environment of every process that may be read."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield int(entry.name), line, (entry / "environ").read_bytes()
            except OSError:  # gone meanwhile, or somebody else's
                continue
