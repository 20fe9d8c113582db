"""config/runtime.json: the copy of the runtime config that a person can read, and the last resort of recovery.

A checksum in it tells an edit by hand from what was written here. An edited file is reported; it is replaced by the
next write, and used only where Postgres and Redis have nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from app.domain.config import runtime_config
from app.domain.config.config_history import CHECKSUM
from app.domain.config.runtime_config import RuntimeConfig
from app.errors import InvalidRequest

log = structlog.get_logger()

#: s between two writes
EVERY_S = 1.0
#: s until a write that failed is tried again
RETRY_S = 10.0


class SnapshotFile:
    """Keeps the file at the live document: atomically, at most once a second, the last state always."""

    def __init__(self, file: Path, *, retry_s: float = RETRY_S) -> None:
        self._file = file
        self._retry_s = retry_s
        self._latest: RuntimeConfig | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="snapshot-file", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def offer(self, config: RuntimeConfig) -> None:
        self._latest = config
        self._wake.set()

    def stop(self) -> None:
        """Write what is still waiting, then end."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=EVERY_S + 2)

    def _run(self) -> None:
        settled = True
        while not self._stopping.is_set():
            self._wake.wait(None if settled else self._retry_s)
            self._wake.clear()
            settled = self._write()
            self._stopping.wait(EVERY_S)
        self._write()

    def _write(self) -> bool:
        """False where the file does not hold what it should."""
        if self._latest is None:
            return True
        try:
            write(self._file, self._latest)
        except OSError as error:
            log.error("snapshot file not written", file=str(self._file), reason=str(error))
            return False
        return True


def read(file: Path) -> RuntimeConfig | None:
    """What the file holds, also if edited by hand; None where it holds nothing of use. Says what is wrong with it."""
    found = _read(file)
    return None if found is None else found[0]


def write(file: Path, config: RuntimeConfig) -> bool:
    """Replace the file unless it holds this version or a newer one, as written here; raises OSError."""
    found = _read(file)
    if found is not None and not found[1] and found[0].revision >= config.revision:
        return False
    document = config.document()
    temporary = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as out:
            out.write(json.dumps({**document, CHECKSUM: _checksum(document)}, indent=2) + "\n")
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


def _read(file: Path) -> tuple[RuntimeConfig, bool] | None:
    """Config, and whether somebody edited it."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        checksum = document.pop(CHECKSUM, None) if isinstance(document, dict) else None
        config = runtime_config.parse(document)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, InvalidRequest) as error:
        log.warning("snapshot file not readable, ignored", file=str(file), reason=str(error))
        return None
    edited = checksum != _checksum(document)
    if edited:
        log.warning("snapshot file was edited by hand: change settings through the API", file=str(file))
    return config, edited


def _checksum(document: dict[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
