"""For the bench of rounds: a Celery worker in a process of its own; it runs probes that call nobody, or bare tasks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
from sqlalchemy import func, select, text

from app import bootstrap, settings
from app.benchmark import benchmark
from app.broker import PROBE, make_celery, probe_queue
from app.services import Services
from app.store import database
from app.store.models import Probe, ProbeStatus
from tests.support import servers
from tests.support.system import FakeCanary, FakeClient
from tests.support.waiting import wait_until

BARE = "bench.store_a_row"
CONFIG = Path(__file__).resolve().parents[2] / "config"
PROVIDER = "openai"


def run(folder: Path, *, tasks: int, threads: int) -> dict[str, tuple[float, float]]:
    """(wall ms, CPU ms of the worker) per task, of bare tasks and of probes."""
    make_config(folder / "config", tasks, threads)
    with servers.folder() as data, servers.postgres(data) as postgres_url, servers.redis(data) as redis_url:
        database.migrate(postgres_url)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")},
            "DATABASE_URL": postgres_url,
            "REDIS_URL": redis_url,
            "TOOLOO_CONFIG_DIR": str(folder / "config"),
            "TOOLOO_DATA_DIR": str(folder / "data"),
            "TOOLOO_LAB_URL": "http://lab.invalid",
        }
        services = bootstrap.build(settings.load(environment, dotenv=None), threads=threads)
        with services.engine.begin() as connection:
            connection.execute(text("CREATE TABLE bare (n int primary key, at timestamptz default now())"))
        command = [sys.executable, "-m", "tests.bench.bare_tasks", str(threads)]
        worker = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return _timed(services, worker.pid, tasks)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(30)
            services.engine.dispose()
            services.redis.close()


def make_config(config: Path, prompts: int, concurrency: int) -> None:
    shutil.copytree(CONFIG, config, ignore=shutil.ignore_patterns("runtime.json"))
    (config / "providers.toml").write_text(
        f'[{PROVIDER}]\nformat = "openai"\nbase_url = "http://127.0.0.1:9"\nmodels = ["m"]\n'
        f"concurrency = {concurrency}\n"
    )
    block = 'category = "q"\ntext = "?"\nmax_tokens = 50\ngrader = "exact"\nexpected = { items = [{ accept = "x" }] }\n'
    (config / "prompts.toml").write_text("\n".join(f"[p{n}]\n{block}" for n in range(prompts)))


def _timed(services: Services, pid: int, tasks: int) -> dict[str, tuple[float, float]]:
    celery = services.messages.celery

    def send_bare() -> None:
        for n in range(tasks):
            celery.send_task(BARE, args=[n], queue=probe_queue(PROVIDER))

    def stored() -> int:
        with services.engine.connect() as connection:
            return connection.scalar(text("SELECT count(*) FROM bare")) or 0

    def finished() -> int:
        with services.engine.connect() as connection:
            return connection.scalar(select(func.count()).where(Probe.status == ProbeStatus.OK)) or 0

    celery.send_task(BARE, args=[-1], queue=probe_queue(PROVIDER))
    wait_until(lambda: stored() == 1, 60, "the worker is at work")
    return {
        "a task that stores a row": _time(pid, tasks, send_bare, lambda: stored() == tasks + 1),
        "a probe whose call takes no time": _time(
            pid, tasks, lambda: benchmark.start_round(services), lambda: finished() == tasks
        ),
    }


def _time(pid: int, tasks: int, send: Callable[[], object], done: Callable[[], bool]) -> tuple[float, float]:
    worker = psutil.Process(pid)
    began_s, used = time.perf_counter(), worker.cpu_times()
    send()
    wait_until(done, 600, "all tasks done")
    wall_s = time.perf_counter() - began_s
    now = worker.cpu_times()
    cpu_s = now.user + now.system - used.user - used.system
    return wall_s / tasks * 1000, cpu_s / tasks * 1000


def work(threads: int) -> None:
    """The worker: our tasks as they are, on a client that answers at once."""
    from workers import tasks

    configured = settings.load(dotenv=None)
    services = bootstrap.build(configured, threads=threads)
    client, canary = FakeClient(), FakeCanary()
    services = replace(services, client=client, canary=canary)  # type: ignore[arg-type]  # the seams
    tasks._received[:] = [services]
    app = make_celery(configured.require_redis_url(), [PROVIDER])
    app.task(tasks.probe, name=PROBE)

    @app.task(name=BARE)  # type: ignore[untyped-decorator]  # Celery
    def store_a_row(n: int) -> None:
        with services.engine.begin() as connection:
            connection.execute(text("INSERT INTO bare (n) VALUES (:n)"), {"n": n})

    arguments = ["--quiet", "worker", "--pool=threads", f"--concurrency={threads}", f"--queues={probe_queue(PROVIDER)}"]
    app.start([*arguments, "--without-mingle", "--without-gossip"])


if __name__ == "__main__":
    work(int(sys.argv[1]))
