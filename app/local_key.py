"""A key in a file that its owner alone can read: where it cannot be known whose program asks, who has it is the owner.

Made by the API when it is first needed, and sent by the commands of its owner by themselves.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

NAME = "local.key"
#: what it begins with: no key of another kind does
PREFIX = "tooloo-local-"


def make(folder: Path) -> str | None:
    """The key, made where there is none; None where it cannot be kept for oneself."""
    path = folder / NAME
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = folder / f"{NAME}.{os.getpid()}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(PREFIX + secrets.token_urlsafe(32))
        with suppress(FileExistsError):
            os.link(fresh, path)  # whole, or not there: another process may be making one
        fresh.unlink()
    return read(folder)


def read(folder: Path) -> str | None:
    """None: there is none, or others may read or have written it."""
    path = folder / NAME
    with suppress(OSError):
        held = path.lstat()
        if held.st_uid == os.geteuid() and held.st_mode & 0o777 == 0o600 and path.is_file() and not path.is_symlink():
            text = path.read_text(encoding="ascii", errors="replace").strip()
            return text if text.startswith(PREFIX) else None
    return None
