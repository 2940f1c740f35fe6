"""What every test may use: one shadow server for the session, a fresh database per test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from replyx_db_agent.engines.shadow import ShadowDatabase, ShadowServer


def fast_folder() -> Path:
    """Memory where there is enough: cloning a database is making hundreds of files."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 * 2**30
    return memory if roomy else Path("/tmp")


# Not the developer's own server; for the processes that tests start, too.
os.environ.setdefault("REPLYX_DB_AGENT_HOME", f"{fast_folder()}/replyx-tests-{os.geteuid()}")


@pytest.fixture(scope="session")
def server() -> Iterator[ShadowServer]:
    """The one shadow server of the test session."""
    with ShadowServer.start() as running:
        yield running


@pytest.fixture
def shadow(server: ShadowServer) -> Iterator[ShadowDatabase]:
    """A fresh shadow database."""
    with server.shadow() as db:
        yield db
