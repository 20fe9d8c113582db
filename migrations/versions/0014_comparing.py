"""Sums that comparisons with baselines are made of: of drawn requests per hour and day, of probes per day and week."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create("drawn_sums", (), ("calls", "successes", "unpriced"), ("weight", "weight2", "weighted_successes"))
    _create("probed_sums", ("prompt_id",), ("calls", "successes", "unpriced", "graded"), ("quality",))
    # what was there before is summed up by the worker, newest first: into these, and into weeks
    op.execute("INSERT INTO rollup_due (hour) SELECT DISTINCT at FROM rollups WHERE grain = 'hour' AND NOT detailed")


def _create(name: str, key: tuple[str, ...], counts: tuple[str, ...], sums: tuple[str, ...]) -> None:
    of = ("provider", "model", *key)
    op.create_table(
        name,
        sa.Column("grain", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(each, sa.Text(), nullable=False) for each in of),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        *(sa.Column(each, sa.BigInteger(), nullable=False) for each in counts),
        *(sa.Column(each, sa.Double(), nullable=False) for each in sums),
        sa.Column("latency", postgresql.JSONB(), nullable=False),
        sa.Column("cost", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("grain", "at", *of, "simulated", name=f"pk_{name}"),
    )


def downgrade() -> None:
    op.drop_table("probed_sums")
    op.drop_table("drawn_sums")
