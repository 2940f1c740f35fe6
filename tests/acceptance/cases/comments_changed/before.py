import sqlalchemy as sa

metadata = sa.MetaData()

sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("email", sa.Text, comment='where "mail" goes'),
    sa.Column("name", sa.Text, comment="goes away"),
    sa.CheckConstraint("email <> ''", name="given"),
    sa.Index("ix_users_name", "name"),
    comment="People",
)
