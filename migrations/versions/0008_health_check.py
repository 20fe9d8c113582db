"""A row that readiness writes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "health_check",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_health_check_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_check")),
    )


def downgrade() -> None:
    op.drop_table("health_check")
