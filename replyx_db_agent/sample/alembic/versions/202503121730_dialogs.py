"""Create the dialogs of customers with assistants, and their messages.

The foreign keys take SHARE ROW EXCLUSIVE on users and assistants for a moment, hence the
lock_timeout. The status is an enum because code branches on it and its values seldom change.

Revision ID: 202503121730
Revises: 202503031040
Create Date: 2025-03-12 17:30:00+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "202503121730"
down_revision = "202503031040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE TYPE dialog_status AS ENUM ('open', 'waiting_operator', 'closed')")
    op.create_table(
        "dialogs",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column(
            "public_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False
        ),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("assistant_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "status",
            postgresql.ENUM(name="dialog_status", create_type=False),
            server_default=sa.text("'open'::dialog_status"),
            nullable=False,
        ),
        sa.Column("channel", sa.Text(), server_default=sa.text("'web'"), nullable=False),
        sa.Column("customer_ref", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column(
            "context",
            postgresql.JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "last_message_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "channel IN ('web', 'telegram', 'email')", name=op.f("ck_dialogs_channel_known")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_dialogs_user_id_users"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["assistant_id"],
            ["assistants.id"],
            name=op.f("fk_dialogs_assistant_id_assistants"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dialogs")),
        sa.UniqueConstraint("public_id", name=op.f("uq_dialogs_public_id")),
    )
    op.create_index(op.f("ix_dialogs_user_id"), "dialogs", ["user_id"])
    op.create_index(op.f("ix_dialogs_assistant_id"), "dialogs", ["assistant_id"])
    op.create_table(
        "dialog_messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("dialog_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("extra", postgresql.JSONB(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "role IN ('customer', 'assistant', 'operator', 'system')",
            name=op.f("ck_dialog_messages_role_known"),
        ),
        sa.CheckConstraint("tokens >= 0", name=op.f("ck_dialog_messages_tokens_not_negative")),
        sa.ForeignKeyConstraint(
            ["dialog_id"],
            ["dialogs.id"],
            name=op.f("fk_dialog_messages_dialog_id_dialogs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dialog_messages")),
    )
    op.create_index(op.f("ix_dialog_messages_dialog_id"), "dialog_messages", ["dialog_id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("dialog_messages")
    op.drop_table("dialogs")
    op.execute("DROP TYPE dialog_status")
