"""Outcomes that Redis did not take before their process ended: in a file, until a process of this host finds it.

They are in there as they would be in the stream. A process that dies while it takes a file in may leave entries that
come in twice; one that dies before that loses none.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

log = structlog.get_logger()

#: fields of an entry of the stream, each a document of JSON
Fields = dict[str, str]


class Spill:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, entries: Sequence[Fields]) -> bool:
        """False where they could not be written, and are lost."""
        if not entries:
            return True
        file = self._folder / f"{time.time_ns()}-{os.getpid()}.jsonl"
        unfinished = file.with_suffix(".new")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            private = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(private, "w", encoding="utf-8") as out:
                out.writelines(json.dumps(entry) + "\n" for entry in entries)
                out.flush()
                os.fsync(out.fileno())
            unfinished.replace(file)
        except OSError as error:
            log.error("outcomes are lost", count=len(entries), file=str(file), reason=str(error))
            return False
        log.warning("outcomes kept in a file until the next start", count=len(entries), file=str(file))
        return True

    def take(self, send: Callable[[Sequence[Fields]], None]) -> int:
        """Send what was kept, the oldest first, and forget it; how many entries. What `send` raises leaves the rest."""
        return sum(_taken(file, send) for file in sorted(self._folder.glob("*.jsonl")))


def _taken(file: Path, send: Callable[[Sequence[Fields]], None]) -> int:
    """0 where another process has it."""
    try:
        with file.open(encoding="utf-8") as lines:
            fcntl.flock(lines, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not file.exists():  # taken between the two
                return 0
            entries = [entry for line in lines if (entry := _entry(line, file)) is not None]
            send(entries)
            file.unlink()
    except FileNotFoundError:
        return 0
    except OSError as error:
        if not isinstance(error, BlockingIOError):
            log.error("kept outcomes cannot be read", file=str(file), reason=str(error))
        return 0
    log.info("kept outcomes taken in", count=len(entries), file=str(file))
    return len(entries)


def _entry(line: str, file: Path) -> Fields | None:
    try:
        fields = json.loads(line)
    except ValueError as error:
        log.error("a kept outcome is not readable, left out", file=str(file), reason=str(error))
        return None
    if isinstance(fields, dict) and all(isinstance(value, str) for value in fields.values()):
        return fields
    log.error("a kept outcome is not readable, left out", file=str(file), reason="not an entry")
    return None
