"""Real servers for tests: the same programs, started the same way, as `tooloo up` starts them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.cli import servers
from app.cli.place import Place, place
from app.store import database
from tests.support.waiting import wait_until

#: becomes the server: as the right user, and not to outlive pytest even where that is killed. A `preexec_fn` would do
#: the same, but Python forbids one where threads run
_BECOME = """
import os, signal, sys
from app.cli import orphans
parent, stop, uid, gid, *command = sys.argv[1:]
if uid:
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
orphans.die_with_parent(int(parent), signal.Signals(int(stop)))
os.execv(command[0], command)
"""


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder with a path short enough for sockets; root's servers may pass through it."""
    path = Path(tempfile.mkdtemp(prefix="tooloo-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def postgres(data_dir: Path) -> Iterator[str]:
    """A PostgreSQL that need not survive a power cut; gives the URL of its database `tooloo`."""
    where = place(data_dir)
    servers.prepare_postgres(where, durable=False)
    url = servers.postgres_url(where)
    command = servers.postgres_command(where, durable=False)
    with running(command, data_dir / "postgres.log", signal.SIGINT, where):
        wait_until(lambda: database.problem(url) is None, what=f"PostgreSQL answers at {url}")
        yield url


@contextmanager
def redis(data_dir: Path) -> Iterator[str]:
    where = place(data_dir)
    servers.prepare_redis(where)
    url = servers.redis_url(where)
    with running(servers.redis_command(where), data_dir / "redis.log", signal.SIGTERM, where):
        wait_until(lambda: servers.redis_problem(url) is None, what=f"Redis answers at {url}")
        yield url


@contextmanager
def running(command: Sequence[str], log: Path, stop: signal.Signals, where: Place) -> Iterator[subprocess.Popen[bytes]]:
    """A server until the end; one that a test has killed meanwhile is gone."""
    user = ["", ""] if where.owner is None else [str(where.owner.pw_uid), str(where.owner.pw_gid)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _BECOME, str(os.getpid()), str(int(stop)), *user, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C is for pytest, which then stops the server
        )
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
