"""The runtime config between a real Postgres, a real Redis and its file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import sessionmaker
from structlog.testing import capture_logs

from app import bootstrap
from app.bootstrap import connect
from app.domain.catalog import Provider, WireFormat
from app.domain.config.runtime_config import RuntimeConfig
from app.errors import Conflict, DependencyUnavailable, InvalidRequest, NotFound, PreconditionFailed
from app.live import live_config, published, snapshot_file
from app.live.live_config import Signature
from app.live.snapshot_file import SnapshotFile
from app.store import database, revisions
from app.store.database import Sessions
from tests.domain.config.test_runtime_config import contains
from tests.support.system import build
from tests.support.waiting import wait_until

DEEPSEEK = Provider("deepseek", WireFormat.OPENAI, "http://deepseek.invalid", "DEEPSEEK_API_KEY", ("chat",), priority=1)
GEMINI = Provider("gemini", WireFormat.GEMINI, "http://gemini.invalid", "GEMINI_API_KEY", ("flash",), priority=2)


class Copies:
    """The three places a config is kept in, and the steps under test."""

    def __init__(self, database_url: str, redis_url: str, file: Path) -> None:
        self.engine = database.create(database_url, pool_size=10)
        self.sessions: Sessions = sessionmaker(self.engine, expire_on_commit=False)
        self.redis = connect(redis_url)
        self.file = file

    def recover(self, *providers: Provider) -> RuntimeConfig:
        return live_config.recover(self.sessions, self.redis, self.file, providers or (DEEPSEEK, GEMINI))

    def update(self, change: dict[str, object], if_match: str | None = None) -> RuntimeConfig:
        return live_config.update(self.sessions, self.redis, change, author="anna", reason="a test", if_match=if_match)

    def in_postgres(self) -> RuntimeConfig | None:
        with database.transaction(self.sessions) as session:
            return revisions.latest(session)

    def in_redis(self) -> RuntimeConfig | None:
        found = published.read(self.redis, live_config.NAME)
        return None if found is None else live_config.parse(found[1])

    def wipe_postgres(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(text("TRUNCATE revisions"))


@pytest.fixture
def copies(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Copies]:
    made = Copies(database_url, redis_url, tmp_path / "runtime.json")
    yield made
    made.engine.dispose()
    made.redis.close()


def test_first_start_writes_the_defaults_everywhere(copies: Copies) -> None:
    config = copies.recover()

    assert config == copies.in_postgres() == copies.in_redis()
    assert config.version == "1"
    assert config.providers["gemini"].priority == 2


def test_recovering_again_changes_nothing(copies: Copies) -> None:
    assert copies.recover() == copies.recover()


def test_a_wiped_redis_gets_the_config_back(copies: Copies) -> None:
    copies.recover()
    config = copies.update({"explorationRate": 0.2})

    copies.redis.flushdb()
    copies.recover()

    assert copies.in_redis() == config


def test_a_postgres_that_lost_revisions_is_brought_up_from_redis(copies: Copies) -> None:
    copies.recover()
    config = copies.update({"explorationRate": 0.2})

    copies.wipe_postgres()
    copies.recover()

    assert copies.in_postgres() == config


def test_with_both_servers_new_the_file_brings_the_config_back(copies: Copies) -> None:
    copies.recover()
    config = copies.update({"explorationRate": 0.2})
    snapshot_file.write(copies.file, config)

    copies.wipe_postgres()
    copies.redis.flushdb()

    assert copies.recover() == config == copies.in_redis() == copies.in_postgres()


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '{"version": "9"}', "\x00\xff", "[" * 100_000])
def test_a_broken_file_is_passed_over(copies: Copies, content: str) -> None:
    copies.file.write_bytes(content.encode("latin-1"))

    assert copies.recover().version == "1"


def test_a_version_that_no_column_holds_is_passed_over(copies: Copies) -> None:
    document = {**live_config.defaults((DEEPSEEK, GEMINI), 0).document(), "version": "9" * 19}
    copies.file.write_text(json.dumps(document))

    assert copies.recover().version == "1"


def test_a_provider_that_is_new_in_providers_toml_joins_the_config(copies: Copies) -> None:
    copies.recover(DEEPSEEK)
    copies.update({"providers": {"deepseek": {"priority": 9}}})

    config = copies.recover(DEEPSEEK, GEMINI)

    assert (config.providers["deepseek"].priority, config.providers["gemini"].priority) == (9, 2)


def test_an_update_is_a_revision_with_author_and_reason(copies: Copies) -> None:
    before = copies.recover()

    after = copies.update({"weights": {"latency": 0.6, "cost": 0.2, "reliability": 0.2}})

    assert after.global_.provider_weights.latency == 0.6
    assert after.revision == before.revision + 1
    assert after.metadata.optimized_by == "anna"
    with database.transaction(copies.sessions) as session:
        revision = revisions.get(session, after.revision)
        assert revision is not None
        assert (revision.author, revision.reason, revision.parent) == ("anna", "a test", before.revision)


def test_a_refused_update_leaves_no_trace(copies: Copies) -> None:
    before = copies.recover()

    with pytest.raises(InvalidRequest, match="weights must sum to 1"):
        copies.update({"weights": {"latency": 0.9, "cost": 0.2, "reliability": 0.2}})

    assert copies.in_postgres() == before == copies.in_redis()


def test_of_two_writers_who_read_the_same_version_one_is_refused(copies: Copies) -> None:
    version = copies.recover().version

    def write(rate: float) -> bool:
        try:
            copies.update({"explorationRate": rate}, if_match=version)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(write, [0.2, 0.3])) == [False, True]


def test_without_postgres_a_write_is_refused_and_reads_go_on(copies: Copies, redis_url: str, tmp_path: Path) -> None:
    config = copies.recover()
    nowhere = sessionmaker(database.create(f"postgresql+psycopg2://postgres@/nothing?host={tmp_path}"))

    with pytest.raises(DependencyUnavailable, match="PostgreSQL is not reachable"):
        live_config.update(nowhere, copies.redis, {"explorationRate": 0.2}, author="a", reason="r")

    live = live_config.live(nowhere, (DEEPSEEK, GEMINI), 1)
    assert live.refresh(copies.redis)
    assert live.value == config


def test_without_redis_a_write_is_kept_for_the_reaper_to_publish(copies: Copies) -> None:
    copies.recover()
    reachable, copies.redis = copies.redis, connect("unix:///nothing/here.sock")

    config = copies.update({"explorationRate": 0.2})

    copies.redis = reachable
    assert copies.in_postgres() == config != copies.in_redis()
    copies.recover()
    assert copies.in_redis() == config


def test_snapshot_file_ends_with_the_last_state_also_at_shutdown(copies: Copies) -> None:
    snapshot = SnapshotFile(copies.file)
    snapshot.start()
    first = copies.recover()
    snapshot.offer(first)
    wait_until(copies.file.exists)

    for rate in (0.2, 0.3, 0.4):
        last = copies.update({"explorationRate": rate})
        snapshot.offer(last)
    snapshot.stop()

    assert contains(json.loads(copies.file.read_text()), last.document())
    assert [path.name for path in copies.file.parent.iterdir()] == ["runtime.json"]


def test_snapshot_file_is_never_set_back_or_rewritten_for_nothing(copies: Copies) -> None:
    first = copies.recover()
    second = copies.update({"explorationRate": 0.2})

    assert snapshot_file.write(copies.file, second)
    assert not snapshot_file.write(copies.file, first)
    assert not snapshot_file.write(copies.file, second)


def test_a_snapshot_that_cannot_be_written_is_written_when_it_can_be(copies: Copies, tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file where the folder should be")
    snapshot = SnapshotFile(tmp_path / "folder" / "runtime.json", retry_s=0.01)
    config = copies.recover()
    with capture_logs() as logs:
        snapshot.start()
        snapshot.offer(config)
        wait_until(lambda: [entry for entry in logs if entry["event"] == "snapshot file not written"])

    (tmp_path / "folder").unlink()

    wait_until(lambda: snapshot_file.read(tmp_path / "folder" / "runtime.json") == config)
    snapshot.stop()


def test_a_file_edited_by_hand_is_reported_and_replaced_by_the_next_version(copies: Copies) -> None:
    first = copies.recover()
    snapshot_file.write(copies.file, first)
    edited = json.loads(copies.file.read_text()) | {"version": "999999"}
    copies.file.write_text(json.dumps(edited))

    with capture_logs() as logs:
        assert copies.recover() == first  # the servers have newer ones, whatever number stands in the file
        assert snapshot_file.write(copies.file, copies.update({"explorationRate": 0.2}))

    assert [entry["event"] for entry in logs] == ["snapshot file was edited by hand: change settings through the API"]
    assert snapshot_file.read(copies.file) == copies.in_postgres()


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_reported_and_replaced(copies: Copies, kept: float) -> None:
    config = copies.recover()
    snapshot_file.write(copies.file, config)
    whole = copies.file.read_bytes()
    copies.file.write_bytes(whole[: int(len(whole) * kept)])

    with capture_logs() as logs:
        assert snapshot_file.read(copies.file) is None
    assert [entry["event"] for entry in logs] == ["snapshot file not readable, ignored"]
    assert snapshot_file.write(copies.file, config)
    assert snapshot_file.read(copies.file) == config


def test_with_both_servers_away_a_process_starts_from_the_file_and_moves_on_when_redis_is_back(
    copies: Copies, redis_url: str, tmp_path: Path
) -> None:
    copies.recover()
    kept = copies.update({"explorationRate": 0.25})
    away = build(f"postgresql+psycopg2://x@/nothing?host={tmp_path}", f"unix://{tmp_path}/no.sock", tmp_path / "stack")
    edited = kept.model_copy(update={"version": "999"})  # as after an edit by hand: it must not outrank what comes
    snapshot_file.write(away.services.settings.snapshot_file, edited)

    running = bootstrap.start(away.services)

    assert away.services.config.value.global_.exploration_rate == 0.25
    assert away.services.config.refresh(copies.redis)
    assert away.services.config.value == kept
    running.stop()
    away.close()


def test_an_earlier_version_comes_back_as_a_new_one(copies: Copies) -> None:
    first = copies.recover()
    copies.update({"explorationRate": 0.2, "features": {"explorationMode": True}})

    back = live_config.roll_back(copies.sessions, copies.redis, first.revision, Signature("ben", "too wild"))

    assert back.revision == 3
    assert back.global_ == first.global_
    assert back.features == first.features
    assert (back.metadata.optimized_by, back.metadata.iteration_count) == ("ben", 2)
    with pytest.raises(NotFound, match="there is no version 99"):
        live_config.roll_back(copies.sessions, copies.redis, 99, Signature("ben", "no such"))


def test_a_reset_brings_the_defaults_and_takes_pins_off(copies: Copies) -> None:
    first = copies.recover()
    copies.update({"explorationRate": 0.2, "pins": {"explorationRate": True}, "segments": {"pro": {}}})

    config = live_config.reset(copies.sessions, copies.redis, (DEEPSEEK, GEMINI), Signature("ben", "a new start"))

    assert config.model_copy(update={"metadata": first.metadata}).document() == {
        **first.document(),
        "version": "3",
        "timestamp": config.timestamp,
    }


def test_a_version_that_this_release_cannot_read_stops_writes_and_not_reads(copies: Copies) -> None:
    config = copies.recover()
    live = live_config.live(copies.sessions, (DEEPSEEK, GEMINI), 1)
    live.refresh(copies.redis)
    newer = {**config.document(), "version": "2", "providers": ["a list by then"]}
    with copies.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO revisions (version, document, author, reason) VALUES (2, :document, 'x', 'y')"),
            {"document": json.dumps(newer)},
        )
    published.publish(copies.redis, live_config.NAME, 2, json.dumps(newer))

    assert not live.refresh(copies.redis)
    assert live.value == config
    with pytest.raises(Conflict, match="not readable by this release"):
        copies.update({"explorationRate": 0.2})
