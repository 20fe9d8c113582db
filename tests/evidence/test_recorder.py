"""Outcomes that a Redis does not take, or forgets, come in all the same, and each once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import select

from app import bootstrap
from app.evidence import ingest, recorder
from app.evidence.recorder import Recorder
from app.evidence.spill import Spill
from app.store import database, outcomes
from app.store.models import LiveOutcome
from tests.support.system import System
from tests.support.waiting import wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "outcomes"
    made.mkdir()
    return made


AWAY = "unix:///nowhere/redis.sock"


def entry(number: int) -> Any:
    return {"outcome": lambda: row(number)}


def row(number: int) -> dict[str, Any]:
    return {
        "request_id": f"r{number}",
        "attempt": 1,
        "at": datetime.now(UTC).isoformat(),
        "provider": "deepseek",
        "model": "deepseek-chat",
        "task_type": "default",
        "success": True,
        "latency_ms": 100.0,
        "simulated": True,
        "revision": 1,
    }


def recorded(connection: redis.Redis, folder: Path, system: System | None = None) -> Recorder:
    def stored(keys: Any) -> Any:
        assert system is not None
        with database.transaction(system.services.sessions) as session:
            return outcomes.known(session, keys)

    return Recorder(
        connection, size=100, stream_size=1000, spill=Spill(folder), stored=None if system is None else stored
    )


def in_postgres(system: System) -> list[str]:
    with database.transaction(system.services.sessions) as session:
        return sorted(session.scalars(select(LiveOutcome.request_id)))


@pytest.fixture
def away() -> Iterator[redis.Redis]:
    connection = bootstrap.connect(AWAY)
    yield connection
    connection.close()


def test_what_redis_does_not_take_before_the_end_is_taken_in_by_the_next_process(
    system: System, away: redis.Redis, folder: Path
) -> None:
    first = recorded(away, folder)
    first.start()
    for number in range(3):
        first.add(entry(number))
    first.stop()
    assert [len(file.read_text().splitlines()) for file in folder.iterdir()] == [3]
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}

    second = recorded(system.services.redis, folder)
    second.start()
    wait_until(lambda: not list(folder.iterdir()), what="the file is taken in")
    second.stop()

    assert ingest.ingest(system.services) == 3
    assert in_postgres(system) == ["r0", "r1", "r2"]


def test_a_file_waits_while_redis_is_away_and_what_is_not_readable_in_it_holds_up_nothing(
    system: System, away: redis.Redis, folder: Path
) -> None:
    (folder / "1-1.jsonl").write_text('{"outcome": "{}"}\nno JSON\n[1]\n{"outcome": 3}\n')

    waits = recorded(away, folder)
    waits._take_kept()
    assert [file.name for file in folder.iterdir()] == ["1-1.jsonl"]

    recorded(system.services.redis, folder)._take_kept()
    assert list(folder.iterdir()) == []
    assert system.services.redis.xlen(recorder.STREAM) == 1


def test_what_cannot_be_kept_is_counted(away: redis.Redis, folder: Path) -> None:
    no_folder = folder / "a file"
    no_folder.touch()
    lossy = recorded(away, no_folder)
    lossy.add(entry(1))
    lossy.add(entry(2))

    lossy._keep_rest()

    assert lossy.dropped == 2


def test_what_a_redis_forgets_before_it_was_taken_in_is_sent_again_and_nothing_else(
    system: System, folder: Path
) -> None:
    mine = recorded(system.services.redis, folder, system)
    for number in range(2):
        mine.add(entry(number))
    assert mine._flush()
    ingest.ingest(system.services)  # these two are safe
    mine.add(entry(2))
    mine.add({"request": {"id": "no outcome"}})
    assert mine._flush()
    system.services.redis.flushall()
    another = recorded(system.services.redis, folder, system)
    another.add(entry(4))
    assert another._flush()  # whose entry is newer than what was lost

    mine.add(entry(3))
    assert mine._flush()

    assert ingest.ingest(system.services) == 3
    assert in_postgres(system) == ["r0", "r1", "r2", "r3", "r4"]


def test_what_a_redis_lost_that_went_back_to_an_older_state_is_sent_again(system: System, folder: Path) -> None:
    mine = recorded(system.services.redis, folder, system)
    for number in range(3):
        mine.add(entry(number))
        assert mine._flush()
    ((last, _),) = system.services.redis.xrevrange(recorder.STREAM, count=1)
    system.services.redis.xdel(recorder.STREAM, last)  # as where the end of its file was lost

    mine.add(entry(3))
    assert mine._flush()

    ingest.ingest(system.services)
    assert in_postgres(system) == ["r0", "r1", "r2", "r3"]


def test_what_was_taken_in_is_not_held_any_longer(system: System, folder: Path) -> None:
    mine = recorded(system.services.redis, folder, system)
    for number in range(50):
        mine.add(entry(number))
        assert mine._flush()
        ingest.ingest(system.services)

    assert mine._unconfirmed._held <= 2


def test_while_postgres_cannot_say_what_it_has_nothing_is_sent_again_or_forgotten(
    system: System, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = recorded(system.services.redis, folder, system)
    mine._stop.set()  # no pauses
    mine.add(entry(1))
    mine._flush()
    system.services.redis.flushall()
    with monkeypatch.context() as broken:
        broken.setattr(outcomes, "known", _away)
        mine.add(entry(2))
        assert not mine._flush()
        assert system.services.redis.xlen(recorder.STREAM) == 1

    assert mine._flush()

    ingest.ingest(system.services)
    assert in_postgres(system) == ["r1", "r2"]


def _away(*_: Any) -> Any:
    from app.errors import DependencyUnavailable

    raise DependencyUnavailable("PostgreSQL is not reachable")
