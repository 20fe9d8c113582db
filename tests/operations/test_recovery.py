"""An API process joins its servers, whatever went wrong before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from app.operations.recovery import Recovery
from app.store.database import Sessions
from tests.support.system import System
from tests.support.waiting import wait_until


class BreaksOnce:
    """Sessions whose first transaction fails in a way that nobody foresaw."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.broke = False

    def begin(self) -> Any:
        if not self.broke:
            self.broke = True
            raise PermissionError("not yours")
        return self._sessions.begin()


def test_recovery_goes_on_after_an_error_that_nobody_foresaw(system: System, tmp_path: Path) -> None:
    sessions = BreaksOnce(system.services.sessions)
    services: Any = replace(system.services, sessions=sessions)  # type: ignore[arg-type]  # all that is used of them
    recovery = Recovery(services, tmp_path / "runtime.json")

    assert not recovery.start(5.0)
    wait_until(lambda: recovery.joined, what="it has joined")
    assert sessions.broke
    recovery.stop()
