"""The jail of the JavaScript grader, from the inside: a program of its own tries what an exploit of the engine would.

Each is tried by raw system calls, as root and as an ordinary user, and once more without the jail: there it works.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.domain.grading import jail, javascript
from tests.domain.grading import escapes

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in escapes.NUMBERS,
    reason="seccomp is Linux's, on x86-64 and ARM64",
)

SECRET = b"sk-a-key-in-the-memory-of-the-worker"
#: what succeeds without a jail, whoever one is
WORKS_OUTSIDE = [
    "read another's memory",
    "open a file",
    "open a socket",
    "signal another",
    "limit another",
    "hold another",
    "start a process",
    "wait without CPU time",
    "read from the worker",
    "run new code",
]
TRIED = [
    *WORKS_OUTSIDE,
    "make a file of memory",
    "trace another",
    "set up io_uring",
    "make a namespace",
    "run a program",
]


def tried(jail_file: str, user: int) -> dict[str, Any]:
    """By a program that knows where our secret lies."""
    secret = ctypes.create_string_buffer(SECRET)
    where = [str(os.getpid()), str(ctypes.addressof(secret)), str(len(SECRET))]
    done = subprocess.run(
        [sys.executable, "-I", escapes.__file__, jail_file, str(user), *where],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
        env={},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(params=["as we are", "as an ordinary user"])
def user(request: pytest.FixtureRequest) -> int:
    if request.param == "as we are":
        return 0
    if os.geteuid() != 0:
        pytest.skip("we are one")
    return 61_001


def test_without_the_jail_a_program_reads_the_keys_of_the_worker() -> None:
    found = tried("none", 0)

    assert found["seen"].encode() == SECRET
    assert [name for name in WORKS_OUTSIDE if "refused" in found[name]] == []


def test_inside_nothing_is_let_through_but_to_compute(user: int) -> None:
    found = tried(jail.__file__, user)

    assert {name: found[name] for name in TRIED} == {name: {"refused": errno.EPERM} for name in TRIED}
    assert found["map new code"] == {"refused": errno.EPERM}
    assert found["seen"].strip("\0") == ""


def test_the_grader_says_what_confines_it() -> None:
    own_user = ["own user"] if os.geteuid() == 0 else []

    assert javascript.confinement().split(", ") == ["limits", *own_user, "seccomp"]


def test_where_the_kernel_has_no_filter_the_limits_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("sandbox.py", "jail.py"):
        source = (Path(jail.__file__).with_name(name)).read_text()
        (tmp_path / name).write_text(source.replace('sys.platform == "linux"', 'sys.platform == "none"'))
    monkeypatch.setattr(javascript, "_SANDBOX", tmp_path / "sandbox.py")

    assert "seccomp" not in javascript.confinement()
    assert "limits" in javascript.confinement()


def test_no_thread_of_the_sandbox_is_outside_the_filter() -> None:
    """One that the engine's package started would not have it, and code can write into its stack."""
    program = (
        "import sys, threading; sys.path.insert(0, sys.argv[1]); import sandbox; print(threading.active_count(), "
        "[name for name in sys.modules if name == 'quickjs'])"
    )
    folder = str(Path(jail.__file__).parent)
    done = subprocess.run([sys.executable, "-I", "-c", program, folder], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "1 []"
