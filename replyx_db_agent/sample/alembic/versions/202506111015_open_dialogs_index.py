"""Index the open dialogs of a user, newest first, for the operator's inbox.

The inbox is the page that operators reload most, and seven dialogs of eight are closed, so the
index is partial. The predicate is the one of scripts/hot_queries/open_dialogs.sql.

Revision ID: 202506111015
Revises: 202505201420
Create Date: 2025-06-11 10:15:00+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "202506111015"
down_revision = "202505201420"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '30s'")
        op.drop_index("ix_dialogs_user_id_open", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_dialogs_user_id_open",
            "dialogs",
            ["user_id", sa.text("last_message_at DESC")],
            if_not_exists=True,
            postgresql_concurrently=True,
            postgresql_where=sa.text("status <> 'closed'"),
        )
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '30s'")
        op.drop_index("ix_dialogs_user_id_open", if_exists=True, postgresql_concurrently=True)
        op.execute("RESET lock_timeout")
