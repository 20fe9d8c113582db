"""Nothing that `tooloo up` started outlives it for long, even where `up` itself was killed.

On Linux the kernel tells each child when `up` dies. Whatever still runs then (it ignored that, or stood a step further
down, or this is not Linux) carries a mark in its environment, or as its name where it holds keys and shows nobody its
environment; the next `up` on the same data ends it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

import psutil

from app import memory

MARK = memory.MARK

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(parent_pid: int, sig: signal.Signals) -> None:
    """To be called in a child between fork and exec: it gets `sig` when its parent dies."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before we asked
        os._exit(1)


def name(process: psutil.Process) -> str:
    """Empty for one that has ended."""
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def leftovers(data_dir: Path) -> list[psutil.Process]:
    """Processes of a stack on this data, this one aside; to the holder of the data's lock they are what is left."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and _is_of_stack(process, str(data_dir)):
                found.append(process)
        except psutil.Error:  # it ended
            continue
    return found


def _is_of_stack(process: psutil.Process, data_dir: str) -> bool:
    try:
        return bool(process.environ().get(memory.MARK) == data_dir)
    except psutil.AccessDenied:  # it belongs to somebody else, or holds keys
        ours = process.uids().real == os.getuid()
        return bool(ours and process.name() == memory.process_name(data_dir))


def end(processes: list[psutil.Process], *, patience_s: float) -> None:
    """Ask them to stop, and kill those that have not within `patience_s`."""
    for process in processes:
        # SIGTERM makes Postgres wait for its clients, SIGINT makes it send them away
        _signal(process, signal.SIGINT if name(process) == "postgres" else signal.SIGTERM)
    _, stubborn = psutil.wait_procs(processes, timeout=patience_s)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=patience_s)


def _signal(process: psutil.Process, sig: signal.Signals) -> None:
    try:
        process.send_signal(sig)
    except psutil.Error:
        return
