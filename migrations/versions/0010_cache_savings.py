"""What prompt caches saved, per request and in the usage."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("requests", sa.Column("cached_tokens", sa.Integer()))
    op.add_column("requests", sa.Column("cache_saved_usd", sa.Double()))
    for name, kind in (("cached_tokens", sa.BigInteger()), ("cache_saved_usd", sa.Double())):
        op.add_column("usage", sa.Column(name, kind, nullable=False, server_default="0"))


def downgrade() -> None:
    for table in ("usage", "requests"):
        op.drop_column(table, "cache_saved_usd")
        op.drop_column(table, "cached_tokens")
