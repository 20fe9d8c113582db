"""The file that a health check looks at."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.commands import running
from tests.support.waiting import wait_until
from workers.alive import TOUCH_EVERY_S

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
            beat.says("Couldn't apply scheduled task")
            alive.unlink(missing_ok=True)
            wait_until(lambda: failing_for_s(beat.output) > TOUCH_EVERY_S + 1, 30, what="a touch would be due")

            assert not alive.exists()


def failing_for_s(output: str) -> float:
    """From the first to the last message that beat could not send."""
    lines = [line for line in output.splitlines() if "Couldn't apply scheduled task" in line and line.endswith("}")]
    times = [datetime.fromisoformat(json.loads(line)["timestamp"]) for line in lines]
    return (times[-1] - times[0]).total_seconds() if times else 0.0
