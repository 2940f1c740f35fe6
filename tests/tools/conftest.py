"""The sample project copied, a small project with models, and databases at head."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import replyx_db_agent
from replyx_db_agent.engines.shadow import ShadowDatabase, ShadowServer

SAMPLE = Path(replyx_db_agent.__file__).parent / "sample"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_database_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("STAGING_DATABASE_URL", raising=False)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The sample project, copied; no environment is set."""
    return Path(
        shutil.copytree(SAMPLE, tmp_path / "replyx", ignore=shutil.ignore_patterns("__pycache__"))
    )


@pytest.fixture
def at_head(
    sample: Path, server: ShadowServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ShadowDatabase]:
    """DATABASE_URL: a fresh database with the sample's schema at head and no rows."""

    def upgrade(database: ShadowDatabase) -> None:
        environment = {**os.environ, "DATABASE_URL": database.url}
        command = (sys.executable, "-m", "alembic", "upgrade", "head")
        subprocess.run(command, cwd=sample, env=environment, check=True, capture_output=True)

    versions = sorted((SAMPLE / "alembic").rglob("*.py"))
    key = hashlib.sha256(b"".join(path.read_bytes() for path in versions)).hexdigest()
    with server.shadow(server.template(f"sample {key}", upgrade)) as database:
        monkeypatch.setenv("DATABASE_URL", database.url)
        yield database
