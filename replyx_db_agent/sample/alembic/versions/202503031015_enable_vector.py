"""Enable pgvector, which the knowledge base will need for its embeddings.

A revision of its own: CREATE EXTENSION needs rights that the role of the application may lack, and
an administrator can run it beforehand; then this revision does nothing.

Revision ID: 202503031015
Revises:
Create Date: 2025-03-03 10:15:00+00:00
"""

from alembic import op

revision = "202503031015"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")


def downgrade() -> None:
    # No CASCADE: while a column still has the type, this stops with an error.
    op.execute("DROP EXTENSION IF EXISTS vector")
