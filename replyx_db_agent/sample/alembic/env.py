"""Runs the revisions of ReplyX against the database that DATABASE_URL names."""

from logging.config import fileConfig
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.util import CommandError
from pgvector.sqlalchemy import Vector
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

# isort: split
from backend.database.models import Base
from backend.database.url import DatabaseUrlError, sqlalchemy_url

if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)

target_metadata = Base.metadata


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write vector columns with their import, which autogenerate would leave out."""
    if kind == "type" and isinstance(item, Vector):
        autogen.imports.add("from pgvector.sqlalchemy import Vector")
        return f"Vector({item.dim})"
    return False


def run_offline() -> None:
    """Write the SQL of the revisions to stdout; needs no database and no DATABASE_URL."""
    context.configure(
        dialect_name="postgresql",
        target_metadata=target_metadata,
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Run the revisions, each in a transaction of its own: SET LOCAL ends with its revision."""
    try:
        url = sqlalchemy_url()
    except DatabaseUrlError as error:
        raise CommandError(str(error)) from None
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=target_metadata,
            compare_server_default=True,
            render_item=render_item,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
