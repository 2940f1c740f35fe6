import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

metadata = sa.MetaData()

sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
)

sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("status", sa.Enum("new", "paid", name="order_status"), server_default="new"),
    sa.Column("tags", ARRAY(sa.Text)),
    sa.Column("total", sa.Numeric(12, 2), sa.CheckConstraint("total >= 0", name="not_negative")),
    sa.UniqueConstraint("user_id", "total", name="one_total"),
    sa.Index("ix_orders_open", "status", postgresql_where=sa.text("status = 'new'")),
    comment="What people bought",
)
