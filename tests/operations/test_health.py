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


def test_a_check_that_breaks_is_told_and_made_again() -> None:
    found = iter(["", "ok"])

    def check() -> str:
        if (state := next(found, "ok")) == "ok":
            return state
        raise PermissionError("not yours")

    watch = Watch({"postgres": check}, every_s=0.01, first_s=5.0)
    watch.start()

    wait_until(lambda: watch.states()["postgres"] == "ok")
    watch.stop()


def test_a_check_that_breaks_says_how() -> None:
    def check() -> str:
        raise PermissionError("not yours")

    watch = Watch({"postgres": check}, every_s=0.01, first_s=5.0)
    watch.start()

    assert watch.states()["postgres"] == "unknown: PermissionError('not yours')"
    watch.stop()
