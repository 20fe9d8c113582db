"""The single processes, as a deployment starts them: api, worker, beat, flower, migrate.

Each imports what it needs when it is called: seven of them start at once with `tooloo up`.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import click
import structlog

from app import config_files, logs, memory, settings
from app.cli import ports
from app.cli.api_watchdog import Watchdog
from app.cli.terminal import say
from app.errors import DependencyUnavailable
from app.operations import listening, provider_file
from app.operations import started as started_file
from app.settings import Settings

log = structlog.get_logger()

#: what `--queues probes` stands for: the queue of every provider
ALL_PROBES = "probes"
#: threads beside those that wait for a provider: they write results and make canary calls
SPARE = 4
#: with more threads in one process, what is measured is off by too much: add processes instead (docs/benchmark.md)
MOST_THREADS = 50
#: whose lines go the way of all others
GRANIANS_LOGGERS = ("_granian", "granian.access")
#: s that a PostgreSQL gets to come up before a migration gives up
MIGRATE_PATIENCE_S = 60.0
#: open connections of one API process; beyond, they wait to be accepted
CONNECTIONS = 8192
#: of each: connections, and one more for a call to a provider
OPEN_FILES = 2 * CONNECTIONS
#: s that a port may still be held by who served there before
PORT_PATIENCE_S = 10.0


@click.command()
def migrate() -> None:
    """Bring the database schema up to date, once PostgreSQL answers.

    \b
    Example:  tooloo migrate
    """
    from app.store import database
    from app.store.models import SCHEMA

    configured = settings.load()
    logs.configure(configured.log_format, configured.log_level)
    tell = _teller(configured)
    url = configured.require_database_url()
    _wait_for_postgres(url, tell)
    found = database.migrate(url, tell=tell)
    newer = found > SCHEMA
    done = f"schema at {found}" + (f": of a later release (this one needs {SCHEMA}), nothing to do" if newer else "")
    log.info(done) if _logs_json(configured) else say(done)


def _logs_json(configured: Settings) -> bool:
    """Whoever asks for JSON gets no other line; a person at a terminal reads text."""
    return configured.environment.get("TOOLOO_LOG_FORMAT", "").strip().lower() == "json"


def _teller(configured: Settings) -> Callable[[str], None]:
    return log.warning if _logs_json(configured) else partial(say, err=True)


def _wait_for_postgres(url: str, tell: Callable[[str], None]) -> None:
    from app.store import database

    give_up_at = time.monotonic() + MIGRATE_PATIENCE_S
    told = False
    while (problem := database.problem(url)) is not None:
        if time.monotonic() > give_up_at:
            raise DependencyUnavailable(f"waited {MIGRATE_PATIENCE_S:.0f} s for PostgreSQL: {problem}")
        if not told:
            tell(f"waiting for PostgreSQL: {problem}")
            told = True
        time.sleep(0.2)


@click.command()
def api() -> None:
    """Serve the HTTP API.

    \b
    Example:  TOOLOO_PORT=4000 tooloo api
    """
    # prometheus_client looks for it when it is imported: each process counts in a file of its own there
    with tempfile.TemporaryDirectory(prefix="tooloo-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[started_file.FOLDER] = folder
        _serve(settings.load())


def _serve(configured: Settings) -> None:
    memory.keep_to_ourselves()
    from granian.constants import HTTPModes, Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    configured.check_exposure()
    logs.configure(configured.log_format, configured.log_level)
    _allow_open_files()
    server = Server(
        "app.api.server:create",
        factory=True,
        address=configured.host,
        port=configured.port,
        interface=Interfaces.RSGI,
        workers=configured.api_processes,
        backlog=1024,
        backpressure=CONNECTIONS,
        respawn_failed_workers=True,
        workers_kill_timeout=5,
        log_access=False,
        log_level=LogLevels.error,
        log_dictconfig={"loggers": {name: {"handlers": [], "propagate": True} for name in GRANIANS_LOGGERS}},
        websockets=False,
        http=HTTPModes.http1,  # one connection must not carry two hundred requests
    )
    _keep_sockets(server, configured)
    server._spawn_worker = partial(_spawned, server, server._spawn_worker)  # type: ignore[method-assign]  # as below
    begin_anew = server.signal_handler_reload
    reload = partial(_reload, begin_anew)
    server.signal_handler_reload = reload  # type: ignore[method-assign]  # it has no hook that could say no
    provider_file.watch(configured.config_dir, begin_anew)
    Watchdog(partial(_processes_of, server)).start()
    server.serve()


def _processes_of(server: Any) -> list[Any]:
    return [worker.inner for worker in list(server.wrks)]


def _keep_sockets(server: Any, configured: Settings) -> None:
    """Each API process serves on a socket that outlives it; elsewhere than on Linux the server has its own way."""
    from granian import net

    sockets = listening.handed_over(os.environ)
    if not sockets:
        ports.wait_for(ports.Port(configured.port, configured.host, "API", "TOOLOO_PORT"), PORT_PATIENCE_S)
    if multiprocessing.get_start_method() != "fork":  # a child would not have them
        return
    if not sockets:
        sockets = listening.opened(configured.host, configured.port, configured.api_processes)
    holder: Any = net.SocketHolder  # type: ignore[attr-defined]  # it has no types for what it makes of a descriptor
    holders = [holder(sock.fileno(), False, listening.BACKLOG) for sock in sockets]
    spawn, server._sso = server._spawn_worker, None

    def on_its_socket(idx: int, *args: Any, **kwargs: Any) -> Any:
        server._shd = holders[idx % len(holders)]
        listening.is_for_the_next(sockets[idx % len(sockets)])
        return spawn(idx, *args, **kwargs)

    server._spawn_worker = on_its_socket
    server._init_shared_socket = lambda: None  # ours stand
    server.hooks_shutdown.append(partial(listening.close, sockets))


def _allow_open_files() -> None:
    """As many as the system lets us have: a shell often allows 1,024, and a request has two connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _spawned(server: Any, spawn: Callable[..., Any], idx: int, *args: Any, **kwargs: Any) -> Any:
    """A worker whose start, where it takes another's place, ends when it can serve; the server ends the other then."""
    worker = spawn(idx, *args, **kwargs)
    if idx in server.respawned_wrks:
        start = worker.start

        def started() -> None:
            start()
            if not started_file.wait(worker.inner.pid, worker.is_alive):
                log.error("the new API process does not serve", pid=worker.inner.pid)

        worker.start = started
    return worker


def _reload(go_on: Callable[..., None], *args: Any) -> None:
    """SIGHUP: new processes, unless they could not start; the server would end the old ones all the same."""
    problem = provider_file.tried()
    if problem is None:
        go_on(*args)
    else:
        log.error("not reloaded, what runs goes on as it is", reason=problem)


@click.command()
@click.option(
    "--queues", "-q", default=ALL_PROBES, show_default=True, help="probes, control, optimizer, or queue names."
)
@click.option("--concurrency", "-c", type=click.IntRange(1, 200), default=None, help="Probes in flight, or processes.")
def worker(queues: str, concurrency: int | None) -> None:
    """Run a Celery worker: threads for probes, processes for control and optimizer.

    \b
    Example:  tooloo worker --queues probes --concurrency 16
              tooloo worker --queues control,optimizer
              tooloo worker --queues probe.deepseek,probe.gemini
    """
    from app import broker

    configured = settings.load()
    providers = config_files.load_providers(configured.config_dir)
    names = [
        name
        for wanted in queues.split(",")
        for name in (broker.queues(p.name for p in providers) if wanted == ALL_PROBES else [wanted.strip()])
    ]
    known = {broker.CONTROL, broker.OPTIMIZER, *broker.queues(p.name for p in providers)}
    for name in names:
        if name not in known:
            raise click.UsageError(f"unknown queue {name!r}; known are: {ALL_PROBES}, {', '.join(sorted(known))}")
    probes = any(name.startswith("probe.") for name in names)
    if probes and not all(name.startswith("probe.") for name in names):
        raise click.UsageError(
            "probes run in threads, control and optimizer in processes: give them workers of their own"
        )
    pool = ["--pool=threads"] if probes else ["--pool=prefork"]
    count = concurrency or (min(sum(p.concurrency for p in providers) + SPARE, MOST_THREADS) if probes else 1)
    anew = _Anew()
    provider_file.watch(configured.config_dir, anew.begin)
    _celery(
        "worker",
        *pool,
        f"--concurrency={count}",
        f"--queues={','.join(names)}",
        f"--hostname={'probes' if probes else names[0]}-{os.getpid()}@%h",
        "--without-mingle",
        "--without-gossip",
        "--task-events",
        then=anew.go_on,
    )


@click.command()
def beat() -> None:
    """Run Celery beat: the hourly round, ingest, reaper.

    \b
    Example:  tooloo beat
    """
    configured = settings.load()
    configured.data_dir.mkdir(parents=True, exist_ok=True)
    _celery("beat", "--pidfile=")


@click.command()
def flower() -> None:
    """Serve Flower, the view of workers and tasks.

    \b
    Example:  TOOLOO_FLOWER_AUTH=me:secret TOOLOO_FLOWER_HOST=0.0.0.0 tooloo flower
    """
    configured = settings.load()
    if configured.flower_host not in {"127.0.0.1", "localhost", "::1"} and not configured.flower_auth:
        raise click.UsageError(f"Flower on {configured.flower_host} needs TOOLOO_FLOWER_AUTH=user:password")
    if configured.flower_auth:
        # by environment, not by argument: arguments are visible to every user of the machine
        os.environ["FLOWER_BASIC_AUTH"] = configured.flower_auth
    logs.configure(configured.log_format, configured.log_level)  # Tornado leaves it as it finds it
    _celery("flower", f"--address={configured.flower_host}", f"--port={configured.flower_port}")


class _Anew:
    """A worker that takes a changed configuration over: it ends its probes, and becomes the same command again."""

    def __init__(self) -> None:
        from celery.signals import worker_ready

        self._wanted = self._ready = False
        worker_ready.connect(self._is_ready, weak=False)

    def _is_ready(self, **_: Any) -> None:
        self._ready = True

    def begin(self) -> None:
        self._wanted = True
        if self._ready:
            os.kill(os.getpid(), signal.SIGTERM)
        else:  # it waits for its servers, and has nothing in hand
            self.go_on()

    def go_on(self) -> None:
        if self._wanted:
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # what we are, once more


def _celery(*arguments: str, then: Callable[[], None] = lambda: None) -> None:
    """Run Celery in this process, until it is told to stop."""
    from workers.celery_app import app

    try:
        code = app.start(["--quiet", *arguments])
    except SystemExit as ended:  # as a worker ends
        if not ended.code:
            then()
        raise
    then()
    raise SystemExit(code or 0)
