from __future__ import annotations

import threading

from app.operations.health import Watch
from tests.support.waiting import wait_until


def test_a_frozen_dependency_keeps_nobody_waiting_and_is_said_to_be_silent() -> None:
    thaw = threading.Event()
    checks = {"postgres": lambda: "ok" if thaw.wait(60) else "", "redis": lambda: "ok"}
    frozen = Watch(checks, every_s=0.01, silent_s=0.01, first_s=0.01)
    frozen.start()

    wait_until(lambda: "no answer for" in frozen.states()["postgres"])
    wait_until(lambda: frozen.states()["redis"] == "ok")
    thaw.set()
    wait_until(lambda: frozen.states()["postgres"] == "ok")
    frozen.stop()
