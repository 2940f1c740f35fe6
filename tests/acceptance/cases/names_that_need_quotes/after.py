import sqlalchemy as sa

metadata = sa.MetaData()

sa.Table(
    "Order Items",
    metadata,
    sa.Column("Id", sa.Integer, primary_key=True),
    sa.Column("select", sa.Text),
    sa.Column("цена", sa.Numeric(10, 2)),
    sa.Column("user", sa.ForeignKey("user.id")),
    sa.Column("Mood", sa.Enum("a", "b", "c d", name="Mood")),
    sa.Index("Order Цена", "цена", "select"),
    sa.CheckConstraint("\"select\" <> ''", name="Not Empty"),
    sa.UniqueConstraint("select", "Id", name="One Select"),
)
sa.Table("user", metadata, sa.Column("id", sa.Integer, primary_key=True))
