import sqlalchemy as sa

metadata = sa.MetaData()

sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, comment="Ключ"),
    sa.Column("email", sa.Text, comment="where 'the mail' goes:\n100% \\ sure"),
    sa.Column("name", sa.Text),
    sa.CheckConstraint("email <> ''", name="given", comment="not empty"),
    sa.Index("ix_users_name", "name"),
    comment="Люди, которые пользуются продуктом; о тех, кто ушёл, говорит архив, а не эта таблица",
)
