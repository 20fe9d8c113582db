"""Alembic's entry: runs the migrations on the connection that app.store.database.migrate hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, text

from app import settings
from app.store.models import Base

config = context.config
connection = config.attributes.get("connection")


def run(bind) -> None:
    context.configure(connection=bind, target_metadata=Base.metadata, compare_type=True, compare_server_default=True)
    with context.begin_transaction():
        # a migration runs under live traffic: rather fail than queue every query behind a waiting lock
        bind.execute(text("SET LOCAL lock_timeout = '5s'"))
        context.run_migrations()


if connection is not None:
    run(connection)
else:  # `alembic` on the command line
    with create_engine(settings.load().require_database_url()).connect() as own:
        run(own)
        own.commit()
