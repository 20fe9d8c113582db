"""An API process of its own, whose clock the test moves: python -m tests.support.api_process FOLDER

FOLDER/config is its config, without exploration; FOLDER/clock says what time it is, which stands still. DATABASE_URL
and REDIS_URL come from the environment. Prints its port when it answers, and ends with its standard input.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from werkzeug.serving import make_server

from app import bootstrap
from app.api import create_app
from app.live import live_config
from app.providers.client import Client, Pool
from tests.support.front import _Handler
from tests.support.system import ROOT, build

START = datetime.now(UTC)


@contextmanager
def api_processes(folder: Path, database_url: str, redis_url: str, count: int) -> Iterator[list[str]]:
    """Their URLs. They end with the test, also where it fails."""
    environment = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "PYTHONPATH": str(ROOT)}
    set_clock(folder, 0)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.api_process", str(folder)],
            env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(count)
    ]  # fmt: skip
    try:
        yield [f"http://127.0.0.1:{_port(process)}" for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def set_clock(folder: Path, at_s: float) -> None:
    """Seconds from START on, for all processes of the folder; no one ever reads half of it."""
    written = folder / "clock.new"
    written.write_text((START + timedelta(seconds=at_s)).isoformat())
    written.replace(folder / "clock")


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("port "):
            threading.Thread(target=process.stdout.read, daemon=True).start()  # what it logs fills no pipe
            return int(line.split()[1])
    raise AssertionError(f"the API process ended with {process.wait()}")


def main(folder: Path) -> None:
    clock = folder / "clock"
    live_config.utc_now = lambda: datetime.fromisoformat(clock.read_text())
    system = build(os.environ["DATABASE_URL"], os.environ["REDIS_URL"], folder)
    running = bootstrap.start(replace(system.services, client=Client(Pool(16))), seed=1)
    running.gateway.breakers.trials.patience_s = 10  # a machine that is busy does not decide a test
    live = system.services.config
    live.value = live.value.model_copy(
        update={"global_": live.value.global_.model_copy(update={"exploration_rate": 0.0})}
    )
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, create_app(running), threaded=True, request_handler=_Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"port {server.port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
