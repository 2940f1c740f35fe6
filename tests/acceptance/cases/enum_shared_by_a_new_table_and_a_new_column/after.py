import sqlalchemy as sa

metadata = sa.MetaData()

sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("mood", sa.Enum("good", "bad", name="mood")),
)

sa.Table(
    "days",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("mood", sa.Enum("good", "bad", name="mood"), nullable=False),
)
