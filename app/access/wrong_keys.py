"""Who shows wrong keys is answered more slowly, by address; a right key is never looked at here, and never waits."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from app.errors import TooManyRequests

log = structlog.get_logger()

#: wrong keys of an address that are answered at once, in WINDOW_S
FREE, WINDOW_S = 10, 60.0
#: s that each further one waits, and how many may wait at once: threads that serve nobody meanwhile
DELAY_S, PLACES = 1.0, 16
#: addresses that are remembered, the latest
MOST = 10_000


@dataclass(slots=True)
class _Seen:
    since_s: float
    count: int = 0


class WrongKeys:
    """Of one process."""

    def __init__(
        self, wait: Callable[[float], object] = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._wait = wait
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._places = threading.Semaphore(PLACES)

    def shown(self, address: str) -> None:
        """A wrong key came from there. Raises TooManyRequests where too many wait already."""
        if self._count(network(address)) <= FREE:
            return
        if not self._places.acquire(blocking=False):
            raise TooManyRequests("too many wrong keys: each is answered slowly from now on", retry_after_s=WINDOW_S)
        try:
            self._wait(DELAY_S)
        finally:
            self._places.release()

    def _count(self, name: str) -> int:
        with self._lock:
            now_s = self._clock()
            seen = self._seen.pop(name, None)
            if seen is None or now_s - seen.since_s >= WINDOW_S:
                seen = _Seen(now_s)
            seen.count += 1
            self._seen[name] = seen
            if len(self._seen) > MOST:
                self._seen.popitem(last=False)
        if seen.count == FREE + 1:
            log.warning("wrong keys", address=name, count=seen.count, within_s=WINDOW_S)
        return seen.count


def network(address: str) -> str:
    """Of an IPv6 address its /64, which one customer has; anything else as it is, cut short."""
    try:
        found = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return address[:50]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
