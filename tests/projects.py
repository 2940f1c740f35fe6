"""Writes small Alembic projects into a folder, from strings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

INI = """\
[alembic]
script_location = migrations
prepend_sys_path = .
"""

ENV = """\
import os
from alembic import context
from sqlalchemy import create_engine, pool

{models}

engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=target_metadata{options})
    with context.begin_transaction():
        context.run_migrations()
"""

REVISION = '''\
"""{doc}"""
from alembic import op
import sqlalchemy as sa

revision = {revision!r}
down_revision = {down_revision!r}
branch_labels = None
depends_on = {depends_on!r}


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''


@dataclass(frozen=True)
class Rev:
    """One revision file: its place in the history and the bodies of its two functions."""

    revision: str
    down: str | tuple[str, ...] | None
    upgrade: str = "pass"
    downgrade: str = "pass"
    doc: str = "A step."
    depends_on: str | None = None

    @property
    def text(self) -> str:
        return REVISION.format(
            doc=self.doc,
            revision=self.revision,
            down_revision=self.down,
            depends_on=self.depends_on,
            upgrade=indent(dedent(self.upgrade).strip(), "    "),
            downgrade=indent(dedent(self.downgrade).strip(), "    "),
        )


def env(*, models: str = "target_metadata = None", options: str = "") -> str:
    """Return an env.py that connects to DATABASE_URL; `options` go to context.configure()."""
    return ENV.format(models=models, options=f", {options}" if options else "")


def write_project(
    folder: Path,
    revisions: Sequence[Rev] = (),
    *,
    env_py: str | None = None,
    ini: str = INI,
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write an Alembic project and return its folder."""
    texts = {
        "alembic.ini": ini,
        "migrations/env.py": env() if env_py is None else dedent(env_py),
        **{f"migrations/versions/{one.revision}.py": one.text for one in revisions},
        **{name: dedent(text) for name, text in (files or {}).items()},
    }
    (folder / "migrations/versions").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def table(revision: str, down: str | None, name: str) -> Rev:
    """Return a revision that creates a table, and drops it on the way down."""
    return Rev(
        revision,
        down,
        f'op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))',
        f'op.drop_table("{name}")',
    )
