"""What pages that are open at once show alike: made once, and made anew when its time is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Place(Generic[T]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    held: tuple[float, T] | None = None


class Kept(Generic[T]):
    """Values by what was asked for; of many who ask at once one makes it, and the others wait for that one."""

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._places: dict[Hashable, _Place[T]] = {}

    def of(self, key: Hashable, stand_s: float, make: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._places and len(self._places) >= self._most:
                self._places.clear()
            place = self._places.setdefault(key, _Place())
        with place.lock:
            if place.held is None or time.monotonic() - place.held[0] >= stand_s:
                place.held = (time.monotonic(), make())
            return place.held[1]
