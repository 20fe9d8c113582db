"""`tooloo migrate`, as a deployment starts it."""

from __future__ import annotations

from app.cli.place import place
from app.cli.servers import postgres_url
from tests.support import servers
from tests.support.commands import running


def test_migrate_waits_until_postgres_is_there() -> None:
    with servers.folder() as folder:
        url = postgres_url(place(folder))
        with running(["-m", "app.cli.main", "migrate"], {"DATABASE_URL": url}) as migrate:
            migrate.says("waiting for PostgreSQL")
            with servers.postgres(folder):
                migrate.says("schema at")

                assert migrate.wait() == 0
