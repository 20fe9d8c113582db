"""Starting, crashing and stopping, with small processes in the place of TooLoo's own; the servers are the real ones."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from app.cli import orphans, servers
from app.cli.place import Place, place
from app.store import database
from tests.support import commands
from tests.support.commands import Running
from tests.support.servers import folder
from tests.support.waiting import wait_until

#: answers to SIGTERM at once, as a shell that waits for `sleep` would not
WAITS = 'trap "exit 0" TERM; echo started; while :; do sleep 0.05; done'


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with folder() as path:
        yield path / "data"


def stack(
    data_dir: Path, children: dict[str, str], *, own_servers: bool = True, **specification: object
) -> AbstractContextManager[Running]:
    """A stack of shell commands; without servers of its own it is told of some that it will not ask."""
    given = json.dumps({"children": children, **specification})
    elsewhere = {"DATABASE_URL": "postgresql://elsewhere/x", "REDIS_URL": "redis://elsewhere"}
    changes = {"TOOLOO_DATA_DIR": str(data_dir)} | ({} if own_servers else elsewhere)
    return commands.running(["-m", "tests.support.small_stack", given], changes)


def test_servers_keep_their_data_over_a_restart(data_dir: Path) -> None:
    where = place(data_dir)
    with stack(data_dir, {"one": WAITS}) as up:
        up.says("one      │ started")
        _query(where, "CREATE TABLE kept (answer int); INSERT INTO kept VALUES (42) RETURNING answer")
        with redis.Redis.from_url(servers.redis_url(where)) as client:
            client.set("kept", "42")
        up.send(signal.SIGTERM)
        assert up.wait() == 0
    with stack(data_dir, {"one": WAITS}) as up:
        up.says("one      │ started")
        assert _query(where, "SELECT answer FROM kept") == [(42,)]
        with redis.Redis.from_url(servers.redis_url(where)) as client:
            assert client.get("kept") == b"42"
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        up.send(signal.SIGINT)
        assert up.wait() == 0
    assert "was not properly shut down" not in (data_dir / "log" / "postgres.log").read_text()


def test_servers_reach_their_data_through_a_private_folder(tmp_path: Path) -> None:
    """Also where its path is too long for their sockets, which lie elsewhere then."""
    closed = tmp_path / ("long" * 25)
    closed.mkdir(mode=0o700)
    with stack(closed / "data", {"one": WAITS}) as up:
        up.says("one      │ started")
    assert not place(closed / "data").sockets.is_relative_to(closed)


def test_servers_listen_on_private_sockets_only_and_are_given_no_key(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_PROVIDERS_KEY", "sk-not-for-a-database")
    with stack(data_dir, {"one": "echo key=$MY_PROVIDERS_KEY; " + WAITS}) as up:
        up.says("key=sk-not-for-a-database")  # what is not a server is
        processes = _servers(orphans.leftovers(data_dir))
        assert len(processes) == 2
        assert not [c for process in processes for c in process.net_connections("inet") if c.status == "LISTEN"]
        assert place(data_dir).sockets.stat().st_mode & 0o077 == 0
        assert [process.name() for process in processes if "MY_PROVIDERS_KEY" in process.environ()] == []


@pytest.mark.parametrize(
    ("sig", "own_servers"),
    [
        (signal.SIGINT, True),  # Ctrl-C
        (signal.SIGTERM, False),
        (signal.SIGHUP, False),  # the terminal was closed
    ],
)
def test_a_signal_ends_every_process_and_a_second_one_changes_nothing(
    data_dir: Path, sig: signal.Signals, own_servers: bool
) -> None:
    # the second ignores SIGTERM and has a process of its own beside it
    children = {"kind": WAITS, "stubborn": 'trap "" TERM; sleep 1000 & echo started; while :; do sleep 0.05; done'}
    with stack(data_dir, children, own_servers=own_servers) as up:
        up.says("started", times=2)
        up.send(sig)
        up.says("stopping")
        up.send(sig)
        assert up.wait() == 0
        assert orphans.leftovers(data_dir) == []


def test_a_crashed_process_is_reported_and_started_again(data_dir: Path) -> None:
    with stack(data_dir, {"victim": 'echo "I am $$"; ' + WAITS}, own_servers=False) as up:
        first = int(up.says("I am").split()[-1])
        os.kill(first, signal.SIGKILL)
        assert up.says("victim was ended by SIGKILL; ").startswith("tooloo ")
        up.says("I am", times=2)
        assert up.output.count(f"I am {first}\n") == 1


def test_what_a_crashed_process_had_started_ends_with_it(data_dir: Path) -> None:
    with stack(data_dir, {"master": 'sleep 1000 & echo "worker $! of $$"; wait'}, own_servers=False) as up:
        found = re.search(r"worker (\d+) of (\d+)", up.says("worker"))
        assert found is not None
        os.kill(int(found[2]), signal.SIGKILL)
        wait_until(lambda: not psutil.pid_exists(int(found[1])), what="the crashed process' own child is gone")


def test_a_process_that_always_ends_at_once_is_tried_again_and_the_rest_goes_on(data_dir: Path) -> None:
    with stack(data_dir, {"broken": "echo oops; exit 3", "sound": WAITS}, own_servers=False, retries=1) as up:
        up.says("tooloo │ broken ended with exit code 3; trying again in 1 s")
        up.says("tooloo │ broken ended with exit code 3, 2 times at once; trying again in 2 s")
        assert up.output.count("broken │ oops") >= 2
        assert up.process.poll() is None


def test_the_stack_ends_with_an_essential_process_that_failed(data_dir: Path) -> None:
    children = {"migrate": "echo no such table; exit 1", "sound": WAITS}
    with stack(data_dir, children, own_servers=False, once=["migrate"], essential=["migrate"]) as up:
        assert up.wait() == 1
        assert "migrate ended with exit code 1: its lines above say why; stopping everything" in up.output


def test_a_process_that_has_done_its_work_is_not_started_again(data_dir: Path) -> None:
    with stack(data_dir, {"task": "echo done", "sound": WAITS}, own_servers=False, once=["task"]) as up:
        up.says("done")
        up.says("started")
        up.send(signal.SIGTERM)
        assert up.wait() == 0
        assert up.output.count("done") == 1
        assert "task ended" not in up.output


def test_a_server_that_cannot_start_is_reported_with_its_log(data_dir: Path) -> None:
    (data_dir / "redis").mkdir(parents=True)
    (data_dir / "redis" / "appendonly.aof").write_bytes(b"this is no append-only file\n")
    with stack(data_dir, {"one": WAITS}) as up:
        assert up.wait(timeout_s=40) == 1
        assert f"redis ended at once 4 times and is given up: {data_dir}/log/redis.log says why; stopping" in up.output
        assert "one      │ started" not in up.output


def test_a_second_stack_on_the_same_data_is_refused(data_dir: Path) -> None:
    with stack(data_dir, {"one": WAITS}, own_servers=False) as up:
        up.says("started")
        with stack(data_dir, {"two": WAITS}, own_servers=False) as second:
            assert second.wait() == 1
            (line,) = second.output.splitlines()
        assert line.startswith(f"Error: `tooloo up` runs already on {data_dir} (pid {up.process.pid}); ")
        assert up.process.poll() is None


def test_children_do_not_outlive_a_killed_stack_and_the_next_one_starts(data_dir: Path) -> None:
    with stack(data_dir, {"kind": WAITS, "stubborn": 'trap "" TERM; echo started; while :; do sleep 0.05; done'}) as up:
        up.says("started", times=2)
        assert len(_servers(orphans.leftovers(data_dir))) == 2
        up.send(signal.SIGKILL)
        up.process.wait()
        # the kernel has told them all; only the one that does not listen stays
        wait_until(lambda: len(_masters(data_dir)) == 1, what="all that listens has ended")
        with stack(data_dir, {"one": WAITS}) as after:
            after.says("one      │ started", timeout_s=40)
            assert "ending what an earlier run left: " in after.output
            assert len(_masters(data_dir)) == 3
            after.send(signal.SIGTERM)
            assert after.wait() == 0
    assert orphans.leftovers(data_dir) == []


def test_the_stack_ends_when_nobody_reads_its_output(data_dir: Path) -> None:
    reader, writer = os.pipe()
    given = json.dumps({"children": {"chatty": "while :; do echo word; sleep 0.05; done"}})
    environment = commands.environment({"TOOLOO_DATA_DIR": str(data_dir)})
    command = ["-m", "tests.support.small_stack", given]
    process = psutil.Popen([sys.executable, *command], stdout=writer, env=environment, cwd=commands.ROOT)
    os.close(writer)
    assert os.read(reader, 10)
    os.close(reader)
    assert process.wait(20) == 0
    assert orphans.leftovers(data_dir) == []


def test_a_long_path_gets_its_sockets_elsewhere(data_dir: Path) -> None:
    deep = data_dir / ("d" * 100)
    deep.parent.mkdir(mode=0o711)
    with stack(deep, {"one": WAITS}) as up:
        up.says("started")
        assert database.problem(servers.postgres_url(place(deep))) is None
        up.send(signal.SIGTERM)
        assert up.wait() == 0
    place(deep).sockets.rmdir()


def _masters(data_dir: Path) -> list[psutil.Process]:
    """The processes of a stack that the stack itself started: each leads a group."""
    return [process for process in orphans.leftovers(data_dir) if _leads(process.pid)]


def _leads(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def _servers(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Redis is Valkey on some platforms; what Postgres starts has names, and an environment, of its own making."""
    return [process for process in processes if orphans.name(process) in {"postgres", "redis-server", "valkey-server"}]


def _query(where: Place, statement: str) -> list[tuple[object, ...]]:
    """The rows of a statement that gives some."""
    connection = psycopg2.connect(servers.postgres_url(where).replace("+psycopg2", ""))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()
