"""One warm worker for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from replyx_db_agent.engines.project import Worker


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """The worker of the interpreter that runs the tests."""
    running = Worker()
    yield running
    running.close()
