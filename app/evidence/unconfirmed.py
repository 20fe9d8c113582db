"""What this process has put into the stream and nobody has taken in yet: a Redis that forgets loses it.

A Redis that was emptied is called by another name then; one that went back to an older state has a last id that is
older than the last of ours: of what stands here, all that PostgreSQL does not have is to be put in again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from app.evidence.spill import Fields


class Unconfirmed:
    def __init__(self, size: int) -> None:
        #: id of the last entry of each batch, and what is in it
        self._batches: deque[tuple[str, Sequence[Fields]]] = deque()
        self._size = size
        self._held = 0

    @property
    def last(self) -> str:
        """Id of the latest batch that may still be there; "0-0": none."""
        return self._batches[-1][0] if self._batches else "0-0"

    def sent(self, entries: Sequence[Fields], last: str, first: str) -> None:
        """`first`: of the stream, which keeps the last entry that was taken in, and what came after it."""
        self._batches.append((last, entries))
        self._held += len(entries)
        while self._batches and (_order(self._batches[0][0]) < _order(first) or self._held > self._size):
            _, gone = self._batches.popleft()
            self._held -= len(gone)

    def forget(self) -> list[Fields]:
        """All of it, the oldest first."""
        entries = [entry for _, batch in self._batches for entry in batch]
        self._batches.clear()
        self._held = 0
        return entries


def is_older(before: str | None, last: str) -> bool:
    """Whether a stream whose last id is `before` (None: it is empty) has lost an entry with the id `last`."""
    return _order(before or "0-0") < _order(last)


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)
