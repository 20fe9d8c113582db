"""What becomes of the unknown fields of a key's requests. Keys that are there already keep the default."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("parameters", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("api_keys", "parameters")
