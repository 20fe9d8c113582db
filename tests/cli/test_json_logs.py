"""Who asks for JSON gets no other line, from the first to the last."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.commands import running
from tests.support.ports import free_port


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["migrate"], "schema at"),
        (["worker", "--queues", "probes"], "ready"),
        (["lab", "serve"], "simulated"),
    ],
    ids=lambda given: given[0] if isinstance(given, list) else "",
)
def test_every_line_is_json(command: list[str], says: str, database_url: str, redis_url: str, tmp_path: Path) -> None:
    environment = {
        "TOOLOO_LOG_FORMAT": "json",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "TOOLOO_DATA_DIR": str(tmp_path),
        "TOOLOO_FLOWER_PORT": str(free_port()),
        "TOOLOO_LAB_PORT": str(free_port()),
    }
    with running(["-m", "app.cli.main", *command], environment) as process:
        process.says(says, timeout_s=60)
        if process.process.poll() is None:
            process.send(signal.SIGTERM)
        process.wait(60)
        lines = process.output.splitlines()

    assert lines
    assert [line for line in lines if not isinstance(_read(line), dict)] == []


def _read(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None
