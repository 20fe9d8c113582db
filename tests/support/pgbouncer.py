"""A real pgbouncer in transaction mode before a real PostgreSQL, where it is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from app.store import database
from tests.support.ports import free_port
from tests.support.waiting import wait_until

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextmanager
def pgbouncer(url: str, folder: Path, extra: str = "") -> Iterator[str]:
    """Gives the URL of the same database through it. `extra`: more lines of its configuration."""
    assert PROGRAM is not None
    parts, port = urlsplit(url), free_port()
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    folder.chmod(0o777)
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(f"""\
[databases]
* = host={query["host"]} port={query["port"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
pool_mode = transaction
server_lifetime = 3600
{extra}
""")
    # as who may open the socket; it refuses root
    owner = Path(query["host"], f".s.PGSQL.{query['port']}").stat().st_uid if os.geteuid() == 0 else None
    with (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, str(folder / "pgbouncer.ini")],
            stdout=log,
            stderr=log,
            user=owner,
            extra_groups=None if owner is None else [],
        )
    through = f"postgresql+psycopg2://postgres@127.0.0.1:{port}{parts.path}"
    try:
        wait_until(lambda: database.problem(through) is None, what=f"pgbouncer answers, {folder}/pgbouncer.log")
        yield through
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
