import sqlalchemy as sa

metadata = sa.MetaData()

sa.Table("teams", metadata, sa.Column("id", sa.BigInteger, primary_key=True))

sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column(
        "team_id",
        sa.ForeignKey("teams.id"),
        sa.CheckConstraint("team_id > 0", name="positive"),
        index=True,
    ),
)
