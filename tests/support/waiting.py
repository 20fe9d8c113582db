"""The only place where a test waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

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
