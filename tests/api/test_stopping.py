"""An API process notices that it is told to stop; in a process of its own, as signals belong to the whole process."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, signal, threading
from app.api import stopping
from tests.support.waiting import wait_until
stopping.watch()
heard = []
signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))  # set later, as the server does
signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
os.kill(os.getpid(), signal.SIGUSR1)
wait_until(lambda: len(heard) == 1)
print(stopping.is_stopping())
os.kill(os.getpid(), signal.SIGTERM)
wait_until(lambda: len(heard) == 2 and stopping.is_stopping())
print(stopping.is_stopping())
"""


def test_a_signal_to_stop_is_noticed_beside_the_servers_own_handler() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.split() == ["False", "True"]
