from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from app.domain.config import runtime_config
from app.domain.config.runtime_config import ProviderConfig
from app.store import database, revisions
from app.store.database import Sessions

DEFAULTS = runtime_config.initial(1765326651024, {"deepseek": ProviderConfig(priority=1)})


def test_revisions_of_many_writers_have_no_gap_and_lose_nothing(sessions: Sessions) -> None:
    def write(number: int) -> int:
        with database.transaction(sessions) as session:
            revisions.lock(session)
            current = revisions.latest(session) or DEFAULTS
            merged = runtime_config.merge(current, {"segments": {f"s{number}": {}}})
            return revisions.add(session, merged, now_ms=number, author=f"w{number}", reason="test").revision

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(write, range(40)))

    assert sorted(versions) == list(range(1, 41))
    with database.transaction(sessions) as session:
        latest = revisions.latest(session)
        assert latest is not None
        assert set(latest.segments) == {f"s{number}" for number in range(40)}
        assert revisions.get(session, 7).parent == 6  # type: ignore[union-attr]  # asserted by access


def test_a_document_comes_back_as_it_was_stored(sessions: Sessions) -> None:
    with database.transaction(sessions) as session:
        stored = revisions.add(session, DEFAULTS, now_ms=5, author="a", reason="r")

    with database.transaction(sessions) as session:
        assert revisions.latest(session) == stored
    assert (stored.version, stored.timestamp) == ("1", 5)
