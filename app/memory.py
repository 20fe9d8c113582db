"""What this process holds in memory is its own: provider keys above all.

On Linux another program of the same user may read a process by `ptrace`, /proc or a core dump; one that has said
`PR_SET_DUMPABLE 0` only root may. The kernel then closes /proc/PID/environ too, where `tooloo up` looks for what an
earlier run left; so a process of a stack first takes a name that says which.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path

#: environment variable that every process of a stack inherits; its value is the data folder
MARK = "_TOOLOO_STACK"

_PR_SET_DUMPABLE = 4


def process_name(data_dir: str) -> str:
    """Of every process of the stack on this data that holds keys; 14 characters, of 15 that the kernel keeps."""
    return f"tooloo-{hashlib.sha256(data_dir.encode()).hexdigest()[:7]}"


def keep_to_ourselves() -> None:
    """To be called where keys are read, in every process: a new program starts open again. Nothing but on Linux."""
    if sys.platform != "linux":
        return
    if stack := os.environ.get(MARK):
        with suppress(OSError):  # closed already: by an earlier call
            Path("/proc/self/comm").write_text(process_name(stack))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
