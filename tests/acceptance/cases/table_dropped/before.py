import sqlalchemy as sa

metadata = sa.MetaData()

sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
)

sa.Table(
    "notes",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id")),
    sa.Column("kind", sa.Enum("short", "long", name="note_kind")),
    sa.Column("text", sa.Text, sa.CheckConstraint("text <> ''", name="not_empty")),
    sa.Column("size", sa.Integer, sa.Computed("length(text)", persisted=True)),
    sa.Index("ix_notes_text", "text", postgresql_ops={"text": "text_pattern_ops"}),
    comment="Remarks",
)
