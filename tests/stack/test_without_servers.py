"""Processes that start while Redis and PostgreSQL are away: the API serves, workers wait, and both join."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from app.cli import orphans
from app.cli import servers as embedded
from app.cli.place import place
from app.store import database
from tests.support import servers
from tests.support.commands import running, serving
from tests.support.lab import running_lab
from tests.support.ports import free_port, silent
from tests.support.waiting import wait_until

pytestmark = pytest.mark.faults

TOOLOO = ("-m", "app.cli.main")


def test_the_api_serves_without_both_and_joins_when_they_are_back(tmp_path: Path) -> None:
    with servers.folder() as folder, running_lab() as lab, ExitStack() as back:
        where, port = place(folder), free_port()
        url = f"http://127.0.0.1:{port}"
        environment = {
            "DATABASE_URL": embedded.postgres_url(where),
            "REDIS_URL": embedded.redis_url(where),
            "TOOLOO_DATA_DIR": str(tmp_path),
            "TOOLOO_SNAPSHOT_FILE": str(tmp_path / "runtime.json"),
            "TOOLOO_LAB_URL": lab.url,
            "TOOLOO_PORT": str(port),
            "TOOLOO_API_PROCESSES": "1",
            orphans.MARK: str(tmp_path),  # its processes end with the test
        }
        with running([*TOOLOO, "api"], environment):
            wait_until(lambda: _chats(url), 60, what="a chat is answered with both away")
            ready = requests.get(f"{url}/readyz", timeout=10).json()["data"]
            assert ready["status"] == "degraded"
            assert "not reachable" in ready["checks"]["postgres"]
            assert "not reachable" in ready["checks"]["redis"]
            assert ready["checks"]["config"] != "ok"

            database.migrate(back.enter_context(servers.postgres(folder)))
            back.enter_context(servers.redis(folder))
            wait_until(
                lambda: requests.get(f"{url}/readyz", timeout=10).json()["data"]["status"] == "ok", 60, what="it joins"
            )
            assert _chats(url)


def test_a_reload_ends_the_old_process_no_sooner_than_the_new_one_serves(tmp_path: Path) -> None:
    """Servers that take connections and never answer make the start slower than the server's own patience."""
    with running_lab() as lab, silent() as database_port, silent() as redis_port:
        url = f"http://127.0.0.1:{(port := free_port())}"
        environment = {
            "DATABASE_URL": f"postgresql://tooloo@127.0.0.1:{database_port}/tooloo",
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "TOOLOO_DATA_DIR": str(tmp_path),
            "TOOLOO_SNAPSHOT_FILE": str(tmp_path / "runtime.json"),
            "TOOLOO_LAB_URL": lab.url,
            "TOOLOO_PORT": str(port),
            "TOOLOO_API_PROCESSES": "1",
            orphans.MARK: str(tmp_path),  # its processes end with the test
        }
        with running([*TOOLOO, "api"], environment) as api:
            wait_until(lambda: _chats(url), 60, what="a chat is answered")
            before, refused = serving(api.process.pid), []
            api.send(signal.SIGHUP)

            def replaced() -> bool:
                if not _chats(url):
                    refused.append(serving(api.process.pid))
                return bool(serving(api.process.pid)) and not serving(api.process.pid) & before

            wait_until(replaced, 60, what="another process serves")
            assert _chats(url)
            assert refused == []


@pytest.mark.parametrize("queues", ["probes", "control,optimizer"], ids=["threads", "prefork"])
def test_a_worker_waits_for_its_services_and_is_not_healthy_until_then(
    tmp_path: Path, redis_url: str, queues: str
) -> None:
    alive = tmp_path / "alive"
    alive.touch()  # what an earlier process left
    with servers.folder() as folder, ExitStack() as back:
        environment = {
            "DATABASE_URL": embedded.postgres_url(place(folder)),
            "REDIS_URL": redis_url,
            "TOOLOO_DATA_DIR": str(tmp_path),
            "TOOLOO_ALIVE_FILE": str(alive),
        }
        with running([*TOOLOO, "worker", "--queues", queues], environment) as worker:
            worker.says("waiting", timeout_s=60)
            assert not alive.exists()
            assert "ready" not in worker.output

            database.migrate(back.enter_context(servers.postgres(folder)))
            wait_until(alive.exists, 60, what="it works")


def _chats(url: str) -> bool:
    try:
        return requests.post(f"{url}/api/v1/chat", json={"message": "hi"}, timeout=10).status_code == 200
    except requests.ConnectionError:
        return False
