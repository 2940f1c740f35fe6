"""G6: a session reaches its own database, by whatever way the project connects."""

from __future__ import annotations

from pathlib import Path

import pytest

from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.engines.project import Project, Worker
from replyx_db_agent.engines.shadow import ShadowDatabase, ShadowServer
from tests.projects import env, table, write_project

ELSEWHERE = "host=127.0.0.1 port=1 dbname=production user=root password=x service=prod"
WAYS = {
    "a URL": 'create_engine("postgresql+psycopg://root:x@127.0.0.1:1/production?sslmode=require")',
    "creator": (
        f'create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect("{ELSEWHERE}"))'
    ),
    "creator with the class": (
        'create_engine("postgresql+psycopg://", creator=lambda: psycopg.Connection.connect('
        'host="127.0.0.1", port=1, dbname="production"))'
    ),
    "a pool": (
        'create_engine("postgresql+psycopg://", pool=pool.QueuePool('
        f'lambda: psycopg.connect("{ELSEWHERE}")))'
    ),
    "connect_args": (
        'create_engine("postgresql+psycopg://u@h/d", connect_args=dict(host="127.0.0.1", port=1, '
        'hostaddr="127.0.0.1", dbname="production", sslmode="verify-full", connect_timeout=3))'
    ),
    "a listener": "listened()",
}
LISTENED = """
import psycopg
from sqlalchemy import event

def listened():
    engine = create_engine("postgresql+psycopg://root:x@127.0.0.1:1/production")
    @event.listens_for(engine, "do_connect")
    def token(dialect, record, arguments, words):
        words.update(host="127.0.0.1", port=1, password="token", dbname="production")
    return engine
"""


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_elsewhere_arrives_at_the_shadow(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path, way: str
) -> None:
    text = env(models=LISTENED + "target_metadata = None")
    text = text.replace(
        'create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)', WAYS[way]
    )
    assert WAYS[way] in text
    write_project(tmp_path, [table("a1", None, "one")], env_py=text)
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        assert session.query("SELECT current_database(), current_user") == [
            [shadow.name, shadow.role]
        ]
        assert session.step("upgrade", "a1").error is None
        session.finish()
        assert session.layers == ("environment", "sqlalchemy", "drivers")


def test_harmless_options_of_the_project_are_kept(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    url = "postgresql+psycopg://u:p@elsewhere/d?options=-csearch_path%3Dpg_catalog&application_name=mine"
    text = env().replace('os.environ["DATABASE_URL"]', f'"{url}"')
    write_project(tmp_path, env_py=text)
    with worker.session(Project(tmp_path), shadow.url, purpose="read") as session:
        session.open()
        assert session.query("SHOW search_path") == [["pg_catalog"]]
        assert session.query("SHOW application_name") == [["mine"]]


def test_a_connection_without_sqlalchemy_arrives_too(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    direct = f"""
import psycopg
with psycopg.connect("{ELSEWHERE}", autocommit=True) as other:
    print(other.execute("SELECT current_database()").fetchone()[0])
"""
    write_project(tmp_path, env_py=direct + env())
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        assert session.finish().stdout == (shadow.name,)


def test_the_environment_holds_nothing_of_ours(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("PRODUCTION_URL", "postgresql+psycopg://root:secret@prod/app")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("TZ", "Asia/Tbilisi")
    show = """
import os, pathlib
for k in sorted(os.environ):
    print(k, os.environ[k])
print(pathlib.Path.home())
"""
    write_project(tmp_path, env_py=show + env())
    project = Project(tmp_path, env={"MODE": "test", "PGHOST": "prod", "PRODUCTION_URL": "x"})
    names = ("DATABASE_URL", "PRODUCTION_URL")
    with worker.session(project, shadow.url, env_url_names=names) as session:
        session.open()
        lines = session.finish().stdout
    seen = dict(line.partition(" ")[::2] for line in lines[:-1])
    assert set(seen) <= {
        "DATABASE_URL", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "MODE",
        "OPENBLAS_NUM_THREADS", "PATH", "PRODUCTION_URL", "TMPDIR", "TZ",
    }  # fmt: skip
    assert seen["MODE"] == "test"
    assert seen["TZ"] == "Asia/Tbilisi"
    assert "prod" not in seen["PRODUCTION_URL"]
    assert seen["PRODUCTION_URL"].startswith("postgresql+psycopg://")
    assert seen["HOME"] == lines[-1] != str(Path.home())
    assert not Path(seen["HOME"]).exists()


def test_the_url_is_spelled_as_the_project_spells_it(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    show = "import os\nprint(os.environ['DATABASE_URL'].partition(':')[0])\n"
    write_project(tmp_path, env_py=show + env())
    for given, spelled in (
        ({}, "postgresql"),
        ({"DATABASE_URL": "postgresql+psycopg://x"}, "postgresql+psycopg"),
    ):
        with worker.session(Project(tmp_path, env=given), shadow.url) as session:
            session.open()
            assert session.finish().stdout == (spelled,)


def test_reading_the_history_connects_to_nothing(
    worker: Worker, server: ShadowServer, tmp_path: Path
) -> None:
    root = write_project(tmp_path, [table("a1", None, "one")])
    path = root / "migrations/versions/a1.py"
    path.write_text(path.read_text() + f'\nimport psycopg\npsycopg.connect("{ELSEWHERE}")\n')
    with pytest.raises(InvalidInput, match="opened a connection while only its files"):
        worker.history(Project(root))


def test_another_kind_of_database_is_refused(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    text = env().replace('os.environ["DATABASE_URL"]', '"sqlite:///dev.db"')
    write_project(tmp_path, env_py=text)
    with (
        worker.session(Project(tmp_path), shadow.url) as session,
        pytest.raises(InvalidInput, match="connects to a sqlite database"),
    ):
        session.open()
    assert not (tmp_path / "dev.db").exists()


def test_a_session_that_reads_takes_no_step_and_makes_no_version_table(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, [table("a1", None, "one")])
    with worker.session(Project(tmp_path), shadow.url, purpose="read") as session:
        assert session.open().heads == ()
        with pytest.raises(InvalidInput, match="takes no step"):
            session.step("upgrade", "a1")
        assert session.query("SELECT to_regclass('alembic_version')") == [[None]]
        session.finish()
