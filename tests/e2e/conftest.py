"""A small project with a model, and databases for the processes that work on it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from replyx_db_agent.engines import postgres
from replyx_db_agent.engines.shadow import ShadowServer
from tests.e2e.processes import postmaster, wait_until
from tests.projects import Rev, env, write_project

MODELS = """\
from sqlalchemy import Column, Integer, Text
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    name = Column(Text, nullable=False)
"""
REVISIONS = (
    Rev(
        "a1",
        None,
        """
        op.create_table(
            "users",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.Text, nullable=False),
        )
        """,
        'op.drop_table("users")',
        doc="Users.",
    ),
)
CONFIGURATION = """\
[environments.local]
url_env = "DATABASE_URL"
kind = "local"

[environments.staging]
url_env = "STAGING_DATABASE_URL"
kind = "staging"
"""


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop the client runs on."""
    return str(request.param)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one table whose models and revisions agree."""
    return write_project(
        tmp_path / "project",
        REVISIONS,
        env_py=env(models="from models import Base\ntarget_metadata = Base.metadata"),
        files={"models.py": MODELS, "replyx-db-agent.toml": CONFIGURATION},
    )


@pytest.fixture
def database(server: ShadowServer) -> Iterator[str]:
    """The URL of an empty database that counts as local."""
    name = f"e2e_{os.urandom(6).hex()}"
    yield server.kept(name).url
    server.drop_kept(name)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of the test's own; as root the server's user must reach it, so not tmp_path."""
    parent = Path(os.environ["REPLYX_DB_AGENT_HOME"]).parent
    path = Path(tempfile.mkdtemp(prefix="rx-", dir=parent))
    path.chmod(0o711)
    yield path
    if pid := postmaster(path):
        os.kill(pid, signal.SIGQUIT)
        wait_until(lambda: postmaster(path) is None)
    shutil.rmtree(path)


def tables(url: str) -> set[str]:
    """Return the names of a database's tables, read without any tool."""
    with postgres.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {str(row[0]) for row in rows.fetchall()}
