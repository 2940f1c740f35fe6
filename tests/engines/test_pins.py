"""Which databases a person trusts as local."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replyx_db_agent.core.errors import EnvironmentProblem
from replyx_db_agent.engines import pins
from replyx_db_agent.engines.postgres import ServerIdentity


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def identity(system: str = "7001", database: str = "app") -> ServerIdentity:
    return ServerIdentity(system, database, 180006, "localhost")


def test_nothing_is_trusted_before_it_is_pinned() -> None:
    assert not pins.is_trusted(identity())


def test_exactly_the_pinned_database_of_the_pinned_server_is_trusted(home: Path) -> None:
    path = pins.trust(identity())
    assert path == home / "replyx-db-agent/trusted.json"
    assert pins.is_trusted(identity())
    assert not pins.is_trusted(identity(system="7002"))
    assert not pins.is_trusted(identity(database="other"))


def test_the_file_is_private_and_holds_each_pin_once() -> None:
    for one in (identity(), identity(database="b"), identity()):
        path = pins.trust(one)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry["database"] for entry in json.loads(path.read_text("utf-8"))] == ["app", "b"]
    assert list(path.parent.iterdir()) == [path]


def test_without_xdg_it_lies_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pins.trust(identity()) == tmp_path / ".config/replyx-db-agent/trusted.json"


@pytest.mark.parametrize("text", ["{", "\udcff", "7", '{"a": 1}'])
def test_a_file_that_cannot_be_read_is_named_and_trusts_nothing(home: Path, text: str) -> None:
    path = home / "replyx-db-agent/trusted.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode(errors="surrogateescape"))
    for ask in (pins.is_trusted, pins.trust):
        with pytest.raises(EnvironmentProblem, match=r"trusted\.json") as caught:
            ask(identity())
        assert caught.value.instead
    assert path.read_bytes() == text.encode(errors="surrogateescape")


def test_a_folder_that_cannot_be_made_is_named(home: Path) -> None:
    home.write_text("a file", "utf-8")
    with pytest.raises(EnvironmentProblem, match=r"trusted\.json"):
        pins.trust(identity())
