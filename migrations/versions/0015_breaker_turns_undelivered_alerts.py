"""When a target was left alone and when it served again; why an alert is not taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "breaker_turns",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("lasted_s", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breaker_turns")),
    )
    op.create_index("ix_breaker_turns_at", "breaker_turns", ["at"])
    op.add_column("alerts", sa.Column("problem", sa.Text(), nullable=True))
    op.add_column("alerts", sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("alerts", "failing_since")
    op.drop_column("alerts", "problem")
    op.drop_index("ix_breaker_turns_at", table_name="breaker_turns")
    op.drop_table("breaker_turns")
