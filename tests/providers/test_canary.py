"""The canary and its stub, over real HTTP."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.providers import canary
from app.providers.canary import Canary
from app.providers.client import Client, Pool
from tests.support.waiting import wait_until


@pytest.fixture
def bird() -> Iterator[Canary]:
    made = Canary(Client(Pool(8)), delay_ms=20)
    yield made
    made.close()


def test_many_threads_share_one_stub_and_each_call_is_off_by_a_finite_time(bird: Canary) -> None:
    with ThreadPoolExecutor(8) as pool:
        errors = list(pool.map(lambda _: bird.error_ms(), range(40)))

    # how far off is for the machine to say; that it is no delay of the stub's own is for us
    assert all(error is not None and math.isfinite(error) and error > -1 for error in errors)
    assert min(error for error in errors if error is not None) < 20


def test_a_stub_that_was_killed_is_started_again(bird: Canary) -> None:
    assert bird.error_ms() is not None
    process = bird._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: process.poll() is not None, 30, "the stub is dead")

    assert bird.error_ms() is not None


def test_the_stub_ends_with_who_started_it(bird: Canary) -> None:
    assert bird.error_ms() is not None
    process = bird._process
    assert process is not None

    bird.close()  # closes its stdin, as the end of the worker would, and waits for it

    assert process.returncode == 0


def test_a_stub_that_does_not_start_is_no_error_of_the_round(
    bird: Canary, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(canary, "PAUSE_S", 0.0)
    monkeypatch.setattr(canary, "_STUB", tmp_path / "gone.py")
    assert bird.error_ms() is None
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    bird.close()
    assert bird.error_ms() is None


def test_a_stub_that_hangs_as_it_starts_is_given_up_and_let_be_for_a_while(
    bird: Canary, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hangs = tmp_path / "hangs.py"
    hangs.write_text("import sys\nsys.stdin.read()\n")
    monkeypatch.setattr(canary, "_STUB", hangs)
    monkeypatch.setattr(canary, "START_S", 0.5)
    assert bird.error_ms() is None

    monkeypatch.setattr(canary, "_STUB", tmp_path / "gone.py")
    monkeypatch.setattr(canary.subprocess, "Popen", lambda *_, **__: pytest.fail("tried again at once"))
    assert bird.error_ms() is None
