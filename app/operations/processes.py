"""Which processes of `tooloo up` are missing: written by the supervisor, read by the API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import structlog

log = structlog.get_logger()

#: s between two starts of a process that ends at once, at most
LONGEST_PAUSE_S = 60


@dataclass(frozen=True, slots=True)
class Absent:
    """A process that ended and has not stayed up since."""

    #: epoch s of its first end
    since_s: float
    #: ends since then
    ends: int
    #: of the latest end
    how: str
    #: epoch s of the next start; None: it has been started, and has not stayed up yet
    next_s: float | None = None


class Missing:
    """The supervisor's side; every change is written at once."""

    def __init__(self, file: Path, names: Sequence[str]) -> None:
        self._file = file
        self._names = tuple(names)
        self._absent: dict[str, Absent] = {}
        self._write()

    def ended(self, name: str, how: str, now_s: float, next_s: float | None = None) -> None:
        """`next_s`: when it is started again; None: at once."""
        before = self._absent.get(name, Absent(now_s, 0, how))
        self._absent[name] = Absent(before.since_s, before.ends + 1, how, next_s)
        self._write()

    def started(self, name: str) -> None:
        """Another try is made; whether it stays up will be seen."""
        if (absent := self._absent.get(name)) is not None and absent.next_s is not None:
            self._absent[name] = replace(absent, next_s=None)
            self._write()

    def returned(self, name: str) -> bool:
        """True where it had been missing."""
        was_missing = self._absent.pop(name, None) is not None
        if was_missing:
            self._write()
        return was_missing

    def _write(self) -> None:
        document = {"processes": self._names, "missing": {name: asdict(each) for name, each in self._absent.items()}}
        try:
            # a reader finds the old state or the new one, never half of either
            temporary = self._file.with_suffix(".new")
            temporary.write_text(json.dumps(document))
            temporary.replace(self._file)
        except OSError as error:
            log.error("what is missing cannot be written", file=str(self._file), reason=str(error))


@dataclass(frozen=True, slots=True)
class Processes:
    """The API's side: what the supervisor last wrote."""

    names: tuple[str, ...] = ()
    absent: tuple[tuple[str, Absent], ...] = ()


def read(file: Path | None) -> Processes:
    """Nothing where there is no supervisor, or its file cannot be read: it says nothing then."""
    if file is None:
        return Processes()
    try:
        document = json.loads(file.read_text())
        absent = tuple((name, Absent(**each)) for name, each in document["missing"].items())
        return Processes(tuple(document["processes"]), absent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("what is missing cannot be read", file=str(file), reason=str(error))
        return Processes()


def state(found: Processes, now_s: float) -> str:
    """`ok`, or who is missing since when, and when it is tried again."""
    said = [
        f"{name}: missing for {now_s - each.since_s:.0f} s, {each.how}, {_next_try(each, now_s)}"
        for name, each in found.absent
    ]
    return "; ".join(said) or "ok"


def _next_try(absent: Absent, now_s: float) -> str:
    if absent.next_s is None:
        return "started again, not up yet"
    # a clock that was set back makes no pause longer
    wait_s = min(absent.next_s - now_s, LONGEST_PAUSE_S)
    return f"next try in {wait_s:.0f} s" if wait_s > 0 else "next try now"
