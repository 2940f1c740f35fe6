"""Index the attributes of documents, so that the library can be filtered by tag.

The filter asks `attributes @> '{"tags": ["..."]}'` and nothing else, which jsonb_path_ops serves
with a smaller index than the default operator class.

Revision ID: 202507081515
Revises: 202506111015
Create Date: 2025-07-08 15:15:00+00:00
"""

from alembic import op

revision = "202507081515"
down_revision = "202506111015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '30s'")
        op.drop_index("ix_documents_attributes", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_documents_attributes",
            "documents",
            ["attributes"],
            if_not_exists=True,
            postgresql_concurrently=True,
            postgresql_using="gin",
            postgresql_ops={"attributes": "jsonb_path_ops"},
        )
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '30s'")
        op.drop_index("ix_documents_attributes", if_exists=True, postgresql_concurrently=True)
        op.execute("RESET lock_timeout")
