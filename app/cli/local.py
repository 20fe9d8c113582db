"""The whole of TooLoo on one machine: which processes `tooloo up` runs, and with what environment."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from app import memory
from app.cli import orphans, preflight, servers, supervise
from app.cli.place import Place, place
from app.cli.ports import Port, check_ports
from app.cli.prefixed import PrefixedLines
from app.cli.supervise import Child
from app.cli.terminal import say, unshielded
from app.operations import listening
from app.settings import Settings
from app.store import database

#: s for what a killed `up` left behind, before it is killed too
LEFTOVER_PATIENCE_S = 5


def start(settings: Settings) -> int:
    """Check, prepare, and run until a signal; the exit code. Raises TooLooError before anything runs."""
    simulated = preflight.check_config(settings)
    wanted = simulated or settings.lab_trace is not None or preflight.names_the_lab(settings)
    lab = settings.lab_url is None and wanted
    preflight.check_services(settings)
    where = place(settings.data_dir)
    environment = _environment(settings, where, lab=lab)
    return serve(settings, where, list(_ports(settings, lab=lab)), list(_processes(settings, environment, lab=lab)))


def serve(settings: Settings, where: Place, ports: Sequence[Port], processes: Sequence[Child]) -> int:
    """Run these processes and the embedded servers they need, alone on this data."""
    memory.keep_to_ourselves()
    preflight.make_data_dir(settings.data_dir)
    with preflight.lock(settings.data_dir):
        _end_leftovers(settings)
        preflight.check_space(settings.data_dir)
        check_ports(ports)
        if not settings.database_url:
            preflight.check_data_version(where)
            servers.prepare_postgres(where)
        if not settings.redis_url:
            servers.prepare_redis(where)
        sockets = {"api": listening.opened(settings.host, settings.port, settings.api_processes)} if ports else {}
        mark = {memory.MARK: str(settings.data_dir)}
        children = [
            replace(child, environment={**child.environment, **mark}, sockets=sockets.get(child.name, ()))
            for child in (*_servers(settings, where), *processes)
        ]
        lines = PrefixedLines([child.name for child in children], unshielded(sys.stdout))
        lines.say(f"starting; data and logs in {settings.data_dir}")
        code = supervise.run(children, settings.data_dir / "log", lines)
        _end_leftovers(settings)
        lines.say("stopped" if code == 0 else "stopped after a failure, see above")
        lines.close()
        return code


def _end_leftovers(settings: Settings) -> None:
    if left := orphans.leftovers(settings.data_dir):
        names = ", ".join(sorted({orphans.name(process) for process in left}))
        say(f"ending what an earlier run left: {names}", err=True)
        orphans.end(left, patience_s=LEFTOVER_PATIENCE_S)


def _ports(settings: Settings, *, lab: bool) -> Iterator[Port]:
    yield Port(settings.port, settings.host, "API", "TOOLOO_PORT")
    yield Port(settings.flower_port, settings.flower_host, "Flower", "TOOLOO_FLOWER_PORT")
    if lab:
        yield Port(settings.lab_port, settings.lab_host, "lab", "TOOLOO_LAB_PORT")


def _environment(settings: Settings, where: Place, *, lab: bool) -> dict[str, str]:
    """What the processes find in their environment besides what we found in ours."""
    environment = {
        "TOOLOO_LOG_FORMAT": settings.environment.get("TOOLOO_LOG_FORMAT") or "text",
        "PYTHONUNBUFFERED": "1",
        "TOOLOO_PROCESSES_FILE": str(settings.data_dir / "log" / supervise.MISSING_FILE),
    }
    if not settings.database_url:
        environment["DATABASE_URL"] = servers.postgres_url(where)
    if not settings.redis_url:
        environment["REDIS_URL"] = servers.redis_url(where)
    if lab:
        environment["TOOLOO_LAB_URL"] = settings.own_lab_url
    return environment


def _servers(settings: Settings, where: Place) -> Iterator[Child]:
    logs = settings.data_dir / "log"
    if not settings.database_url:
        yield Child(
            name="postgres",
            command=servers.postgres_command(where),
            problem=lambda: database.problem(servers.postgres_url(where)),
            essential=True,
            log=logs / "postgres.log",
            stop_signal=signal.SIGINT,
            uid=where.uid,
        )
    if not settings.redis_url:
        yield Child(
            name="redis",
            command=servers.redis_command(where),
            problem=lambda: servers.redis_problem(servers.redis_url(where)),
            essential=True,
            log=logs / "redis.log",
            uid=where.uid,
        )


def _processes(settings: Settings, environment: Mapping[str, str], *, lab: bool) -> Iterator[Child]:
    """All start at once: each waits by itself for the schema and for whom it needs."""

    def tooloo(name: str, *arguments: str, once: bool = False, essential: bool = False) -> Child:
        # -P: the code that runs is the one that started us, whatever folder this is
        command = [sys.executable, "-P", "-m", "app.cli.main", *arguments]
        return Child(name=name, command=command, environment=environment, once=once, essential=essential)

    yield tooloo("migrate", "migrate", once=True, essential=True)
    if lab:
        yield tooloo("lab", "lab", "serve")
    yield tooloo("api", "api")
    for number in range(1, settings.worker_processes + 1):
        yield tooloo(f"worker-{number}", "worker", "--queues", "probes")
    yield tooloo("control", "worker", "--queues", "control,optimizer")
    yield tooloo("beat", "beat")
    yield tooloo("flower", "flower")
    yield tooloo("kickoff", "kickoff", once=True)
