"""Where the embedded servers keep their things, and as whom they run.

Postgres refuses to run as root. Started by root, both servers run as whoever owns the data, and new data belongs to
`nobody`: no account is made on the machine.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.cli.terminal import say
from app.errors import ConfigError

#: bytes of the longest socket path that every system takes (macOS: 104 with the closing NUL, Linux: 108)
_LONGEST_SOCKET_PATH = 103
_LONGEST_SOCKET_NAME = ".s.PGSQL.5432"


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one stack's servers."""

    postgres: Path
    redis: Path
    sockets: Path
    #: user the servers run as; None: the one we are
    owner: pwd.struct_passwd | None

    @property
    def uid(self) -> int | None:
        return None if self.owner is None else self.owner.pw_uid


def place(data_dir: Path) -> Place:
    """The place in a data folder; makes nothing yet. Raises ConfigError where no path is short enough for a socket."""
    postgres = data_dir / "postgres"
    return Place(postgres, data_dir / "redis", _socket_dir(data_dir), _owner(postgres))


def make_private(folder: Path, where: Place) -> None:
    """Make a folder for the servers alone. Nobody else may have made it: his would be the sockets in there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), where.uid):
        raise ConfigError(
            f"{folder} belongs to somebody else; remove it or set TOOLOO_DATA_DIR", field="TOOLOO_DATA_DIR"
        )
    folder.chmod(0o700)
    if where.owner is not None:
        os.chown(folder, where.owner.pw_uid, where.owner.pw_gid)


def let_through(path: Path) -> None:
    """Let other users pass, not look, through the folders above `path`; says so, as it loosens what root had closed."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            say(f"let other users pass through {folder}: PostgreSQL refuses to run as root", err=True)


def let_read(folder: Path) -> None:
    """Let other users read and run the programs in `folder`, which a strict umask may have hidden."""
    if folder.stat().st_mode & stat.S_IROTH:
        return
    for item in (folder, *folder.rglob("*")):
        mode = item.stat().st_mode
        item.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _owner(postgres: Path) -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    uid = postgres.stat().st_uid if postgres.exists() else 0
    return pwd.getpwuid(uid) if uid else pwd.getpwnam("nobody")


def _socket_dir(data_dir: Path) -> Path:
    short = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    for folder in (data_dir / "run", Path(tempfile.gettempdir()) / f"tooloo-{os.geteuid()}-{short}"):
        if len(os.fsencode(folder / _LONGEST_SOCKET_NAME)) <= _LONGEST_SOCKET_PATH:
            return folder
    raise ConfigError(
        f"{data_dir} and the temporary folder are too long a path for a socket: set TOOLOO_DATA_DIR to a shorter one",
        field="TOOLOO_DATA_DIR",
    )
