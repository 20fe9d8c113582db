"""`tooloo` without its start: a process that has loaded it runs each command in a fork of its own.

The pages have some two hundred commands, and to load what one of them needs takes longer than to run it. What stands in
the PATH of the readers instead of `tooloo` hands its arguments, environment, folder and streams over to this process,
and ends as the command ends: python -m tests.docs.forking SOCKET
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.cli.main import COMMANDS, cli
from tests.support.system import ROOT
from tests.support.waiting import wait_until

_CLIENT = """#!{python} -ISs
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as given:
    given.connect({path!r})
    socket.send_fds(given, [b"-"], [0, 1, 2])
    given.sendall(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode())
    given.shutdown(socket.SHUT_WR)
    sys.exit(int(given.recv(4) or 70))
"""


@contextmanager
def tooloo_in(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """A `tooloo` in this folder."""
    path = folder / "tooloo.sock"
    process = subprocess.Popen([sys.executable, "-m", __name__, str(path)], cwd=ROOT, env=environment)
    try:
        wait_until(path.exists, 60, "the commands are loaded")
        command = folder / "tooloo"
        command.write_text(_CLIENT.format(python=sys.executable, path=str(path)))
        command.chmod(0o755)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _serve(path: str) -> None:
    for place in COMMANDS.values():
        importlib.import_module(place.partition(":")[0])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(16)
    Path(f"{path}.new").rename(path)
    while True:
        given, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _answer(given)
        given.close()


def _answer(given: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(given, 1, 3)
    arguments, environment, folder = json.loads(given.makefile("rb").read())
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    code = _run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    given.sendall(str(code).encode())
    os._exit(0)


def _run(arguments: list[str]) -> int:
    try:
        cli.main(arguments, prog_name="tooloo")
    except SystemExit as ended:
        code: Any = ended.code
        return code if isinstance(code, int) else int(code is not None)
    return 0


if __name__ == "__main__":
    _serve(sys.argv[1])
