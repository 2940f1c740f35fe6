import sqlalchemy as sa
from pgvector.sqlalchemy import Vector

metadata = sa.MetaData()

sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("embedding", Vector(3)),
    sa.Index(
        "ix_users_half",
        sa.text("(embedding::halfvec(3)) halfvec_l2_ops"),
        postgresql_using="hnsw",
        postgresql_with={"m": 8, "ef_construction": 32},
    ),
)
