"""The file that a health check looks at."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from redis import Redis

from app.broker import CONTROL, make_celery
from app.cli import servers as embedded
from app.cli.place import place
from app.evidence import ingest
from app.store import database
from tests.support import servers
from tests.support.commands import running
from tests.support.system import ROOT
from tests.support.waiting import wait_until
from workers.alive import TOUCH_EVERY_S, _Touch, held_back

TOOLOO = ("-m", "app.cli.main")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["worker", "--queues", "probes"], id="threads"),
        pytest.param(["worker", "--queues", "control,optimizer"], id="prefork"),
        pytest.param(["beat"], id="beat"),
    ],
)
def test_a_process_that_makes_progress_touches_its_file_again_and_again(
    command: list[str], database_url: str, redis_url: str, tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "TOOLOO_DATA_DIR": str(tmp_path),
        "TOOLOO_ALIVE_FILE": str(alive),
    }

    with running([*TOOLOO, *command], environment):
        wait_until(alive.exists, 30, what="the file is there")
        alive.unlink()
        wait_until(alive.exists, 30, what="the file is there again")


def test_beat_does_not_pass_for_alive_once_redis_is_gone(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    with servers.folder() as folder, ExitStack() as redis:
        environment = {
            "REDIS_URL": redis.enter_context(servers.redis(folder)),
            "TOOLOO_DATA_DIR": str(tmp_path),
            "TOOLOO_ALIVE_FILE": str(alive),
        }
        with running([*TOOLOO, "beat"], environment) as beat:
            wait_until(alive.exists, 30, what="the file is there")
            redis.close()
            beat.says('"level": "error"')
            alive.unlink(missing_ok=True)
            late_s = time.monotonic() + TOUCH_EVERY_S + 2
            wait_until(lambda: time.monotonic() > late_s, 30, what="a touch would be due")

            assert not alive.exists()
            assert "Traceback" not in beat.output


def test_a_parent_whose_child_waits_does_not_pass_for_alive(tmp_path: Path) -> None:
    """Its heartbeat goes on, and no task is done."""
    alive = tmp_path / "alive"
    touch = _Touch(alive)
    with held_back(alive):
        touch()
        assert not alive.exists()
    touch()
    assert alive.exists()


def test_a_child_that_was_killed_while_it_waited_holds_back_nothing(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait(30)
    mark = tmp_path / f"alive.waits-{dead.pid}"
    mark.touch()

    _Touch(alive)()

    assert alive.exists()
    assert not mark.exists()


def test_a_control_worker_that_lost_its_child_while_postgres_is_away_is_not_alive_until_it_is_back(
    tmp_path: Path, redis_url: str
) -> None:
    alive = tmp_path / "alive"
    with servers.folder() as folder, ExitStack() as postgres:
        database.migrate(postgres.enter_context(servers.postgres(folder)))
        environment = {
            "DATABASE_URL": embedded.postgres_url(place(folder)),
            "REDIS_URL": redis_url,
            "TOOLOO_DATA_DIR": str(tmp_path),
            "TOOLOO_ALIVE_FILE": str(alive),
        }
        with running([*TOOLOO, "worker", "--queues", "control,optimizer"], environment) as worker:
            wait_until(alive.exists, 60, what="it is alive")
            works(redis_url)  # a pool whose child dies before it has begun ends its parent
            postgres.close()
            for child in psutil.Process(worker.process.pid).children():
                child.kill()
            wait_until(lambda: list(tmp_path.glob("alive.waits-*")), 60, what="the next child waits")
            worker.says("waiting", timeout_s=60)
            alive.unlink(missing_ok=True)
            late_s = time.monotonic() + TOUCH_EVERY_S + 2
            wait_until(lambda: time.monotonic() > late_s, 30, what="a touch would be due")
            assert not alive.exists()

            postgres.enter_context(servers.postgres(folder))
            wait_until(alive.exists, 60, what="it is alive again")


def test_a_worker_takes_a_changed_provider_file_over_and_stays_who_it_is(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config, ignore=shutil.ignore_patterns("runtime.json"))
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "TOOLOO_DATA_DIR": str(tmp_path),
        "TOOLOO_CONFIG_DIR": str(config),
    }
    block = '[ollama]\nformat = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodels = ["llama3.2"]\n'
    with running([*TOOLOO, "worker", "--queues", "probes"], environment) as worker:
        worker.says("ready", timeout_s=60)
        with (config / "providers.toml").open("a") as file:
            file.write(f"\n{block}")
        worker.says("begins anew", timeout_s=60)
        worker.says("ready", timeout_s=60, times=2)
        with Redis.from_url(redis_url) as connection:
            connection.lpush("tooloo:celery:probe.ollama", b"{")  # it takes the new provider's messages
        worker.says("not a message, dropped", timeout_s=60)
        assert worker.process.poll() is None


def test_what_is_no_message_ends_no_worker(tmp_path: Path, database_url: str, redis_url: str) -> None:
    garbage = [b"{", b"\xff\x00", b"5", b"[" * 100_000, b'{"properties": {}}', b'{"properties": 1, "body": "x"}']
    environment = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "TOOLOO_DATA_DIR": str(tmp_path)}
    with running([*TOOLOO, "worker", "--queues", "control,optimizer"], environment) as worker:
        worker.says("ready", timeout_s=60)
        with Redis.from_url(redis_url) as connection:
            connection.lpush("tooloo:celery:control", *garbage)
            worker.says("not a message, dropped", timeout_s=60, times=len(garbage))
        works(redis_url)
        assert worker.process.poll() is None


def works(redis_url: str) -> None:
    """Until a task is done."""
    make_celery(redis_url, []).send_task("tooloo.ingest", queue=CONTROL)

    def is_done() -> bool:
        with Redis.from_url(redis_url) as connection:
            return bool(connection.exists(ingest.PULSE))

    wait_until(is_done, 60, what="a task is done")
