"""providers.toml while processes run: what changes in it is checked, and taken over by processes that begin anew."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

log = structlog.get_logger()

NAME = "providers.toml"
#: s between two looks; what differs in two of them is still being written
EVERY_S = 1.0
#: s that a trial start may take
TRIAL_S = 60.0

#: builds what each process builds, and starts nothing
_TRIAL = """
import sys
from app import bootstrap, settings
from app.errors import TooLooError
try:
    configured = settings.load()
    configured.check_exposure()
    bootstrap.build(configured)
except TooLooError as error:
    sys.exit(str(error))
"""


def tried() -> str | None:
    """Why a process could not start with the configuration as it is now; None: it could."""
    command = [sys.executable, "-c", _TRIAL]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_S, check=False)  # noqa: S603  # our own program
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return None if done.returncode == 0 else lines[-1]


def fingerprint(folder: Path) -> str | None:
    """Of its content: a ConfigMap is swapped under the same name. None: it cannot be read."""
    try:
        return hashlib.sha256((folder / NAME).read_bytes()).hexdigest()
    except OSError:
        return None


class Changes:
    """Looks at the file again and again; `look` is True once for each new content that has come to rest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = self._before = fingerprint(folder)

    def look(self) -> bool:
        found = fingerprint(self._folder)
        at_rest, self._before = found == self._before, found
        if found == self._known or not at_rest or found is None:
            return False
        self._known = found
        return True


def watch(folder: Path, begin_anew: Callable[[], None]) -> None:
    """In a thread, for as long as the process lives. What cannot be started with is said, and what runs goes on."""

    def run() -> None:
        changes, pause = Changes(folder), threading.Event()
        while not pause.wait(EVERY_S):
            if not changes.look():
                continue
            problem = tried()
            if problem is None:
                log.info("the configuration has changed: this process begins anew", file=NAME)
                begin_anew()
            else:
                log.error("the configuration is not taken over, what runs goes on as it is", file=NAME, reason=problem)

    threading.Thread(target=run, name="providers.toml", daemon=True).start()
