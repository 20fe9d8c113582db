"""What can be known to go wrong is said in one line, before anything starts."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app import config_files
from app.cli import servers
from app.cli.place import Place
from app.domain.catalog import nothing_real
from app.errors import ConfigError, Conflict
from app.settings import Settings
from app.store import database

#: a fresh database takes 50 MB, its write-ahead log and Redis' file grow beside it
NEEDED_MB = 200


def check_config(settings: Settings) -> bool:
    """Read all that the processes will read; True if no provider can really be called, so that all are simulated."""
    settings.check_exposure()
    config_files.load_prompts(settings.config_dir)
    config_files.load_policy(settings.config_dir)
    providers = config_files.load_providers(settings.config_dir)
    keys = {each.name: settings.provider_key(each.key_env) for each in providers if each.key_env}
    if settings.lab_trace is not None and not settings.lab_trace.is_file():
        raise ConfigError(f"TOOLOO_LAB_TRACE: there is no file {settings.lab_trace}", field="TOOLOO_LAB_TRACE")
    return nothing_real(providers, keys)


def names_the_lab(settings: Settings) -> bool:
    """Does a block want the lab beside what is real?"""
    return any(each.simulated for each in config_files.load_providers(settings.config_dir))


def check_services(settings: Settings) -> None:
    """A PostgreSQL or Redis that the environment names must answer."""
    if settings.database_url and (problem := database.problem(settings.database_url)):
        raise ConfigError(f"DATABASE_URL is set, but PostgreSQL does not answer: {problem}", field="DATABASE_URL")
    if settings.redis_url and (problem := servers.redis_problem(settings.redis_url)):
        raise ConfigError(f"REDIS_URL is set, but Redis does not answer: {problem}", field="REDIS_URL")


def make_data_dir(folder: Path) -> None:
    """Make the data folder; raises ConfigError where that or writing into it fails."""
    logs = folder / "log"
    try:
        # root's servers run as another user, who must get through
        folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        logs.mkdir(exist_ok=True)
        for file in (folder, logs, folder / "lock", *logs.iterdir()):
            if file.exists() and not os.access(file, os.W_OK):
                raise PermissionError(errno.EACCES, f"{os.strerror(errno.EACCES)} ({file})")
    except OSError as error:
        raise ConfigError(
            f"cannot write to the data folder {folder}: {error.strerror}; set TOOLOO_DATA_DIR to another one",
            field="TOOLOO_DATA_DIR",
        ) from None


def check_space(folder: Path, needed_mb: int = NEEDED_MB) -> None:
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    if free_mb < needed_mb:
        raise ConfigError(
            f"no disk space: {free_mb} MB free in {folder}, {needed_mb} MB are needed; "
            "free some or set TOOLOO_DATA_DIR to another disk",
            field="TOOLOO_DATA_DIR",
        )


def check_data_version(where: Place) -> None:
    major = servers.data_major(where)
    if major not in (None, servers.POSTGRES_MAJOR):
        raise ConfigError(
            f"{where.postgres} was written by PostgreSQL {major}, this is {servers.POSTGRES_MAJOR}: "
            "move the folder away to start anew, or set DATABASE_URL to a server that can read it",
            field="TOOLOO_DATA_DIR",
        )


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """One stack per data folder; the kernel drops the lock with the process, however that ends."""
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise Conflict(
                f"`tooloo up` runs already on {folder} (pid {file.read().strip() or 'unknown'}); "
                "stop it, or set TOOLOO_DATA_DIR and the ports to run a second stack"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
