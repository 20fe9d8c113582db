"""Nobody but root looks into a process that holds keys, and `tooloo up` finds it all the same."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import memory
from tests.domain.grading import escapes

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="needs Linux, and root to become two processes of one user"
)

USER = 61_002
KEY = "sk-a-key-of-a-provider"

#: becomes the user, is as open as a program that this user starts, holds the key, closes itself if told to, and waits
HOLDER = f"""
import ctypes, os, sys
from app import memory
held = ctypes.create_string_buffer(os.environ["KEY"].encode())
os.setgroups([]); os.setgid({USER}); os.setuid({USER})
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
if sys.argv[1] == "closed":
    memory.keep_to_ourselves()
print(ctypes.addressof(held), flush=True)
sys.stdin.read()
"""
#: what `tooloo up` of that user finds
FINDER = f"""
import os, sys
from pathlib import Path
from app.cli import orphans
os.setgroups([]); os.setgid({USER}); os.setuid({USER})
print(*[process.pid for process in orphans.leftovers(Path(sys.argv[1]))])
"""


@contextmanager
def holder(how: str, stack: Path) -> Iterator[tuple[int, int]]:
    """Process id, and address of its key."""
    environment = {**os.environ, "KEY": KEY, memory.MARK: str(stack)}
    command = [sys.executable, "-P", "-c", HOLDER, how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.stdin.close()


def tries_on(pid: int, address: int) -> dict[str, object]:
    where = [str(USER), str(pid), str(address), str(len(KEY))]
    command = [sys.executable, "-I", escapes.__file__, "none", *where]
    tried: dict[str, object] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return tried


@pytest.mark.parametrize("how", ["open", "closed"])
def test_another_program_of_the_same_user_does_not_read_the_keys(how: str, tmp_path: Path) -> None:
    with holder(how, tmp_path) as (pid, address):
        tried = tries_on(pid, address)

    if how == "open":
        assert tried["seen"] == KEY
    else:
        assert tried["read another's memory"] == tried["trace another"] == {"refused": errno.EPERM}
        assert str(tried["seen"]).strip("\0") == ""


def test_what_a_killed_stack_left_is_found_though_nobody_reads_its_environment(tmp_path: Path) -> None:
    with (
        holder("open", tmp_path) as (seen, _),
        holder("closed", tmp_path) as (closed, _),
        holder("closed", tmp_path / "b"),
    ):
        command = [sys.executable, "-P", "-c", FINDER, str(tmp_path)]
        found = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()

    assert sorted(map(int, found)) == sorted([seen, closed])


def test_the_name_of_a_stack_fits_what_the_kernel_keeps() -> None:
    assert len(memory.process_name("/somewhere/.tooloo")) < 15
    assert memory.process_name("/a") != memory.process_name("/b")
