import sqlalchemy as sa

metadata = sa.MetaData()

sa.Table(
    "Order Items",
    metadata,
    sa.Column("Id", sa.Integer, primary_key=True),
    sa.Column("select", sa.Text),
    sa.Column("цена", sa.Numeric(10, 2)),
    sa.Column("Old Name", sa.Text, nullable=False),
    sa.Column("Mood", sa.Enum("a", "b", name="Mood")),
)
sa.Table("user", metadata, sa.Column("id", sa.Integer, primary_key=True))
