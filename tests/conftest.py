"""Real PostgreSQL and Redis for every test that asks for them; each test has them as if they were new."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psycopg2
import pytest
import redis
import structlog

from app.store import database
from tests.support import bodies, servers
from tests.support.system import System, build

#: folders whose tests wait for processes, for longest first: begun last they would leave a worker alone at the end
_WAITING = ("docs", "faults", "stack", "cli", "benchmark", "gateway", "api")
_numbers = itertools.count(1)

# both are clocks on the wall, which say more about the machine than about the code
hypothesis.settings.register_profile("tooloo", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tooloo")

# as structlog is where nobody configures it, but for tracebacks: with every variable in colours one takes a second
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    place = {name: number for number, name in enumerate(_WAITING)}
    items.sort(key=lambda item: place.get(item.path.relative_to(tests).parts[0], len(place)))


@pytest.fixture(autouse=True)
def _what_is_sent_is_what_the_vendors_take() -> Iterator[None]:
    """Every body that TooLoo sends in a test holds to the types of the vendors' own SDKs."""
    yield
    bodies.check()


@pytest.fixture(scope="session", autouse=True)
def _and_so_is_what_was_sent_as_the_last_fixtures_ended() -> Iterator[None]:
    yield
    bodies.check()


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    with servers.folder() as path:
        yield path


@pytest.fixture(scope="session")
def postgres_url(server_folder: Path) -> Iterator[str]:
    """The server's own database, migrated: the template of every test's database. Do not connect to it."""
    with servers.postgres(server_folder) as url:
        database.migrate(url)
        yield url


@pytest.fixture(scope="session")
def redis_server_url(server_folder: Path) -> Iterator[str]:
    with servers.redis(server_folder) as url:
        yield url


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A database of this test's own: the whole schema, no rows."""
    name = f"test_{next(_numbers)}"
    _administer(postgres_url, f"CREATE DATABASE {name} TEMPLATE tooloo")
    yield postgres_url.replace("/tooloo?", f"/{name}?", 1)
    _administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A database of this test's own without a schema, for tests of migrations."""
    name = f"test_{next(_numbers)}"
    _administer(postgres_url, f"CREATE DATABASE {name} TEMPLATE template0")
    yield postgres_url.replace("/tooloo?", f"/{name}?", 1)
    _administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """A Redis without a key in it."""
    with redis.Redis.from_url(redis_server_url) as client:
        client.flushall()
    return redis_server_url


def _administer(url: str, statement: str) -> None:
    connection = psycopg2.connect(url.replace("+psycopg2", "", 1).replace("/tooloo?", "/postgres?", 1))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


@pytest.fixture
def system(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[System]:
    """Services over this test's servers, with the providers and the broker in the test's hands."""
    made = build(database_url, redis_url, tmp_path)
    yield made
    made.close()
