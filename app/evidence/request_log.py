"""The request log and the usage per day: how they come in, and how they end.

gateway → Recorder → Redis stream → ingest, in the transaction that takes in the outcomes → Postgres
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from app.services import Services
from app.store import database, requests

log = structlog.get_logger()


class Limit:
    """So many log entries per second, from one thread; as many again for those that are urgent."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._second = 0
        self._logged = 0

    def takes(self, now_s: float, *, urgent: bool) -> bool:
        if int(now_s) != self._second:
            self._second, self._logged = int(now_s), 0
        if self._logged >= self._per_s * (2 if urgent else 1):
            return False
        self._logged += 1
        return True


def sampled(request_id: str, share: float) -> bool:
    """The same answer in every process, for the same request."""
    return int(request_id[-8:], 16) < share * 0x1_0000_0000


def purge(services: Services) -> None:
    """Delete what is older than the policy keeps."""
    with database.transaction(services.sessions) as session:
        before = database.now(session) - timedelta(days=services.policy.gateway.log_days)
        deleted = requests.delete_before(session, before)
    if deleted:
        log.info("request log purged", deleted=deleted)
