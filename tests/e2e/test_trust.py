"""What counts as local: a database of our own server, or one that a person pinned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from replyx_db_agent.engines.shadow import ShadowServer
from tests.e2e.conftest import tables
from tests.e2e.processes import data_of, error_of, run


@pytest.fixture
def foreign(server: ShadowServer, home: Path) -> Iterator[str]:
    """The URL of a database on another server than the one the commands use."""
    with ShadowServer.start(home) as other:
        assert other.system_identifier != server.system_identifier
        yield other.kept("foreign").url


@pytest.mark.slow
def test_a_database_elsewhere_is_not_local_until_a_person_says_so(
    project: Path, foreign: str, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": foreign, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    apply = ("apply", "--environment", "local", "--json")
    refused = run(project, *apply, env=env)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    refusal = data_of(refused)["refusal"]
    assert refusal["guardrail"] == "G8"
    assert "nor pinned" in refusal["problem"]
    assert "replyx-db-agent trust local" in refusal["instead"]
    assert tables(foreign) == set()

    trusted = run(project, "trust", "local", "--json", env=env)
    assert trusted.returncode == 0, trusted.stderr
    kept_in = Path(data_of(trusted)["kept_in"])
    assert kept_in.is_relative_to(tmp_path / "config")
    assert foreign not in kept_in.read_text("utf-8")
    again = run(project, "trust", "local", env=env)
    assert again.returncode == 0
    assert '"local" is trusted' in again.stdout

    applied = run(project, *apply, env=env)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert "users" in tables(foreign)


def test_only_environments_of_kind_local_can_be_trusted(project: Path, database: str) -> None:
    env = {"STAGING_DATABASE_URL": database}
    assert "kind staging" in error_of(project, "trust", "staging", env=env)
    assert "not set" in error_of(project, "trust", "local", code=4)
    assert '"moon"' in error_of(project, "trust", "moon")


@pytest.mark.slow
def test_trusting_a_staging_database_as_local_does_not_open_staging(
    project: Path, foreign: str, tmp_path: Path
) -> None:
    env = {
        "DATABASE_URL": foreign,
        "STAGING_DATABASE_URL": foreign,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    assert run(project, "trust", "local", env=env).returncode == 0
    done = run(project, "apply", "--environment", "staging", "--json", env=env)
    assert done.returncode == 3, done.stdout + done.stderr
    assert data_of(done)["refusal"]["guardrail"] == "G8"
    assert tables(foreign) == set()
