"""Hourly and daily sums of all calls, and what the list of requests is filtered by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_LIST = "ix_requests_list"
_FILTERS = ("provider", "model", "status", "explored", "fell_over", "key", "segment", "task_type", "latency_ms")
_COUNTS = ("calls", "uncounted", "explored", "graded", "unpriced")
_TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens")


def upgrade() -> None:
    # the index is built without a transaction around it: if that breaks off, all of this is done again
    for name in ("explored", "fell_over"):
        op.execute(f"ALTER TABLE requests ADD COLUMN IF NOT EXISTS {name} boolean")
    with op.get_context().autocommit_block():
        op.drop_index(_LIST, table_name="requests", if_exists=True)
        op.create_index(
            _LIST, "requests", ["at", "request_id"], postgresql_include=_FILTERS, postgresql_concurrently=True
        )
    _create_tables()
    op.create_index("ix_revisions_created_at", "revisions", ["created_at"])
    _mark_all_hours()


def _create_tables() -> None:
    op.create_table(
        "rollup_due",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
    )
    key = ("source", "provider", "model", "segment", "task_type", "error_class")
    op.create_table(
        "rollups",
        sa.Column("grain", sa.Text(), nullable=False),
        sa.Column("detailed", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in key),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in (*_COUNTS, *_TOKENS)),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("quality", "cost_usd", "latency_ms")),
        sa.Column("latency", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("grain", "detailed", "at", *key, "simulated", name="pk_rollups"),
    )


def _mark_all_hours() -> None:
    """What was there before is rolled up by the worker, newest first."""
    hours = "generate_series(date_trunc('hour', min({0}), 'UTC'), max({0}), interval '1 hour')"
    for table, moment in (("outcomes", "at"), ("rounds", "planned_at")):
        op.execute(f"INSERT INTO rollup_due (hour) SELECT {hours.format(moment)} FROM {table}")  # noqa: S608 - constants


def downgrade() -> None:
    op.drop_index("ix_revisions_created_at", table_name="revisions")
    op.drop_table("rollups")
    op.drop_table("rollup_due")
    op.drop_index(_LIST, table_name="requests")
    for name in ("fell_over", "explored"):
        op.drop_column("requests", name)
