"""A command on a terminal of 80 columns, and what stands on it afterwards."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rich.cells import cell_len

COLUMNS = 80
LIMIT_S = 120
#: what draws, and is not seen
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

_LOGGED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[")


def lines(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> tuple[int, list[str]]:
    """Exit code, and the lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    variables = {**environment, "TERM": "xterm"}
    with subprocess.Popen(command, env=variables, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs) as ran:
        os.close(theirs)
        printed = b""
        with suppress(OSError):  # EIO: nobody has it open any more
            while piece := os.read(ours, 65_536):
                printed += piece
        os.close(ours)
        code = ran.wait(LIMIT_S)
    text = _SEQUENCE.sub("", printed.decode())
    return code, [line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").splitlines()]


def too_wide(shown: Sequence[str]) -> list[str]:
    """But words that are longer than the terminal, which stay whole, to be copied; and lines of the log."""
    return [line for line in shown if cell_len(line) > COLUMNS and len(line.split()) > 1 and not _LOGGED.match(line)]
