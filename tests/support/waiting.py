"""The only place where a test waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

#: between two looks; short, so that a test is as fast as what it waits for
PAUSE_S = 0.02


def wait_until(condition: Callable[[], T], timeout_s: float = 10.0, what: str = "") -> T:
    """What `condition` gives as soon as that is true; fails with `what` (or its last value) after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what or condition}; last seen: {value!r}")
        time.sleep(PAUSE_S)
    return value


def started(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
    """In a thread that nobody waits for: what hangs fails who asks for its result, and does not hold up the run."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function(*arguments, **named))
        except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
