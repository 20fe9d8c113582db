"""Rounds, probes, live outcomes, revisions, and what has been learned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "learned",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("scorecard", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("optimizer", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("stream_id", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_learned_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_learned")),
    )
    op.create_table(
        "outcomes",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("ttft_ms", sa.Double(), nullable=True),
        sa.Column("connect_ms", sa.Double(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=True),
        sa.Column("cached_tokens", sa.Integer(), nullable=True),
        sa.Column("tokens_estimated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("cost_usd", sa.Double(), nullable=True),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("counts", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("explored", sa.Boolean(), nullable=False),
        sa.Column("propensity", sa.Double(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "attempt", name=op.f("pk_outcomes")),
    )
    op.create_index("ix_outcomes_at", "outcomes", ["at"], unique=False, postgresql_using="brin")
    op.create_index("ix_outcomes_provider_at", "outcomes", ["provider", "at"], unique=False)
    op.create_table(
        "rounds",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("slot_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expected_n", sa.Integer(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column(
            "left_out", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.Column(
            "insights", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.Column("optimize_attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("optimize_lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("optimize_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'optimizing', 'done', 'partial', 'failed')", name=op.f("ck_rounds_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rounds")),
        sa.UniqueConstraint("slot_start", name=op.f("uq_rounds_slot_start")),
    )
    op.create_index(
        "ix_rounds_open",
        "rounds",
        ["deadline_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('running', 'optimizing')"),
    )
    op.create_index("ix_rounds_planned_at", "rounds", ["planned_at"], unique=False)
    op.create_table(
        "probes",
        sa.Column("round_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("prompt_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("queue_delay_ms", sa.Double(), nullable=True),
        sa.Column("connect_ms", sa.Double(), nullable=True),
        sa.Column("ttft_ms", sa.Double(), nullable=True),
        sa.Column("latency_ms", sa.Double(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=True),
        sa.Column("cached_tokens", sa.Integer(), nullable=True),
        sa.Column("tokens_estimated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("cost_usd", sa.Double(), nullable=True),
        sa.Column("quality", sa.Double(), nullable=True),
        sa.Column(
            "grade_reasons",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_model", sa.Text(), nullable=True),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("counts", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.CheckConstraint("status IN ('pending', 'running', 'ok', 'error', 'timeout')", name=op.f("ck_probes_status")),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_probes_round_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("round_id", "provider", "model", "prompt_id", name=op.f("pk_probes")),
    )
    op.create_index("ix_probes_provider_finished_at", "probes", ["provider", "finished_at"], unique=False)
    op.create_index(
        "ix_probes_unfinished",
        "probes",
        ["provider"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'running')"),
    )
    op.create_table(
        "revisions",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("parent", sa.BigInteger(), nullable=True),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "evidence", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("round_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("fk_revisions_round_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_revisions")),
        sa.UniqueConstraint("round_id", name=op.f("uq_revisions_round_id")),
    )


def downgrade() -> None:
    op.drop_table("revisions")
    op.drop_index(
        "ix_probes_unfinished", table_name="probes", postgresql_where=sa.text("status IN ('pending', 'running')")
    )
    op.drop_index("ix_probes_provider_finished_at", table_name="probes")
    op.drop_table("probes")
    op.drop_index("ix_rounds_planned_at", table_name="rounds")
    op.drop_index(
        "ix_rounds_open", table_name="rounds", postgresql_where=sa.text("status IN ('running', 'optimizing')")
    )
    op.drop_table("rounds")
    op.drop_index("ix_outcomes_provider_at", table_name="outcomes")
    op.drop_index("ix_outcomes_at", table_name="outcomes", postgresql_using="brin")
    op.drop_table("outcomes")
    op.drop_table("learned")
