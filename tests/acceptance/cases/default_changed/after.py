import sqlalchemy as sa

metadata = sa.MetaData()

sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("plan", sa.Text, server_default="trial"),
    sa.Column("seen", sa.DateTime, server_default=sa.func.now()),
)
