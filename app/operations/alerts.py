"""Tells a webhook of each thing that needs a person: once when it begins and once when it ends, over all processes.

Every API process looks; what it sees goes into a ledger that all share, and who claims a due message there sends it.
The ledger is PostgreSQL's; that PostgreSQL is away stands in Redis. With both away nobody can say who has told it, and
nothing is sent: /readyz says it. A message whose sender dies in the middle is sent again under the same id.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import redis
import structlog

from app.domain.policy import AlertsPolicy
from app.errors import DependencyUnavailable
from app.operations import undelivered
from app.operations.alerts_in_redis import RedisLedger
from app.operations.attention import UNDELIVERED, Item
from app.operations.webhook import Webhook
from app.services import Services
from app.store import alerts, database
from app.store.alerts import Due
from app.store.database import Sessions

log = structlog.get_logger()

BEGAN, ENDED = "attention.began", "attention.ended"
#: s that stopping waits for a message under way
STOP_S = 1.0


class Ledger(Protocol):
    """Each raises DependencyUnavailable, or redis.RedisError, where it cannot be reached."""

    def look(self, items: Sequence[Item], *, ends: bool) -> None:
        """What is there now; `ends`: what has not been seen for a while is over."""
        ...

    def claim(self) -> Due | None: ...

    def told(self, due: Due) -> None: ...

    def given_up(self, due: Due) -> None: ...

    def failed(self, due: Due, problem: str) -> None: ...


class PostgresLedger:
    def __init__(self, sessions: Sessions, policy: AlertsPolicy) -> None:
        self._sessions, self._policy = sessions, policy

    def look(self, items: Sequence[Item], *, ends: bool) -> None:
        with database.transaction(self._sessions) as session:
            # in one order, so that two processes never wait for each other
            for item in sorted(items, key=lambda each: (each.kind, each.subject)):
                alerts.see(session, item.to_json(), item.since)
            if ends:
                alerts.end_unseen(session, timedelta(seconds=self._policy.quiet_s))

    def claim(self) -> Due | None:
        retry, most = timedelta(seconds=self._policy.retry_s), timedelta(seconds=self._policy.retry_max_s)
        with database.transaction(self._sessions) as session:
            return alerts.claim(session, retry, most)

    def told(self, due: Due) -> None:
        with database.transaction(self._sessions) as session:
            alerts.told(session, due)

    def given_up(self, due: Due) -> None:
        with database.transaction(self._sessions) as session:
            alerts.given_up(session, due)

    def failed(self, due: Due, problem: str) -> None:
        with database.transaction(self._sessions) as session:
            alerts.failed(session, due, problem)


class Alerts:
    """A thread of its own. `present`: what needs a person now, as this process sees it."""

    def __init__(self, services: Services, webhook: Webhook, present: Callable[[], list[Item]]) -> None:
        self._policy = services.policy.alerts
        self._webhook = webhook
        self._present = present
        self._postgres = _Watched(PostgresLedger(services.sessions, self._policy), self._policy)
        self._redis = _Watched(RedisLedger(services.redis, self._policy), self._policy)
        #: what the webhook had against the latest message; None: it took it
        self._problem: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=STOP_S)

    def _run(self) -> None:
        while not self._stopping.wait(self._policy.every_s):
            try:
                self.look()
            except Exception:  # whatever it is: a process without this thread would alarm nobody
                log.exception("alerts not looked at")

    def look(self) -> None:
        items = [item for item in self._present() if item.kind != UNDELIVERED]  # who would be told of it?
        in_redis = [item for item in items if _is_postgres(item)]
        for ledger, mine in ((self._postgres, [i for i in items if not _is_postgres(i)]), (self._redis, in_redis)):
            try:
                ledger.look(mine)
                while not self._stopping.is_set() and (due := ledger.claim()) is not None:
                    self._tell(ledger, due)
            except (DependencyUnavailable, redis.RedisError) as error:
                ledger.lost()
                log.info("alerts wait", reason=str(error))

    def _tell(self, ledger: _Watched, due: Due) -> None:
        problem = self._webhook.send(*message(due), int(time.time()))
        if problem is None:
            ledger.told(due)
            log.info("alert sent", alert=due.id, kind=due.item["kind"], ended=due.ended_at is not None)
        else:
            self._not_taken(ledger, due, problem)
        self._problem = problem

    def _not_taken(self, ledger: _Watched, due: Due, problem: str) -> None:
        """Said once per cause: each message is tried again and again."""
        ledger.failed(due, problem)
        if problem != self._problem:
            log.warning("alerts are not taken, they are tried again", reason=problem, cure=undelivered.cure(problem))
        if due.waited > timedelta(seconds=self._policy.give_up_s):
            ledger.given_up(due)
            log.error("alert given up", alert=due.id, kind=due.item["kind"], reason=problem)


class _Watched:
    """A ledger, and since when this process has looked at it without a break: only then it may say that all is over."""

    def __init__(self, ledger: Ledger, policy: AlertsPolicy) -> None:
        self._ledger, self._quiet_s = ledger, policy.quiet_s
        self._since: float | None = None
        self.claim, self.told, self.given_up, self.failed = ledger.claim, ledger.told, ledger.given_up, ledger.failed

    def look(self, items: Sequence[Item]) -> None:
        now = time.monotonic()
        steady = self._since is not None and now - self._since > self._quiet_s
        self._ledger.look(items, ends=steady)
        self._since = now if self._since is None else self._since

    def lost(self) -> None:
        self._since = None


def _is_postgres(item: Item) -> bool:
    return (item.kind, item.subject) == ("dependency_away", "postgres")


def message(due: Due) -> tuple[str, dict[str, Any]]:
    """Its id, the same at every try, and the body."""
    kind, at = (BEGAN, due.began_at) if due.ended_at is None else (ENDED, due.ended_at)
    over = "" if due.ended_at is None else "over: "
    return f"{due.id}.{kind.rpartition('.')[2]}", {
        "type": kind,
        "timestamp": at.astimezone(UTC).isoformat(),
        "text": f"{over}{due.item['severity']}: {due.item['text']}" + ("" if over else f" → {due.item['cure']}"),
        "data": {**due.item, "id": due.id, "beganAt": _ms(due.began_at), "endedAt": _ms(due.ended_at)},
    }


def _ms(time_: datetime | None) -> int | None:
    return None if time_ is None else int(time_.timestamp() * 1000)
