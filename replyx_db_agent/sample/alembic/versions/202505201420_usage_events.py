"""Create the usage events, from which the monthly invoice is made.

Rows are only appended. A user with usage cannot be deleted (RESTRICT): invoices must stay
explainable. An assistant can: its events stay without it. The idempotency key lets a worker that
was interrupted report the same event again.

Revision ID: 202505201420
Revises: 202504151630
Create Date: 2025-05-20 14:20:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "202505201420"
down_revision = "202504151630"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "usage_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("assistant_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Numeric(12, 6), server_default=sa.text("0"), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column(
            "occurred_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('message', 'embedding', 'storage')", name=op.f("ck_usage_events_kind_known")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_usage_events_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_usage_events_user_id_users"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["assistant_id"],
            ["assistants.id"],
            name=op.f("fk_usage_events_assistant_id_assistants"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_events")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_usage_events_idempotency_key")),
    )
    op.create_index(op.f("ix_usage_events_assistant_id"), "usage_events", ["assistant_id"])
    op.create_index(
        op.f("ix_usage_events_user_id_occurred_at"), "usage_events", ["user_id", "occurred_at"]
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("usage_events")
