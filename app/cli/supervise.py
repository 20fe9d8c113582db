"""Runs the processes of a stack with supervisord's own machinery, in this process and in the foreground.

The library starts, restarts and stops in order; this file says what it does in sentences. A process that ends is
started again for ever, after pauses that grow to a minute; only a server that never came up ends the stack. What is
missing stands in a file that the API reads, for /readyz and /metrics.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervisor import events
from supervisor.datatypes import RestartUnconditionally
from supervisor.medusa.asyncore_25 import ExitNow
from supervisor.options import ProcessConfig, ProcessGroupConfig, ServerOptions
from supervisor.process import Subprocess
from supervisor.states import ProcessStates, SupervisorStates
from supervisor.supervisord import Supervisor

from app.cli import orphans
from app.cli.prefixed import PrefixedLines
from app.cli.wakeup import Wakeup
from app.operations import listening
from app.operations.processes import LONGEST_PAUSE_S, Missing

#: in the folder of the logs
MISSING_FILE = "missing.json"
#: "for ever", as the library counts
FOR_EVER = sys.maxsize

#: s; a process that ends sooner has "ended at once" and is given a pause. Importing all we need
#: takes a busy machine several
AT_ONCE_S = 20
#: of our environment, what a server is given: it needs no key of a provider
SERVERS_NEED = {"HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One process of the stack."""

    name: str
    command: Sequence[str]
    #: of a server: None once it can be used, else why not; the others start when all servers can be used
    problem: Callable[[], str | None] | None = None
    #: runs to its end and is not started again
    once: bool = False
    #: nothing works without it: the stack ends when it fails for good
    essential: bool = False
    #: its output goes into this file, not on the terminal
    log: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    #: of an essential one, starts again after it ended at once before it was ever up; then it is given up
    retries: int = 3
    stop_signal: signal.Signals = signal.SIGTERM
    #: s; then it is killed, with all that it started
    stop_wait_s: int = 8
    #: given to each of its starts, and held between them
    sockets: Sequence[socket.socket] = ()
    uid: int | None = None


def pause_s(ends: int) -> int:
    """s before the next start of a process that has ended at once so many times in a row: 1, 2, 4 … 60."""
    return min(LONGEST_PAUSE_S, 1 << min(ends - 1, 10))


def run(children: Sequence[Child], folder: Path, lines: PrefixedLines) -> int:
    """Run them until SIGINT, SIGTERM or SIGHUP; 0, or 1 where an essential one failed.

    Servers start first and stop last. `folder` gets supervisord's own log, and what is missing (MISSING_FILE).
    """
    options = _options(children, folder)
    stack = _Stack(options, children, lines, Missing(folder / MISSING_FILE, [child.name for child in children]))
    with suppress(ExitNow):
        stack.main()
    options.close_httpservers()
    options.close_logger()
    return 1 if stack.failed else 0


class _Options(ServerOptions):  # type: ignore[misc]  # supervisor has no types
    """What supervisord asks of the operating system, at the two places where we need a word."""

    def __init__(self, children: Sequence[Child]) -> None:
        super().__init__()
        self._pid = os.getpid()
        self._stop_signals = {child.name: child.stop_signal for child in children}
        self._sockets = {child.name: child.sockets for child in children if child.sockets}
        self._given = {child.name: SERVERS_NEED | set(child.environment) for child in children if child.problem}
        #: wait status by process id, as the events do not tell the signal that ended a process
        self.statuses: dict[int, int] = {}

    def execve(self, filename: str, argv: list[str], env: dict[str, str]) -> None:
        """In the child, after the fork and the change of user."""
        name = env["SUPERVISOR_PROCESS_NAME"]
        orphans.die_with_parent(self._pid, self._stop_signals[name])
        given = self._given.get(name)
        left = env if given is None else {each: env[each] for each in given & set(env)}
        super().execve(
            filename, argv, listening.hand_over(self._sockets[name], left) if name in self._sockets else left
        )

    def close_fd(self, fd: int) -> None:
        """The library closes all that a child inherits; what is to be handed over closes at the exec by itself."""
        if all(fd != sock.fileno() for sockets in self._sockets.values() for sock in sockets):
            super().close_fd(fd)

    def waitpid(self) -> tuple[int | None, int | None]:
        pid, status = super().waitpid()
        if pid:
            self.statuses[pid] = status
        return pid, status


class PacedProcess(Subprocess):  # type: ignore[misc]  # supervisor has no types
    """Keeps the pauses of ours: the library takes one longer than its own for a clock that was set back."""

    delay: float

    def _check_and_adjust_for_system_clock_rollback(self, test_time: float) -> None:
        if self.state == ProcessStates.BACKOFF:
            self.delay = min(self.delay, test_time + pause_s(self.backoff))
        else:
            super()._check_and_adjust_for_system_clock_rollback(test_time)


class _PacedConfig(ProcessConfig):  # type: ignore[misc]  # supervisor has no types
    def make_process(self, group: Any = None) -> PacedProcess:
        process = PacedProcess(self)
        process.group = group
        return process


class _Stack(Supervisor):  # type: ignore[misc]  # supervisor has no types
    def __init__(self, options: _Options, children: Sequence[Child], lines: PrefixedLines, missing: Missing) -> None:
        super().__init__(options)
        self._missing = missing
        self._children = {child.name: child for child in children}
        self._lines = lines
        self._started = False
        #: an essential process failed for good
        self.failed = False

    def runforever(self) -> None:
        """The library forgets subscribers just before this."""
        wakeup = Wakeup()
        self.options.get_socket_map()[wakeup.fd] = wakeup
        events.subscribe(events.ProcessLogEvent, self._on_output)
        events.subscribe(events.ProcessStateEvent, self._on_state)
        events.subscribe(events.SupervisorStoppingEvent, self._on_stopping)
        super().runforever()

    def tick(self, now: float | None = None) -> None:
        """Called on each turn of the library's loop: at least once a second, and whenever a process writes or ends."""
        super().tick(now)
        if self._lines.broken:
            self._stop()
        if not self._started and not self._stopping and self._servers_ready():
            self._started = True
            for server in self.process_groups["servers"].processes.values():
                server.config.startretries = FOR_EVER  # it was up: it can be again
            for process in self.process_groups["processes"].processes.values():
                process.spawn()

    @property
    def _stopping(self) -> bool:
        return bool(self.options.mood < SupervisorStates.RUNNING)

    def _stop(self) -> None:
        self.options.mood = SupervisorStates.SHUTDOWN

    def _servers_ready(self) -> bool:
        return not any(child.problem and child.problem() for child in self._children.values())

    def _on_stopping(self, _: Any) -> None:
        """Who comes now is refused, rather than kept waiting for nobody."""
        self._lines.say("stopping")
        for child in self._children.values():
            listening.close(child.sockets)

    def _on_output(self, event: Any) -> None:
        self._lines.feed(event.process.config.name, event.data)

    def _on_state(self, event: Any) -> None:
        child = self._children[event.process.config.name]
        match event:
            case events.ProcessStateBackoffEvent():
                self._sweep(event.process)
                self._on_early_end(child, event.process)
            case events.ProcessStateStartingEvent():
                self._missing.started(child.name)
            case events.ProcessStateRunningEvent() if not child.once:
                if self._missing.returned(child.name):
                    self._lines.say(f"{child.name} is back")
            case events.ProcessStateExitedEvent():
                self._sweep(event.process)
                self._on_end(child, event.process)
            case events.ProcessStateStoppedEvent():
                self._sweep(event.process)
            case events.ProcessStateFatalEvent():
                self._on_given_up(child)

    def _sweep(self, process: Any) -> None:
        """End what a process that is gone has left in its group: workers of a killed master would hold its port."""
        self._lines.end(process.config.name)
        if process.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def _on_early_end(self, child: Child, process: Any) -> None:
        if self._stopping or process.backoff > process.config.startretries:
            return
        how, wait_s = self._how_it_ended(process), pause_s(process.backoff)
        process.delay = time.time() + wait_s
        self._missing.ended(child.name, how, time.time(), process.delay)
        times = f", {process.backoff} times at once" if process.backoff > 1 else ""
        self._lines.say(f"{child.name} {how}{times}; trying again in {wait_s} s")

    def _on_end(self, child: Child, process: Any) -> None:
        if self._stopping:
            return
        how = self._how_it_ended(process)
        if not child.once:
            self._missing.ended(child.name, how, time.time())
            self._lines.say(f"{child.name} {how}; starting it again")
        elif process.exitstatus != 0:
            self._fail(child, how)

    def _on_given_up(self, child: Child) -> None:
        if not self._stopping:
            self._fail(child, f"ended at once {child.retries + 1} times and is given up")

    def _fail(self, child: Child, how: str) -> None:
        where = f"{child.log} says why" if child.log else "its lines above say why"
        rest = "stopping everything" if child.essential else "the rest goes on"
        self._lines.say(f"{child.name} {how}: {where}; {rest}")
        if child.essential:
            self.failed = True
            self._stop()

    def _how_it_ended(self, process: Any) -> str:
        status = self.options.statuses.pop(process.pid, None)
        if status is None:
            return f"could not be started ({process.spawnerr})"
        code = os.waitstatus_to_exitcode(status)
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _options(children: Sequence[Child], folder: Path) -> _Options:
    """Configured in code: the configuration file would need every path escaped by the rules of three parsers."""
    empty = folder / "supervisord.conf"
    empty.write_text("[supervisord]\n")
    options = _Options(children)
    places = ["-l", str(folder / "supervisord.log"), "-j", str(folder / "supervisord.pid")]
    options.realize(["--nodaemon", "--silent", "--nocleanup", "-c", str(empty), *places, "-y", "1MB", "-z", "1"])
    options.first, options.test = True, False
    servers = [_config(options, child) for child in children if child.problem]
    others = [_config(options, child) for child in children if not child.problem]
    # the group with the higher priority number stops first
    options.process_group_configs = [
        ProcessGroupConfig(options, "servers", 1, servers),
        ProcessGroupConfig(options, "processes", 2, others),
    ]
    return options


def _config(options: _Options, child: Child) -> ProcessConfig:
    settings: dict[str, Any] = {
        "name": child.name,
        "command": shlex.join(child.command),
        "environment": dict(child.environment),
        "uid": child.uid,
        "directory": None,
        "umask": None,
        "priority": 1,
        "autostart": child.problem is not None,
        "autorestart": False if child.once else RestartUnconditionally,
        "startsecs": 0 if child.once else AT_ONCE_S,
        "startretries": child.retries if child.essential or child.once else FOR_EVER,
        "exitcodes": [0],
        "stopsignal": child.stop_signal,
        "stopwaitsecs": child.stop_wait_s,
        "stopasgroup": False,
        "killasgroup": True,
        "redirect_stderr": True,
    }
    for channel, log in (("stdout", child.log), ("stderr", None)):
        settings |= {
            f"{channel}_logfile": None if log is None else str(log),
            f"{channel}_logfile_maxbytes": 5_000_000,
            f"{channel}_logfile_backups": 1,
            f"{channel}_capture_maxbytes": 0,
            f"{channel}_events_enabled": channel == "stdout" and log is None,
            f"{channel}_syslog": False,
        }
    return _PacedConfig(options, **settings)
