"""What people say of answers; drift detectors and the optimizer's checks between rounds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("counted_score", sa.Double(), nullable=True),
        sa.CheckConstraint("score >= 0 AND score <= 1", name=op.f("ck_feedback_score")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_feedback")),
    )
    op.create_index(
        "ix_feedback_waiting",
        "feedback",
        ["at"],
        unique=False,
        postgresql_where=sa.text("counted_score IS DISTINCT FROM score"),
    )
    op.add_column(
        "learned",
        sa.Column(
            "drift", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
    )
    op.add_column("learned", sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("learned", "checked_at")
    op.drop_column("learned", "drift")
    op.drop_index(
        "ix_feedback_waiting",
        table_name="feedback",
        postgresql_where=sa.text("counted_score IS DISTINCT FROM score"),
    )
    op.drop_table("feedback")
