import sqlalchemy as sa

metadata = sa.MetaData()

sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
)

sa.Table(
    "invoices",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("paid", sa.Boolean),
    sa.Column("total", sa.Integer, index=True),
    schema="billing",
)
