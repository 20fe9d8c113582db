"""What keeps `tooloo up` from starting is one clear line, and nothing has been started."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import preflight
from app.errors import ConfigError
from tests.support import commands, servers
from tests.support.ports import free_port


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A working folder with the project's configuration."""
    shutil.copytree(commands.ROOT / "config", tmp_path / "config")
    return tmp_path


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with servers.folder() as path:
        yield path / "data"


def refusal(home: Path, data_dir: Path, **changes: str) -> str:
    """The one line that `tooloo up` says, having started nothing."""
    ports = {f"TOOLOO_{name}": str(free_port()) for name in ("PORT", "FLOWER_PORT", "LAB_PORT")}
    changes = {**ports, "TOOLOO_DATA_DIR": str(data_dir), "TOOLOO_CONFIG_DIR": str(home / "config"), **changes}
    with commands.running(["-m", "app.cli.main", "up"], changes, cwd=home) as up:
        assert up.wait() == 1, up.output
        (line,) = up.output.splitlines()
    assert not (data_dir / "postgres" / "base").exists()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


@pytest.mark.parametrize(
    ("variable", "service"), [("TOOLOO_PORT", "API"), ("TOOLOO_FLOWER_PORT", "Flower"), ("TOOLOO_LAB_PORT", "lab")]
)
def test_a_taken_port_is_named_with_its_user_and_the_variable(
    home: Path, data_dir: Path, variable: str, service: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(home, data_dir, **{variable: str(port)})
    assert line.startswith(f"port {port} ({service}) is in use by ")
    assert line.endswith(f"; set {variable}")


def test_two_services_cannot_share_a_port(home: Path, data_dir: Path) -> None:
    port = str(free_port())
    line = refusal(home, data_dir, TOOLOO_PORT=port, TOOLOO_FLOWER_PORT=port)
    assert "API and Flower cannot both have port" in line


@pytest.mark.parametrize(
    ("dotenv", "said"),
    [
        ("DEEPSEEK_API_KEY=<your key>", "DEEPSEEK_API_KEY holds a placeholder"),
        ('DEEPSEEK_API_KEY="sk-1 2"', "DEEPSEEK_API_KEY holds white space"),
        ("DEEPSEEK_API_KEY", ".env, line 1: DEEPSEEK_API_KEY: it has no value"),
        ("TOOLOO_PROT=4001", "TOOLOO_PROT is not a setting"),
        ("TOOLOO_PORT=many", "TOOLOO_PORT must be a number"),
        ("REDIS_URL=localhost", "REDIS_URL: it must begin with"),
    ],
)
def test_a_bad_line_in_dotenv_is_named(home: Path, data_dir: Path, dotenv: str, said: str) -> None:
    (home / ".env").write_text(dotenv + "\n")
    changes = {"TOOLOO_DATA_DIR": str(data_dir), "TOOLOO_CONFIG_DIR": str(home / "config")}
    with commands.running(["-m", "app.cli.main", "up"], changes, cwd=home) as up:
        assert up.wait() == 1
    (line,) = up.output.splitlines()
    assert said in line
    assert not data_dir.exists()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("providers.toml", '[deepseek]\nformat = "opnai"', "providers.toml: deepseek.format"),
        ("prompts.toml", "[hello", "prompts.toml: "),
        ("providers.toml", "", "at least one provider is needed"),
        ("policy.toml", "[gate]\nfloor = 1", "gate.floor: unknown key"),
    ],
)
def test_a_bad_config_file_is_named(home: Path, data_dir: Path, file: str, content: str, said: str) -> None:
    (home / "config" / file).write_text(content)
    assert said in refusal(home, data_dir)


def test_a_data_folder_that_cannot_be_written_is_named(home: Path, data_dir: Path) -> None:
    data_dir.write_text("a file, where a folder should be")
    assert refusal(home, data_dir).startswith(f"cannot write to the data folder {data_dir}: ")


def test_data_of_another_postgres_is_left_alone(home: Path, data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "PG_VERSION").write_text("16\n")
    assert "was written by PostgreSQL 16, this is 18" in refusal(home, data_dir)


@pytest.mark.parametrize(
    ("variable", "url", "said"),
    [
        ("DATABASE_URL", "postgresql+psycopg2://me:secret@127.0.0.1:{port}/tooloo", "PostgreSQL does not answer"),
        ("REDIS_URL", "redis://:secret@127.0.0.1:{port}/0", "Redis does not answer"),
    ],
)
def test_a_named_server_that_does_not_answer_is_told(
    home: Path, data_dir: Path, variable: str, url: str, said: str
) -> None:
    line = refusal(home, data_dir, **{variable: url.format(port=free_port())})
    assert line.startswith(f"{variable} is set, but {said}")
    assert "secret" not in line


def test_listening_beyond_loopback_without_keys_is_refused(home: Path, data_dir: Path) -> None:
    assert "needs TOOLOO_ADMIN_KEY" in refusal(home, data_dir, TOOLOO_HOST="0.0.0.0")  # noqa: S104 - it must be refused


def test_a_missing_trace_is_named(home: Path, data_dir: Path) -> None:
    line = refusal(home, data_dir, TOOLOO_LAB_TRACE=str(home / "none.jsonl"))
    assert line == f"TOOLOO_LAB_TRACE: there is no file {home / 'none.jsonl'}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_told_with_the_space_there_is(home: Path, small_disk: Path) -> None:
    line = refusal(home, small_disk / "data")
    assert line.startswith(f"no disk space: 67 MB free in {small_disk / 'data'}, 200 MB are needed; ")


def test_the_space_needed_is_compared_with_the_space_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no disk space: \d+ MB free in .*, 999999999999 MB are needed"):
        preflight.check_space(tmp_path, needed_mb=999_999_999_999)
    preflight.check_space(tmp_path, needed_mb=0)
