"""One fault: chats from outside while it lasts, rounds in flight, and what the oracle says of it afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import requests

from tests.faults.oracle import Allowed, Seen, problems
from tests.faults.world import CHAT, World
from tests.support.waiting import wait_until

#: threads that ask, and s between two chats of each: four chats per second
CALLERS, PAUSE_S = 2, 0.5
#: s for a round to end, and for outcomes to be stored, after a fault
PATIENCE_S = 150
STORED_S = 20

Record = Callable[[str, object], None]


@dataclass
class Chats:
    """Asks until it is told to stop."""

    url: str
    answered: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def go_on(self, more: int) -> None:
        """Until so many more have been asked: a fault lasts that long."""
        enough = len(self.answered) + len(self.failed) + more
        wait_until(lambda: len(self.answered) + len(self.failed) >= enough, 120, f"{more} more chats were asked")

    def _ask_on(self) -> None:
        while not self._over.wait(PAUSE_S):
            self._ask()

    def _ask(self) -> None:
        began = time.monotonic()
        try:
            response = requests.post(
                f"{self.url}/api/v1/chat", json={"message": f"{CHAT} {len(self.answered)}?"}, timeout=60
            )
        except requests.RequestException as error:
            self.failed.append(type(error).__name__)
            return
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        if response.status_code == 200:
            self.answered.append(response.json()["data"]["requestId"])
        else:
            self.failed.append(str(response.status_code))


@dataclass
class Story:
    world: World
    chats: Chats
    rounds: list[str] = field(default_factory=list)

    def round(self, done: int = 0) -> str:
        """Start one, and wait until so many of its probes are final."""
        round_id = self.world.start_round()
        self.rounds.append(round_id)
        wait_until(lambda: self.world.done(round_id) >= done, 60, f"{done} probes")
        return round_id

    def ends(self) -> None:
        for each in self.rounds:
            wait_until(lambda each=each: self.world.ended(each), PATIENCE_S, f"the end of {each}")


@contextmanager
def story(world: World, record: Record, row: str, done: str, allowed: Allowed | None = None) -> Iterator[Story]:
    """`row`: of the table; `done`: what is done to the stack inside. Fails where the oracle finds a problem."""
    wait_until(lambda: world.is_well() and world.is_quiet(), 90, "all is well before")
    allowed = allowed or Allowed()
    since, calls, lost = len(world.stack.printed()), world.probes.total(), world.counted_lost()
    began = time.monotonic()
    chats = Chats(world.url)
    chats.start()
    told = Story(world, chats)
    try:
        chats.go_on(2)
        yield told
        told.ends()
        wait_until(world.is_well, 90, "all is well again")
        chats.go_on(4)
    finally:
        chats.stop()
    seen = _seen(told, since, calls, lost, began)
    wrong = problems(seen, allowed)
    record("fault", {"row": row, "done": done, "seen": _said(seen, chats), "wrong": wrong})
    assert not wrong, wrong


def _seen(told: Story, since: int, calls: int, lost: int, began: float) -> Seen:
    world, chats = told.world, told.chats
    stored: set[str] = set()

    def all_stored() -> bool:
        stored.update(world.stored(chats.answered))
        return stored.issuperset(chats.answered)

    with suppress(AssertionError):  # the oracle counts what is missing
        wait_until(all_stored, STORED_S)
    lines, tracebacks = world.trouble(since)
    return Seen(
        rounds=world.rounds(told.rounds),
        served_version=world.served_version(),
        calls=world.probes.total() - calls,
        answered=len(chats.answered),
        failed=chats.failed,
        unstored=len(set(chats.answered) - stored),
        counted_lost=world.counted_lost() - lost,
        tracebacks=tracebacks,
        lines=lines,
        minutes=(time.monotonic() - began) / 60,
    )


def _said(seen: Seen, chats: Chats) -> str:
    rounds = ", ".join(
        f"round {each.status} {sum(status == 'ok' for status in each.probes.values())}/{each.planned} ok"
        for each in seen.rounds
    )
    chat = f"chats {seen.answered}/{seen.answered + len(seen.failed)} (slowest {chats.slowest_s:.1f} s)"
    kept = f"outcomes lost {seen.unstored}, counted {seen.counted_lost}"
    log = f"log lines {sum(seen.lines.values())}, tracebacks {seen.tracebacks}"
    return "; ".join(part for part in (rounds, f"{seen.calls} calls", chat, kept, log) if part)
