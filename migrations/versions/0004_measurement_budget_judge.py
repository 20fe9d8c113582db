"""What a round was to cost and how well it measured, what a judge said of its answers, and rounds that are skipped."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0001"
branch_labels = None
depends_on = None

BEFORE = "status IN ('running', 'optimizing', 'done', 'partial', 'failed')"
AFTER = "status IN ('running', 'optimizing', 'done', 'partial', 'failed', 'skipped')"
UNFINISHED = "status IN ('pending', 'running')"


def upgrade() -> None:
    # each of these columns is a change of the catalog alone: no row is touched
    op.add_column(
        "rounds",
        sa.Column(
            "notes", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
    )
    op.add_column("rounds", sa.Column("estimated_cost_usd", sa.Double(), nullable=True))
    op.add_column("rounds", sa.Column("measurement", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("rounds", sa.Column("degraded", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("rounds", sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("probes", sa.Column("place", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("probes", sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("probes", sa.Column("canary_error_ms", sa.Double(), nullable=True))
    op.add_column("probes", sa.Column("judge_score", sa.Double(), nullable=True))
    op.add_column("probes", sa.Column("judge_target", sa.Text(), nullable=True))
    op.add_column("probes", sa.Column("judge_reason", sa.Text(), nullable=True))
    op.add_column("probes", sa.Column("judge_cost_usd", sa.Double(), nullable=True))
    # over unfinished probes alone: a few rows, however old the installation
    op.create_index("ix_probes_unfinished_round", "probes", ["round_id"], postgresql_where=sa.text(UNFINISHED))
    op.create_index("ix_probes_next", "probes", ["provider", "round_id", "place"], postgresql_where=sa.text(UNFINISHED))
    op.create_index("ix_probes_running", "probes", ["provider"], postgresql_where=sa.text("status = 'running'"))
    op.drop_index("ix_probes_unfinished", "probes")
    _allow(AFTER)


def downgrade() -> None:
    op.execute("DELETE FROM rounds WHERE status = 'skipped'")
    _allow(BEFORE)
    op.create_index("ix_probes_unfinished", "probes", ["provider"], postgresql_where=sa.text(UNFINISHED))
    for index in ("ix_probes_running", "ix_probes_next", "ix_probes_unfinished_round"):
        op.drop_index(index, "probes")
    for column in (
        "place",
        "answered_at",
        "judge_cost_usd",
        "judge_reason",
        "judge_target",
        "judge_score",
        "canary_error_ms",
    ):
        op.drop_column("probes", column)
    for column in ("judged_at", "degraded", "measurement", "estimated_cost_usd", "notes"):
        op.drop_column("rounds", column)


def _allow(statuses: str) -> None:
    """Looks at every round under the lock: at a round every five minutes, 100,000 small rows a year."""
    op.drop_constraint(op.f("ck_rounds_status"), "rounds", type_="check")
    op.create_check_constraint(op.f("ck_rounds_status"), "rounds", statuses)
