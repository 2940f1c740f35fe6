"""The configuration: where it stands, what it says when nothing is said, what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from replyx_db_agent.config import Config, Environment, load
from replyx_db_agent.core.errors import EnvironmentProblem, InvalidInput

FULL = """\
language = "ru"
alembic_ini = "db/alembic.ini"
record_folder = "TASK/records/"
hot_queries = "queries"

[worker]
python = ".venv/bin/python"
time_limit = 7
memory_limit_mb = 512
env = {SETTINGS = "test", LEVEL = 3}

[environments.local]
url_env = "DATABASE_URL"
kind = "local"

[environments.staging]
url_env = "STAGING_DATABASE_URL"
kind = "staging"

[environments.live]
url_env = "LIVE_URL"
kind = "production"

[environments.tests]
url_env = "TEST_URL"
kind = "staging"
approval = "none"
"""


def configured(folder: Path, text: str, name: str = "replyx-db-agent.toml") -> Config:
    (folder / name).write_text(text, "utf-8")
    return load(folder)


def for_pyproject(text: str) -> str:
    """Return the same settings as they stand in pyproject.toml."""
    nested = re.sub(r"^\[(\w)", r"[tool.replyx-db-agent.\1", text, flags=re.MULTILINE)
    return f'[project]\nname = "app"\n\n[tool.replyx-db-agent]\n{nested}'


def test_no_configuration_is_one_local_environment(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config == Config(
        root=tmp_path.resolve(),
        environments={"local": Environment("local", "DATABASE_URL", "local", "none")},
    )
    assert (config.language, config.alembic_ini) == ("en", "alembic.ini")
    assert (config.worker.python, config.worker.time_limit) == (None, 120.0)


def test_every_key_is_read(tmp_path: Path) -> None:
    config = configured(tmp_path, FULL)
    assert (config.language, config.alembic_ini) == ("ru", "db/alembic.ini")
    assert (config.record_folder, config.hot_queries) == ("TASK/records", "queries")
    assert config.worker.python == ".venv/bin/python"
    assert config.worker.env == {"SETTINGS": "test", "LEVEL": "3"}
    assert (config.worker.time_limit, config.worker.memory_limit_mb) == (7, 512)
    approvals = {name: one.approval for name, one in config.environments.items()}
    assert approvals == {
        "local": "none",
        "staging": "elicitation",
        "live": "signed",
        "tests": "none",
    }


def test_pyproject_holds_the_same_under_its_own_table(tmp_path: Path) -> None:
    apart, within = tmp_path / "apart", tmp_path / "within"
    apart.mkdir()
    within.mkdir()
    one = configured(apart, FULL)
    other = configured(within, for_pyproject(FULL), "pyproject.toml")
    assert vars(one) | {"root": None} == vars(other) | {"root": None}


def test_the_own_file_goes_before_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(for_pyproject('language = "ru"\n'), "utf-8")
    assert load(tmp_path).language == "ru"
    assert configured(tmp_path, 'language = "en"\n').language == "en"


def test_a_pyproject_of_others_says_nothing(tmp_path: Path) -> None:
    config = configured(tmp_path, '[project]\nname = "app"\n', "pyproject.toml")
    assert list(config.environments) == ["local"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("language =\n", r"line \d"),
        ('langage = "ru"\n', '"langage".*language'),
        ('language = "de"\n', '"de".*"ru", "en"'),
        ("language = 3\n", "language must be text"),
        ('hot_queries = ""\n', "hot_queries must be text"),
        ("worker = 3\n", "worker"),
        ('[worker]\npyton = "x"\n', r'\[worker\].*"pyton".*python'),
        ('[worker]\ntime_limit = "long"\n', "time_limit"),
        ("[worker]\ntime_limit = 0\n", "time_limit"),
        ("[worker]\nmemory_limit_mb = -1\n", "memory_limit_mb"),
        ("[worker]\nmemory_limit_mb = true\n", "memory_limit_mb"),
        ("[worker]\npython = 3\n", "python"),
        ("[worker]\nenv = 3\n", "env"),
        ("environments = 3\n", "environments"),
        ("[environments]\nlocal = 3\n", r"environments\.local"),
        ('[environments.x]\nkind = "local"\n', r"\[environments\.x\] has no url_env"),
        ('[environments.x]\nurl_env = "X"\n', r"\[environments\.x\] kind"),
        ('[environments.x]\nurl_env = "X"\nkind = "prod"\n', '"prod".*production'),
        ('[environments.x]\nurl_env = 3\nkind = "local"\n', "url_env must be text"),
        ('[environments.x]\nurl_env = "X"\nkind = ["local"]\n', "kind"),
        (
            '[environments.x]\nurl_env = "X"\nkind = "staging"\napproval = "maybe"\n',
            'approval = "maybe".*elicitation',
        ),
        ('[environments.x]\nurl_env = "X"\nkind = "local"\nurl = "postgresql://"\n', '"url"'),
    ],
)
@pytest.mark.parametrize("name", ["replyx-db-agent.toml", "pyproject.toml"])
def test_what_is_not_understood_is_named_with_its_file(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        configured(tmp_path, text if name != "pyproject.toml" else for_pyproject(text), name)
    assert f'"{name}"' in caught.value.problem
    assert caught.value.instead


def test_a_url_in_the_configuration_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        configured(
            tmp_path,
            '[environments.x]\nurl_env = "postgresql://app:canary@h/db"\nkind = "local"\n',
        )
    assert "canary" not in str(caught.value)
    assert "name of an environment variable" in str(caught.value)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "replyx-db-agent.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="not valid TOML"):
        load(tmp_path)


def test_the_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match='nowhere" does not exist'):
        load(tmp_path / "nowhere")


def test_an_unknown_environment_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r'no environment "moon".*"local", "staging"'):
        configured(tmp_path, FULL).environment("moon")


def test_a_url_comes_from_its_variable_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(tmp_path, FULL)
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:canary-one@h/db")
    monkeypatch.setenv("STAGING_DATABASE_URL", "")
    assert config.environment("local").url() == "postgresql://a:canary-one@h/db"
    with pytest.raises(EnvironmentProblem, match='"STAGING_DATABASE_URL", which is not set'):
        config.environment("staging").url()
    assert "canary-one" in config.secrets()
    assert config.secret_names() == ("DATABASE_URL", "STAGING_DATABASE_URL", "LIVE_URL", "TEST_URL")


def test_hashes_change_with_what_they_stand_for_and_with_nothing_else(tmp_path: Path) -> None:
    before = configured(tmp_path, FULL)
    same = configured(tmp_path, FULL.replace('"ru"', '"en"'))
    assert same.environments_hash == before.environments_hash
    assert same.worker.hash == before.worker.hash
    other = configured(tmp_path, FULL.replace('"none"', '"elicitation"'))
    assert other.environments_hash != before.environments_hash
    other = configured(tmp_path, FULL.replace("LEVEL = 3", "LEVEL = 4"))
    assert other.worker.hash != before.worker.hash
