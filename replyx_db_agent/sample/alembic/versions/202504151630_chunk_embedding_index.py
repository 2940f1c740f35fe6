"""Index the embeddings of chunks with HNSW for retrieval by cosine distance.

HNSW and not IVFFlat: chunks arrive all the time, and the centroids of IVFFlat would go stale. m and
ef_construction are pgvector's defaults, written down so that a change of them shows in a diff.
Built CONCURRENTLY, so that the worker can go on writing. The index is dropped first because a
build that was cut short leaves an invalid one behind, which IF NOT EXISTS would take for done.

Revision ID: 202504151630
Revises: 202504021105
Create Date: 2025-04-15 16:30:00+00:00
"""

from alembic import op

revision = "202504151630"
down_revision = "202504021105"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '30s'")
        op.drop_index("ix_document_chunks_embedding", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_document_chunks_embedding",
            "document_chunks",
            ["embedding"],
            if_not_exists=True,
            postgresql_concurrently=True,
            postgresql_using="hnsw",
            postgresql_with={"m": 16, "ef_construction": 64},
            postgresql_ops={"embedding": "vector_cosine_ops"},
        )
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '30s'")
        op.drop_index("ix_document_chunks_embedding", if_exists=True, postgresql_concurrently=True)
        op.execute("RESET lock_timeout")
