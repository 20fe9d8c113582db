"""An API process that starts or reloads while a server is away, or holds another schema, serves and joins."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
import requests
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

from app.access import keys
from app.cli import orphans
from app.cli import servers as embedded
from app.cli.place import place
from app.domain.keys import Scope
from app.live import snapshot_file
from app.live.live_config import defaults
from app.store import database
from tests.support import servers
from tests.support.commands import Running, running, serving
from tests.support.lab import running_lab
from tests.support.ports import free_port
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

TOOLOO = ("-m", "app.cli.main")


@dataclass(frozen=True)
class World:
    """Where the servers of a test are, whether or not they run, and the API in front of them."""

    folder: Path
    lab_url: str
    data: Path
    url: str

    @property
    def snapshot(self) -> Path:
        return self.data / "runtime.json"

    def postgres(self) -> Any:
        return servers.postgres(self.folder)

    def redis(self) -> Any:
        return servers.redis(self.folder)

    @contextmanager
    def api(self) -> Iterator[Running]:
        environment = {
            "DATABASE_URL": embedded.postgres_url(place(self.folder)),
            "REDIS_URL": embedded.redis_url(place(self.folder)),
            "TOOLOO_DATA_DIR": str(self.data),
            "TOOLOO_SNAPSHOT_FILE": str(self.snapshot),
            "TOOLOO_LAB_URL": self.lab_url,
            "TOOLOO_PORT": self.url.rsplit(":", 1)[1],
            "TOOLOO_API_PROCESSES": "1",
            orphans.MARK: str(self.data),  # its processes end with the test
        }
        with running([*TOOLOO, "api"], environment) as process:
            wait_until(lambda: self.asks() == 200, 60, what="a chat is answered")
            yield process

    def asks(self, key: str | None = None) -> int | None:
        """The status of a chat; None: refused."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            return requests.post(
                f"{self.url}/api/v1/chat", json={"message": "hi"}, headers=headers, timeout=60
            ).status_code
        except requests.ConnectionError:
            return None

    def checks(self) -> dict[str, str]:
        found: dict[str, str] = requests.get(f"{self.url}/readyz", timeout=60).json()["data"]["checks"]
        return found

    def joins(self) -> None:
        """Ingest is a worker's, and there is none."""
        wait_until(
            lambda: {self.checks()[name] for name in ("postgres", "redis", "config")} == {"ok"}, 60, what="joined"
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with servers.folder() as folder, running_lab() as lab:
        yield World(folder, lab.url, tmp_path, f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("away", ["postgres", "redis"])
def test_a_reload_while_a_server_is_away_keeps_serving(world: World, away: str) -> None:
    with ExitStack() as stays, ExitStack() as goes:
        for name in ("postgres", "redis"):
            url = (goes if name == away else stays).enter_context(getattr(world, name)())
            if name == "postgres":
                database.migrate(url)
        with world.api() as api:
            goes.close()
            wait_until(lambda: "not reachable" in world.checks()[away], 30, what="it is noticed")
            before, refused = serving(api.process.pid), []
            api.send(signal.SIGHUP)

            def replaced() -> bool:
                if world.asks() != 200:
                    refused.append(1)
                return bool(serving(api.process.pid)) and not serving(api.process.pid) & before

            wait_until(replaced, 60, what="another process serves")
            assert world.asks() == 200
            assert not refused
            assert "not reachable" in world.checks()[away]

            stays.enter_context(getattr(world, away)())
            world.joins()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", None),
        ("UPDATE alembic_version SET version_num = '0007'; DROP TABLE health_check", "the schema of this release"),
        ("DROP SCHEMA public CASCADE; CREATE SCHEMA public", "the schema of this release"),
    ],
    ids=["newer", "older", "none"],
)
def test_an_api_starts_on_another_schema_and_says_so(world: World, change: str, told: str | None) -> None:
    with world.postgres() as url, world.redis():
        database.migrate(url)
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text(change))
        engine.dispose()

        with world.api():
            if told is None:
                world.joins()
            else:
                wait_until(lambda: told in world.checks()["postgres"], 30, what="it is told")
                assert world.asks() == 200


def test_a_start_without_servers_serves_the_snapshot_and_joins(world: World) -> None:
    """What stood in the file is served, and becomes the config of a PostgreSQL that holds none."""
    config = defaults([], 1).model_copy(update={"revision": 7})
    changed = config.model_copy(update={"global_": config.global_.model_copy(update={"exploration_rate": 0.27})})
    snapshot_file.write(world.snapshot, changed)

    def rate() -> float:
        document = requests.get(f"{world.url}/api/v1/system/runtime-config", timeout=10).json()["data"]
        return float(document["global"]["explorationRate"])

    with ExitStack() as back, world.api():
        assert rate() == 0.27
        assert "runtime.json" in world.checks()["config"]

        database.migrate(back.enter_context(world.postgres()))
        back.enter_context(world.redis())
        world.joins()
        assert rate() == 0.27
    assert json.loads(world.snapshot.read_text())["global"]["explorationRate"] == 0.27


@pytest.mark.parametrize("redis_stays", [True, False], ids=["postgres away", "both away"])
def test_a_stored_key_works_again_at_the_latest_when_the_servers_are_back(world: World, redis_stays: bool) -> None:
    """It opens nothing while nobody can say whether it is valid, and everything it opens once somebody can."""
    with ExitStack() as postgres, ExitStack() as cache:
        secret = _stored_key(postgres.enter_context(world.postgres()), cache.enter_context(world.redis()))
        postgres.close()
        if not redis_stays:
            cache.close()
        with world.api():
            assert world.asks(secret) == (200 if redis_stays else 503)
            assert world.asks(f"{secret}0") == (401 if redis_stays else 503)

            postgres.enter_context(world.postgres())
            if not redis_stays:
                cache.enter_context(world.redis())
            wait_until(lambda: world.asks(secret) == 200, 60, what="the key is known")
            assert world.asks(f"{secret}0") == 401
            world.joins()


def _stored_key(url: str, redis_url: str) -> str:
    database.migrate(url)
    engine, connection = create_engine(url), redis_py.Redis.from_url(redis_url)
    _, secret = keys.create(sessionmaker(engine), connection, "app", frozenset({Scope.CHAT}), created_by="test")
    connection.close()
    engine.dispose()
    return secret
