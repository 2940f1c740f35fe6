import sqlalchemy as sa
from pgvector.sqlalchemy import Vector

metadata = sa.MetaData()

sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("embedding", Vector(3)),
)
