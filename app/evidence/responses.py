"""Responses that are kept, for who goes on from them: written before the end of an answer, within a bounded time.

PostgreSQL is asked in threads of its own, so that a server that says nothing holds up no request for long, and after a
failure is left alone for a while: answers are given all the same, and say that they are not kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session

from app.errors import DependencyUnavailable, InvalidRequest
from app.services import Services
from app.store import database, responses
from app.store.responses import Kept

log = structlog.get_logger()

#: s that an answer waits until it is kept, and that a question waits for what was kept
KEEP_S, READ_S = 1.0, 4.0
#: s that nothing is tried after a failure
AWAY_S = 5.0
#: questions and answers that wait for PostgreSQL at once, and threads for them
WAITING, THREADS = 64, 4
#: turns of one conversation
MOST_TURNS = 1000

Result = TypeVar("Result")


class Responses:
    def __init__(self, services: Services) -> None:
        self._sessions = services.sessions
        self._most_characters = services.settings.max_body
        policy = services.policy.gateway
        #: does the policy keep any?
        self.kept = policy.store_responses and policy.log_share > 0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="responses")
        self._places = threading.BoundedSemaphore(WAITING)
        self._away_until_s = 0.0

    @property
    def away(self) -> bool:
        return time.monotonic() < self._away_until_s

    def stop(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def check(self, field: str) -> None:
        """Raises InvalidRequest where none is kept, DependencyUnavailable where that cannot be done now."""
        if not self.kept:
            raise InvalidRequest(
                f"{field}: responses are not kept here (gateway.store_responses, log_share): send store: false, and all"
                " items as input",
                field=field,
            )
        if field == "store":
            self._asked(lambda _: None, READ_S)

    def keep(self, owner: str, row: Kept) -> bool:
        """Is it kept? It can be read in every process then."""
        if self.away:
            return False
        try:
            self._asked(lambda session: responses.store(session, owner, row), KEEP_S)
        except DependencyUnavailable as error:
            log.warning("response not kept", response=row.id, reason=str(error))
            return False
        return True

    def get(self, owner: str, ids: Collection[str]) -> dict[str, Kept]:
        """Raises DependencyUnavailable, as all that read."""
        return self._asked(lambda session: responses.get(session, owner, ids), READ_S)

    def remove(self, owner: str, response_id: str) -> bool:
        return self._asked(lambda session: responses.remove(session, owner, response_id), READ_S)

    def conversation(self, owner: str, response_id: str) -> list[Kept]:
        """As app.store.responses; raises InvalidRequest for one that is too long to be asked in one request."""

        def read(session: Session) -> list[Kept]:
            turns, characters = responses.length(session, owner, response_id, MOST_TURNS)
            if turns >= MOST_TURNS or characters > self._most_characters:
                raise InvalidRequest(
                    f"previous_response_id: the conversation has {turns} turns and {characters} characters,"
                    f" of {MOST_TURNS} and {self._most_characters} at most: begin a new one",
                    field="previous_response_id",
                )
            return responses.conversation(session, owner, response_id, MOST_TURNS)

        return self._asked(read, READ_S)

    def _asked(self, work: Callable[[Session], Result], within_s: float) -> Result:
        if not self._places.acquire(blocking=False):
            raise DependencyUnavailable("PostgreSQL is slow: too many wait for it already")
        future: Future[Result] = self._threads.submit(self._run, work)
        future.add_done_callback(lambda _: self._places.release())
        try:
            return future.result(within_s)
        except TimeoutError:
            future.cancel()  # where it has begun it may still come to its end: who goes on from it finds it then
            self._away_until_s = time.monotonic() + AWAY_S
            raise DependencyUnavailable(f"PostgreSQL did not answer within {within_s} s") from None
        except DependencyUnavailable:
            self._away_until_s = time.monotonic() + AWAY_S
            raise

    def _run(self, work: Callable[[Session], Result]) -> Result:
        with database.transaction(self._sessions) as session:
            responses.hurry(session)
            return work(session)
