"""One env.py run, led step by step by the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.engines.postgres import connect
from replyx_db_agent.engines.project import Project, Session, Worker
from replyx_db_agent.engines.shadow import ShadowDatabase
from tests.projects import Rev, env, table, write_project

CHAIN = [table("a1", None, "one"), table("b2", "a1", "two"), table("c3", "b2", "three")]
MODES = {
    "step": env(options="transaction_per_migration=True"),
    "run": env(),
    "env.py": env().replace("engine.connect()", "engine.begin()"),
}
EXISTS = "SELECT to_regclass(%s) IS NOT NULL"


def tables(url: str) -> set[str]:
    with connect(url) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = "
            "'public'::regnamespace"
        ).fetchall()
    return {str(row[0]) for row in rows}


def climb(session: Session, *revisions: str) -> None:
    for revision in revisions:
        assert session.step("upgrade", revision).error is None


@pytest.mark.parametrize("mode", MODES)
def test_a_chain_goes_up_down_and_up_again_in_one_run_of_env_py(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path, mode: str
) -> None:
    write_project(tmp_path, CHAIN, env_py=MODES[mode] + "\nprint('env.py has run')\n")
    with worker.session(Project(tmp_path), shadow.url) as session:
        opened = session.open()
        assert (opened.heads, opened.transaction) == ((), mode)
        for revision, name in (("a1", "one"), ("b2", "two"), ("c3", "three")):
            climb(session, revision)
            assert session.query(EXISTS, [name]) == [[True]]
            assert session.step("downgrade", revision).error is None
            assert session.query(EXISTS, [name]) == [[False]]
            climb(session, revision)
        assert session.current() == ("c3",)
        loaded = session.finish()
    assert loaded.stdout == ("env.py has run",)
    assert tables(shadow.url) == {"one", "two", "three", "alembic_version"}


@pytest.mark.parametrize("mode", MODES)
def test_a_question_that_fails_leaves_the_run_intact(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path, mode: str
) -> None:
    write_project(tmp_path, CHAIN, env_py=MODES[mode])
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        climb(session, "a1")
        with pytest.raises(InvalidInput, match="nothing_here"):
            session.query("SELECT * FROM nothing_here")
        session.run("INSERT INTO one VALUES (7)")
        climb(session, "b2")
        session.finish()
    with connect(shadow.url) as connection:
        assert connection.execute("SELECT id FROM one").fetchall() == [(7,)]


@pytest.mark.parametrize("mode", MODES)
def test_an_abandoned_session_rolls_back_what_was_not_committed(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path, mode: str
) -> None:
    write_project(tmp_path, CHAIN, env_py=MODES[mode])
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        climb(session, "a1")
    assert ("one" in tables(shadow.url)) == (mode == "step")


def test_statements_carry_their_line_and_leave_out_the_version_table(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    body = """
        op.execute("CREATE TABLE t (id int, name text)")
        helper.fill(op)
        with op.get_context().autocommit_block():
            op.execute("CREATE INDEX CONCURRENTLY t_id ON t (id)")
        rows = [{"id": 2, "name": "b"}, {"id": 3, "name": "c"}]
        op.bulk_insert(sa.table("t", sa.column("id"), sa.column("name")), rows)
    """
    helper = """
        import sqlalchemy as sa
        def fill(op):
            op.get_bind().execute(sa.text("INSERT INTO t VALUES (:id, 'a')"), {"id": 1})
    """
    write_project(
        tmp_path, [Rev("a1", None, "import helper\n" + body)], files={"helper.py": helper}
    )
    text = (tmp_path / "migrations/versions/a1.py").read_text()
    text = text.replace("    import helper\n", "").replace(
        "import sqlalchemy", "import helper\nimport sqlalchemy"
    )
    (tmp_path / "migrations/versions/a1.py").write_text(text)
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        result = session.step("upgrade", "a1")
        session.finish()
    assert result.error is None
    assert [one.sql.split()[0] for one in result.statements] == [
        "CREATE",
        "INSERT",
        "CREATE",
        "INSERT",
    ]
    assert {one.file for one in result.statements} == {"migrations/versions/a1.py"}
    lines = text.splitlines()
    assert "CREATE TABLE" in lines[(result.statements[0].line or 0) - 1]
    assert "helper.fill" in lines[(result.statements[1].line or 0) - 1]
    assert [one.autocommit for one in result.statements] == [False, False, True, False]
    assert [one.parameters for one in result.statements] == [False, True, False, True]
    assert result.seconds >= sum(one.seconds for one in result.statements) > 0


def test_a_failing_statement_is_named_with_its_line_and_everything_is_rolled_back(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    bad = Rev(
        "b2",
        "a1",
        'op.execute("CREATE TABLE two (id int)")\nop.execute("ALTER TABLE nope ADD x int")',
    )
    write_project(tmp_path, [CHAIN[0], bad], env_py=MODES["step"])
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        climb(session, "a1")
        error = session.step("upgrade", "b2").error
        assert error is not None
        assert (error.type, error.sqlstate, error.statement) == ("UndefinedTable", "42P01", 1)
        assert error.message == 'relation "nope" does not exist'
        assert error.file == "migrations/versions/b2.py"
        assert error.source == 'op.execute("ALTER TABLE nope ADD x int")'
        with pytest.raises(InvalidInput, match="This session is over: revision 'b2' failed"):
            session.query("SELECT 1")
        assert "migrations/versions/b2.py" in session.finish().files
    assert tables(shadow.url) == {"one", "alembic_version"}


def test_an_exception_of_the_revision_itself_is_a_result_too(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, [Rev("a1", None, 'raise NotImplementedError("no way up")')])
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        error = session.step("upgrade", "a1").error
    assert error is not None
    assert (error.type, error.message, error.sqlstate) == ("NotImplementedError", "no way up", None)
    assert error.source == 'raise NotImplementedError("no way up")'


def test_a_revision_that_calls_sys_exit_is_a_failed_step(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, [Rev("a1", None, "import sys\nsys.exit(3)")])
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        error = session.step("upgrade", "a1").error
    assert error is not None
    assert (error.type, error.message) == ("SystemExit", "3")


def test_an_id_too_long_for_the_version_table_fails_its_step(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, [table("x" * 33, None, "one")])
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        error = session.step("upgrade", "x" * 33).error
    assert error is not None
    assert "too long for type character varying(32)" in error.message


def test_branches_merges_and_dependencies_are_climbed_one_revision_at_a_time(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    left = table("b1", "a1", "left_side")
    right = Rev(
        "b2",
        "a1",
        'op.execute("CREATE TABLE right_side ()")',
        'op.execute("DROP TABLE right_side")',
    )
    merge = Rev("c3", ("b1", "b2"))
    other = Rev("z1", None, depends_on="c3")
    write_project(tmp_path, [table("a1", None, "one"), left, right, merge, other])
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        climb(session, "a1", "b1", "b2")
        assert session.current() == ("b1", "b2")
        climb(session, "c3", "z1")
        for revision in ("z1", "c3", "b1", "b2", "a1"):
            assert session.step("downgrade", revision).error is None, revision
        assert session.current() == ()
        climb(session, "a1", "b2", "b1", "c3", "z1")
        session.finish()


def test_a_step_out_of_turn_is_refused_and_the_session_goes_on(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, CHAIN)
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        with pytest.raises(InvalidInput, match="Revision 'b2' needs a1 first"):
            session.step("upgrade", "b2")
        climb(session, "a1", "b2")
        with pytest.raises(InvalidInput, match="Revision 'a1' lies under b2"):
            session.step("downgrade", "a1")
        with pytest.raises(InvalidInput, match="nope"):
            session.step("upgrade", "nope")
        climb(session, "c3")
        session.finish()


def test_a_statement_that_is_not_the_next_of_the_plan_is_not_sent(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    body = """
        op.execute("CREATE TABLE one (id int)")
        try:
            op.execute("CREATE TABLE stowaway (id int)")
        except Exception:
            pass
        op.execute("CREATE TABLE two (id int)")
    """
    write_project(tmp_path, [Rev("a1", None, body)])
    plan = ["CREATE TABLE one (id int)", "CREATE TABLE two (id int)"]
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        result = session.step("upgrade", "a1", allowed=plan)
    assert result.error is not None
    assert (result.error.type, result.error.statement) == ("NotPlanned", 1)
    assert "CREATE TABLE stowaway (id int)" in result.error.message
    assert "CREATE TABLE two (id int)" in result.error.message
    assert [one.sql for one in result.statements] == ["CREATE TABLE one (id int)"]
    assert tables(shadow.url) == set()


def test_a_revision_that_ends_before_its_plan_is_rolled_back(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, [Rev("a1", None, 'op.execute("CREATE TABLE one (id int)")')])
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        plan = ["CREATE TABLE one (id int)", "CREATE TABLE two (id int)"]
        error = session.step("upgrade", "a1", allowed=plan).error
    assert error is not None
    assert error.type == "NotPlanned"
    assert tables(shadow.url) == set()


def test_exactly_the_planned_statements_are_let_through(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, [Rev("a1", None, 'op.execute("CREATE TABLE one (id int)")')])
    with worker.session(Project(tmp_path), shadow.url, purpose="apply") as session:
        session.open()
        assert session.step("upgrade", "a1", allowed=["CREATE TABLE one (id int)"]).error is None
        session.finish()
    assert "one" in tables(shadow.url)


def test_a_statement_of_the_host_is_reported_like_a_step(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, CHAIN)
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        climb(session, "a1")
        done = session.execute("ALTER TABLE one ADD x int")
        assert [one.sql for one in done.statements] == ["ALTER TABLE one ADD x int"]
        failed = session.execute("ALTER TABLE nope ADD x int")
        assert failed.error is not None
        assert failed.error.sqlstate == "42P01"
        assert session.execute("CREATE INDEX CONCURRENTLY one_x ON one (x)").error is None
        climb(session, "b2")
        session.finish()
    assert "two" in tables(shadow.url)


def test_values_come_back_as_json_can_carry_them(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path)
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        rows = session.query(
            "SELECT %s::int, true, null, 1.5::float8, 'a%%b', ARRAY[1,2], 2.5", [7]
        )
        assert rows == [[7, True, None, 1.5, "a%b", [1, 2], "2.5"]]
        assert session.query("SELECT 'a%b' LIKE 'a%'") == [[True]]
        session.finish()


def test_every_project_file_that_was_read_is_named(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    files = {
        "app/__init__.py": "",
        "app/models.py": "import pathlib\npathlib.Path('settings.yaml').read_text()\nM = None\n",
        "app/unused.py": "",
        "settings.yaml": "a: 1\n",
        ".venv/lib/x.py": "",
    }
    models = "from app.models import M as target_metadata\nopen('.venv/lib/x.py').close()"
    write_project(tmp_path, CHAIN[:1], env_py=env(models=models), files=files)
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        loaded = session.finish()
    assert loaded.files == (
        "alembic.ini",
        "app/__init__.py",
        "app/models.py",
        "migrations/env.py",
        "migrations/versions/a1.py",
        "settings.yaml",
    )
    assert loaded.versions.keys() == {"python", "alembic", "sqlalchemy"}


def test_nothing_is_written_into_the_project(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, CHAIN, files={"app.py": "x = 1\n"}, env_py="import app\n" + env())
    before = set(tmp_path.rglob("*"))
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        session.finish()
    assert set(tmp_path.rglob("*")) == before


def test_an_edit_of_the_same_length_within_a_second_is_seen(worker: Worker, tmp_path: Path) -> None:
    project = Project(write_project(tmp_path, [Rev("a1", None, doc="First.")]))
    path = tmp_path / "migrations/versions/a1.py"
    stamp = path.stat().st_mtime_ns
    assert worker.history(project).revisions[0].doc == "First."
    path.write_text(path.read_text().replace("First.", "Other."))
    os.utime(path, ns=(stamp, stamp))
    assert worker.history(project).revisions[0].doc == "Other."


def test_env_py_that_migrates_several_times_is_answered_once_and_says_so(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    twice = env().replace(
        "        context.run_migrations()", "        context.run_migrations()\n" * 2
    )
    write_project(tmp_path, CHAIN, env_py=twice)
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        climb(session, "a1")
        loaded = session.finish()
    assert any("2 times" in note for note in loaded.notes)


RAW = """
    cursor = op.get_bind().connection.cursor()
    cursor.execute("CREATE TABLE hidden (id int)")
    cursor.executemany("INSERT INTO hidden VALUES (%s)", [(1,), (2,)])
    with cursor.copy("COPY hidden FROM STDIN") as copy:
        copy.write_row((3,))
    with op.get_context().autocommit_block():
        op.execute("SELECT 1")
"""


def test_statements_sent_past_sqlalchemy_are_recorded(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, [Rev("a1", None, RAW)])
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        result = session.step("upgrade", "a1")
        assert session.query("SELECT count(*) FROM hidden") == [[3]]
        session.finish()
    assert result.error is None
    assert [(one.sql.split()[0], one.executemany, one.parameters) for one in result.statements] == [
        ("CREATE", False, False),
        ("INSERT", True, True),
        ("COPY", False, False),
        ("SELECT", False, False),
    ]
    assert [one.line for one in result.statements] == [13, 14, 15, 18]


def test_a_statement_sent_past_sqlalchemy_is_held_to_the_plan(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, [Rev("a1", None, RAW)])
    with worker.session(Project(tmp_path), shadow.url, purpose="apply") as session:
        session.open()
        error = session.step("upgrade", "a1", allowed=["SELECT 1"]).error
    assert error is not None
    assert error.type == "NotPlanned"
    assert "hidden" not in tables(shadow.url)


def test_a_failing_statement_sent_past_sqlalchemy_is_named(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path, [Rev("a1", None, 'op.get_bind().connection.cursor().execute("nope")')])
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        error = session.step("upgrade", "a1").error
    assert error is not None
    assert (error.sqlstate, error.statement, error.line) == ("42601", 0, 12)
