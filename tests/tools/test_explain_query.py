import json

import psycopg
import pytest

from tests.projects import Rev, write_project
from tests.tools.calling import add_revision, error, files_of, report

pytestmark = pytest.mark.anyio

PAGE = "scripts/hot_queries/dialog_page.sql"
INDEX = """
with op.get_context().autocommit_block():
    op.create_index(
        "ix_messages_page", "dialog_messages", ["dialog_id", sa.text("created_at DESC")],
        postgresql_concurrently=True,
    )
"""
NO_INDEX = """
with op.get_context().autocommit_block():
    op.drop_index("ix_messages_page", postgresql_concurrently=True)
"""
NOT_ONE_SELECT = {
    "INSERT": "INSERT INTO users (email) VALUES ('x')",
    "UPDATE": "UPDATE users SET email = 'x'",
    "DELETE": "DELETE FROM users",
    "two statements": "SELECT 1; DELETE FROM users",
    "a WITH that deletes": "WITH gone AS (DELETE FROM users RETURNING id) SELECT * FROM gone",
    "SELECT INTO": "SELECT * INTO copies FROM users",
    "a lock": "SELECT * FROM users FOR UPDATE",
    "DO": "DO $$ BEGIN DELETE FROM users; END $$",
    "COPY": "COPY users TO PROGRAM 'cat'",
    "no SQL at all": "hello",
}
CALLS = {
    "an unknown function": "SELECT forget_everything()",
    "a function of another schema": "SELECT app.size(id) FROM users",
    "a function that writes files": "SELECT lo_export(1, 'x')",
    "a function in a WHERE": "SELECT 1 FROM users WHERE dblink_exec('x') = 'y'",
}
SAMPLES = {
    "a second statement": "1); DELETE FROM users; --",
    "an unknown function": "forget_everything()",
    "a function that ends other sessions": "pg_terminate_backend(1)",
}


def rows_of(database):
    with psycopg.connect(database.url.replace("+psycopg", "")) as connection:
        return connection.execute(
            "SELECT (SELECT count(*) FROM users), "
            "(SELECT string_agg(relname || relfilenode, ',' ORDER BY oid) FROM pg_class), "
            "(SELECT last_value FROM users_id_seq)"
        ).fetchone()


@pytest.fixture
def with_index(sample):
    add_revision(sample, "202509010000", "messages_page", INDEX, NO_INDEX)
    return sample


async def test_an_index_makes_the_query_faster_and_the_plans_say_why(with_index):
    data = await report(with_index, "explain_query", files=[PAGE], revision="head", rows=4_000)
    [query] = data["queries"]
    assert query["name"] == "dialog_page"
    assert query["before"]["where"] == "shadow with 4000 rows a table"
    assert "Sort" in query["before"]["shape"]
    assert "Index Scan using ix_messages_page" in query["after"]["shape"]
    assert query["after"]["buffers"] < query["before"]["buffers"]
    assert "->" in query["verdict"]
    assert "within its SLA" in query["verdict"]
    old, new = query["before"], query["after"]
    assert f"было {old['milliseconds']} мс, стало {new['milliseconds']} мс" in data["answer"]


async def test_what_was_measured_is_kept_and_no_other_file_is_written(with_index):
    before = files_of(with_index)
    await report(with_index, "explain_query", revision="head", rows=200)
    assert files_of(with_index) == before
    [kept] = (with_index / ".replyx-db-agent/measurements").iterdir()
    stored = json.loads(kept.read_text("utf-8"))
    assert stored["revision"] == "202509010000"
    assert [q["name"] for q in stored["queries"]] == ["dialog_page"]


async def test_by_default_the_queries_that_read_what_the_revision_touches_are_measured(with_index):
    data = await report(with_index, "explain_query", rows=200)
    assert [q["name"] for q in data["queries"]] == ["dialog_page"]
    assert "open_dialogs" in data["notes"][-1]


async def test_a_query_over_its_sla_is_said_and_raises_the_risk(with_index):
    slow = with_index / "scripts/hot_queries/slow.sql"
    slow.write_text("-- sla_ms: 0.0001\nSELECT count(*) FROM dialog_messages;\n", "utf-8")
    data = await report(
        with_index, "explain_query", files=["scripts/hot_queries/slow.sql"], rows=200
    )
    assert "OVER its SLA" in data["queries"][0]["verdict"]
    assert "slow" in data["answer"]
    assert "**средний**" in data["answer"]


async def test_a_query_that_reads_a_column_the_revision_adds_has_no_before(sample):
    add_revision(
        sample,
        "202509010000",
        "nickname",
        'op.add_column("users", sa.Column("nickname", sa.Text))',
        'op.drop_column("users", "nickname")',
    )
    data = await report(sample, "explain_query", sql="SELECT nickname FROM users", rows=50)
    [query] = data["queries"]
    assert query["before"] is None
    assert query["after"]["rows"] == 50


@pytest.mark.parametrize("what", NOT_ONE_SELECT)
async def test_anything_but_one_select_is_refused(sample, what):
    text = await error(sample, "explain_query", sql=NOT_ONE_SELECT[what])
    assert "is not one SELECT" in text


@pytest.mark.parametrize("what", CALLS)
async def test_a_call_of_an_unknown_function_is_refused_by_name(sample, what):
    text = await error(sample, "explain_query", sql=CALLS[what])
    assert "does more than read: function" in text


@pytest.mark.parametrize("environment", ["", "local"])
@pytest.mark.parametrize("what", SAMPLES)
async def test_a_sample_cannot_smuggle_in_anything_but_values(sample, at_head, what, environment):
    query = f"-- params: {SAMPLES[what]}\nSELECT id FROM users WHERE id = $1"
    before = rows_of(at_head)
    text = await error(sample, "explain_query", sql=query, environment=environment)
    assert "does more than read" in text or "more than one statement" in text
    assert rows_of(at_head) == before


async def test_a_file_outside_of_the_project_is_refused(sample, tmp_path):
    (tmp_path / "other.sql").write_text("SELECT 1", "utf-8")
    for path in ("../other.sql", str(tmp_path / "other.sql"), "scripts/hot_queries/nothing.sql"):
        text = await error(sample, "explain_query", files=[path])
        assert "is not a file of this project" in text


async def test_a_link_out_of_the_project_is_refused_also_among_the_defaults(sample, tmp_path):
    (tmp_path / "secret.txt").write_text("SELECT 'the secret'", "utf-8")
    (sample / "scripts/hot_queries/link.sql").symlink_to(tmp_path / "secret.txt")
    for files in (["scripts/hot_queries/link.sql"], []):
        text = await error(sample, "explain_query", files=files)
        assert '"link.sql" is not a file of this project' in text
        assert "the secret" not in text


async def test_an_environment_is_measured_as_it_is_and_stays_unchanged(sample, at_head):
    before, files = rows_of(at_head), files_of(sample)
    data = await report(sample, "explain_query", environment="local")
    assert len(data["queries"]) == 5
    assert {q["before"]["where"] for q in data["queries"]} == {'environment "local"'}
    assert all(q["after"] is None and q["before"]["milliseconds"] for q in data["queries"])
    assert rows_of(at_head) == before
    assert files_of(sample) == files


async def test_a_sequence_is_not_moved(sample, at_head):
    before = rows_of(at_head)
    query = "SELECT nextval('users_id_seq')"
    text = await error(sample, "explain_query", sql=query, environment="local")
    assert "does more than read: nextval" in text
    assert rows_of(at_head) == before


async def test_an_environment_that_is_not_local_is_planned_and_not_run(
    sample, at_head, monkeypatch
):
    monkeypatch.setenv("STAGING_DATABASE_URL", at_head.url)
    data = await report(sample, "explain_query", files=[PAGE], environment="staging")
    [query] = data["queries"]
    assert query["before"]["milliseconds"] is None
    assert query["verdict"] == "plan shown, not run"
    assert "SLA не проверялся" in data["answer"]
    assert "planned, not run" in data["notes"][0]


async def test_a_database_that_is_down_is_one_clear_error_without_its_password(sample, monkeypatch):
    url = "postgresql://replyx:correct-horse@localhost:1/replyx"
    monkeypatch.setenv("DATABASE_URL", url)
    text = await error(sample, "explain_query", environment="local")
    assert "DATABASE_URL" in text
    assert "correct-horse" not in text
    assert len(text.splitlines()) == 1


async def test_an_environment_whose_variable_is_not_set_is_named_with_the_variable(sample):
    text = await error(sample, "explain_query", environment="local")
    assert "DATABASE_URL" in text
    assert "not set" in text


async def test_an_unknown_environment_is_an_error_that_names_the_known_ones(sample):
    text = await error(sample, "explain_query", environment="prod")
    assert '"local", "staging"' in text


async def test_arguments_of_which_one_would_be_ignored_are_refused(sample):
    one = await error(sample, "explain_query", sql="SELECT 1", files=[PAGE])
    assert "`sql` and `files`" in one
    other = await error(sample, "explain_query", revision="head", environment="local")
    assert "`revision` and `environment`" in other


@pytest.mark.parametrize("rows", [0, -5, 1_000_001])
async def test_an_impossible_number_of_rows_is_refused(sample, rows):
    assert "1 to 1000000" in await error(sample, "explain_query", sql="SELECT 1", rows=rows)


async def test_a_query_that_postgresql_refuses_is_an_error_in_its_words(sample):
    text = await error(sample, "explain_query", sql="SELECT nobody FROM users", rows=10)
    assert 'column "nobody" does not exist' in text


async def test_a_revision_that_does_not_go_up_over_the_rows_is_an_error(tmp_path):
    revisions = [
        Rev("202501010000", None, 'op.execute("CREATE TABLE a (id int PRIMARY KEY)")'),
        Rev("202501020000", "202501010000", 'op.execute("ALTER TABLE a ADD b int NOT NULL")'),
    ]
    project = write_project(tmp_path, revisions)
    text = await error(project, "explain_query", sql="SELECT id FROM a", rows=10)
    assert "does not go up over these rows" in text
    assert "check_revision" in text


async def test_without_any_query_it_says_what_to_pass(tmp_path):
    project = write_project(tmp_path, [Rev("202501010000", None)])
    assert "holds no .sql file" in await error(project, "explain_query")
