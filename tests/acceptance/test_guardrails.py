"""Attacks on the guardrails: each is a revision, and what every tool must say to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from replyx_db_agent.config import load
from replyx_db_agent.core.errors import DbAgentError, EnvironmentProblem, InvalidInput
from replyx_db_agent.core.model import HazardKind
from replyx_db_agent.cycle.carry_out import LOCK
from replyx_db_agent.cycle.load import open_project
from replyx_db_agent.cycle.prove import standing
from replyx_db_agent.cycle.release import is_local
from replyx_db_agent.engines import postgres
from replyx_db_agent.engines.postgres import ServerIdentity
from replyx_db_agent.engines.shadow import ShadowServer
from replyx_db_agent.tools.apply_revision import apply_revision, question_for
from tests.acceptance.guarded import (
    BASE,
    HEAD,
    PER_STEP,
    Guarded,
    literal,
    plan,
    standing_below,
    write,
)
from tests.projects import Rev, env

Start = Callable[..., Guarded]


@pytest.fixture
def start(server: ShadowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Write a project and give it with a database that stands below its head."""
    with standing_below(server) as database:
        monkeypatch.setenv("DATABASE_URL", database.url)

        def begin(*arguments: object, **words: object) -> Guarded:
            return Guarded(write(tmp_path / "project", *arguments, **words), database)  # type: ignore[arg-type]

        yield begin


def sql(*statements: str) -> str:
    """Return the lines of a revision that execute these statements."""
    return "\n".join(map(literal, statements))


RAW = "cursor = op.get_bind().connection.cursor()\ncursor.execute({!r})"
DO = "DO $$ BEGIN {} END $$"
EXECUTE = "DO $$ BEGIN EXECUTE 'DR' || 'OP TABLE ' || 'orders'; END $$"

ADD_FRESH = sql("ALTER TABLE users ADD COLUMN fresh int")
TAKE_FRESH = sql("ALTER TABLE users DROP COLUMN fresh")

DESTRUCTIVE = {
    "drop table": sql("DROP TABLE orders"),
    "drop table, upper case and comments": sql("/* safe */ DROP -- x\n TABLE IF EXISTS\tORDERS"),
    "drop table, quoted in unicode escapes": sql('DROP TABLE U&"ord\\0065rs"'),
    "drop two tables": sql("DROP TABLE IF EXISTS nothing_here, orders"),
    "drop table with several statements in one text": sql("SELECT 1; DROP TABLE orders; SELECT 2"),
    "drop table in a DO block": sql(DO.format("DROP TABLE orders;")),
    "drop table by EXECUTE of glued text": sql(EXECUTE),
    "drop table in a very long DO block": sql(
        DO.format("/* " + "x" * 12_000 + " */ DROP TABLE orders;")
    ),
    "drop table in a function": sql(
        "CREATE FUNCTION gone() RETURNS void LANGUAGE plpgsql AS 'BEGIN DROP TABLE orders; END'",
        "SELECT gone()",
    ),
    "drop table in a function with a bound parameter": """
        op.execute("CREATE FUNCTION gone(n text) RETURNS void LANGUAGE plpgsql AS "
                   "'BEGIN EXECUTE ''DROP TABLE '' || n; END'")
        op.get_bind().execute(sa.text("SELECT gone(:n)"), {"n": "orders"})
    """,
    "drop table in a function with a harmless name": sql(
        "CREATE FUNCTION lower(n int) RETURNS int LANGUAGE plpgsql AS "
        "'BEGIN DROP TABLE orders; RETURN 1; END'",
        "SELECT lower(1)",
    ),
    "drop table in a trigger": sql(
        "CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN DROP TABLE orders; RETURN NEW; END'",
        "CREATE TRIGGER t BEFORE INSERT ON billing.invoices EXECUTE FUNCTION gone()",
        "INSERT INTO billing.invoices VALUES (7000001, 1, 'x')",
    ),
    "drop table in a procedure": sql(
        "CREATE PROCEDURE gone() LANGUAGE plpgsql AS 'BEGIN DROP TABLE orders; END'",
        "CALL gone()",
    ),
    "drop table on the driver's cursor": RAW.format("DROP TABLE orders"),
    "drop table behind libpq": (
        "op.get_bind().connection.dbapi_connection.pgconn.exec_(b'DROP TABLE orders')"
    ),
    "drop table through a second process": """
        import os, subprocess, sys
        code = ("import os, psycopg; psycopg.connect(os.environ['DATABASE_URL'].replace("
                "'+psycopg', ''), autocommit=True).execute('DROP TABLE orders')")
        subprocess.run([sys.executable, "-c", code], check=True)
    """,
    "drop table called new by IF NOT EXISTS": sql(
        "CREATE TABLE IF NOT EXISTS orders (unheard int)", "DROP TABLE orders"
    ),
    "drop table called new by a temporary one": sql(
        "CREATE TEMP TABLE orders (id int)", "DROP TABLE public.orders"
    ),
    "drop table called new by an index of that name": sql(
        "CREATE INDEX IF NOT EXISTS orders ON users (email)", "DROP TABLE orders"
    ),
    "drop table called new by a function of that name": sql(
        "CREATE FUNCTION orders() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP TABLE orders"
    ),
    "drop table called new in another schema": sql(
        "SET search_path = billing",
        "CREATE TABLE orders (id int)",
        "SET search_path = public",
        "DROP TABLE orders",
    ),
    "drop table named an archive": sql("DROP TABLE users_archive"),
    "drop table, put back without its rows": sql(
        "DO $$ BEGIN DROP TABLE orders; CREATE TABLE orders (id bigint PRIMARY KEY, "
        "user_id bigint REFERENCES users ON DELETE CASCADE, note text); END $$"
    ),
    "drop table hidden from the parser by a setting": sql(
        "SET standard_conforming_strings = off", "SELECT 'a\\''; DROP TABLE orders; --'"
    ),
    "drop column": sql("ALTER TABLE users DROP COLUMN nickname"),
    "drop column of ONLY": sql("ALTER TABLE ONLY public.users DROP nickname"),
    "drop column in a DO block": sql(DO.format("ALTER TABLE users DROP COLUMN nickname;")),
    "drop column called new by IF NOT EXISTS": sql(
        'ALTER TABLE "Odd Name" ADD COLUMN IF NOT EXISTS "Column" numeric',
        'ALTER TABLE "Odd Name" DROP COLUMN "Column"',
    ),
    "drop column in the search path": sql(
        "SET search_path = billing",
        "ALTER TABLE invoices DROP COLUMN note",
        "SET search_path = public",
    ),
    "drop type with its columns": sql("DROP TYPE mood CASCADE"),
    "drop type with its columns in a DO block": sql(DO.format("DROP TYPE mood CASCADE;")),
    "drop schema": sql("DROP SCHEMA billing CASCADE"),
    "drop schema in a DO block": sql(DO.format("DROP SCHEMA billing CASCADE;")),
    "drop owned": sql("DROP OWNED BY CURRENT_USER CASCADE"),
    "drop view": sql("DROP VIEW active_users"),
    "drop view in a DO block": sql(DO.format("DROP VIEW active_users;")),
    "drop function": sql("DROP FUNCTION tidy()"),
    "drop sequence in a DO block": sql(DO.format("DROP SEQUENCE numbers;")),
    "truncate": sql("TRUNCATE ONLY orders"),
    "truncate in a function": sql(
        "CREATE FUNCTION gone() RETURNS void LANGUAGE plpgsql AS 'BEGIN TRUNCATE orders; END'",
        "SELECT gone()",
    ),
    "truncate on the driver's cursor": RAW.format("TRUNCATE users CASCADE"),
    "narrower type": sql("ALTER TABLE users ALTER balance TYPE numeric(12,2)"),
    "narrower type of a quoted name": sql(
        'ALTER TABLE "Odd Name" ALTER COLUMN "Column" TYPE numeric(12,2)'
    ),
    "narrower type in the search path": sql(
        "SET LOCAL search_path TO billing, public",
        "ALTER TABLE invoices ALTER total TYPE numeric(12,2)",
    ),
    "narrower type in a DO block": sql(
        DO.format("ALTER TABLE users ALTER balance TYPE numeric(12,2);")
    ),
    "the same type, other values": sql("ALTER TABLE users ALTER plan TYPE text USING 'x'"),
    "rename table": sql("ALTER TABLE orders RENAME TO purchases"),
    "rename table in a DO block": sql(DO.format("ALTER TABLE orders RENAME TO purchases;")),
    "rename table behind a view that lacks its columns": sql(
        "ALTER TABLE orders RENAME TO purchases", "CREATE VIEW orders AS SELECT id FROM purchases"
    ),
    "rename column": sql("ALTER TABLE users RENAME nickname TO nick"),
    "rename column in a DO block": sql(DO.format("ALTER TABLE users RENAME nickname TO nick;")),
    "rename column of a view": sql("ALTER VIEW active_users RENAME COLUMN email TO mail"),
    "rename view": sql("ALTER VIEW active_users RENAME TO living_users"),
    "rename function": sql("ALTER FUNCTION tidy() RENAME TO tidy_up"),
    "rename schema": sql("ALTER SCHEMA billing RENAME TO invoicing"),
    "rename a value of an enum": sql("ALTER TYPE mood RENAME VALUE 'sad' TO 'low'"),
    "rename a value of an enum in a DO block": sql(
        DO.format("ALTER TYPE mood RENAME VALUE 'sad' TO 'low';")
    ),
    "drop an attribute of a type": sql("ALTER TYPE spot DROP ATTRIBUTE y"),
    "rename an attribute of a type": sql("ALTER TYPE spot RENAME ATTRIBUTE y TO z"),
    "move table to a schema": sql("ALTER TABLE orders SET SCHEMA billing"),
    "move table to a schema in a DO block": sql(
        DO.format("ALTER TABLE orders SET SCHEMA billing;")
    ),
    "detach partition": sql("ALTER TABLE events DETACH PARTITION events_first"),
    "detach partition in a DO block": sql(
        DO.format("ALTER TABLE events DETACH PARTITION events_first;")
    ),
    "drop partition": sql("DROP TABLE events_first"),
    "update of all rows": sql("UPDATE users SET plan = 'x'"),
    "update where true": sql("UPDATE users SET plan = 'x' WHERE true"),
    "update where 1 = 1": sql("UPDATE users SET plan = 'x' WHERE 1 = 1 AND NOT false"),
    "update where id is not null": sql("UPDATE users AS u SET plan = 'x' WHERE u.id IS NOT NULL"),
    "update where the key is what it is": sql("UPDATE users SET plan = 'x' WHERE id = id"),
    "update from itself": sql("UPDATE users u SET plan = 'x' FROM users v WHERE v.id = u.id"),
    "delete of all rows": sql("DELETE FROM ONLY orders"),
    "delete by a condition that all rows meet": sql("DELETE FROM orders WHERE length(note) >= 0"),
    "delete by a subquery": sql("DELETE FROM orders WHERE id IN (SELECT id FROM orders)"),
    "delete using": sql("DELETE FROM orders USING users WHERE orders.user_id = users.id"),
    "delete in WITH": sql(
        "WITH gone AS (DELETE FROM orders RETURNING 1) SELECT count(*) FROM gone"
    ),
    "delete in EXPLAIN ANALYZE": sql("EXPLAIN (ANALYZE) DELETE FROM orders"),
    "delete in a function": sql("SELECT wipe()"),
    "delete in a function beside a statement that tells of the table": sql(
        "UPDATE billing.invoices SET note = 'x' WHERE id = -1", "SELECT wipe()"
    ),
    "delete in the default of a new column": sql(
        "ALTER TABLE users ADD COLUMN swept int DEFAULT wipe()"
    ),
    "delete in a trigger on the table that the text changes": sql(
        "CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN DELETE FROM orders; RETURN NULL; END'",
        "CREATE TRIGGER t AFTER INSERT ON orders FOR STATEMENT EXECUTE FUNCTION gone()",
        "INSERT INTO orders VALUES (7000001, NULL, 'x')",
    ),
    "delete in a rule": sql(
        "CREATE RULE r AS ON UPDATE TO users_archive DO INSTEAD DELETE FROM orders",
        "UPDATE users_archive SET body = 'x' WHERE id = 1",
    ),
    "merge": sql("MERGE INTO orders o USING users u ON o.user_id = u.id WHEN MATCHED THEN DELETE"),
    "rows replaced by a copy": """
        op.execute("DELETE FROM orders WHERE id > 0")
        with op.get_bind().connection.cursor() as cursor:
            with cursor.copy("COPY orders (id, note) FROM STDIN") as copy:
                for number in range(20):
                    copy.write_row((number + 9_000_000, "other"))
    """,
    "copied over by ON CONFLICT": sql(
        "INSERT INTO orders (id, note) SELECT id, 'x' FROM orders "
        "ON CONFLICT (id) DO UPDATE SET note = excluded.note"
    ),
}


@pytest.mark.parametrize("name", DESTRUCTIVE)
def test_a_destructive_revision_is_refused_and_changes_nothing(start: Start, name: str) -> None:
    guarded = start(DESTRUCTIVE[name])
    before = guarded.state()
    checked = guarded.check()
    assert checked.verdict == "refused", [h.message for h in checked.hazards]
    assert checked.refusal is not None
    assert checked.refusal.guardrail in ("G1", "G2")
    applied = guarded.apply()
    assert (applied.done, applied.steps) == (False, ())
    assert applied.refusal is not None
    assert guarded.state() == before


HARMLESS = {
    "a new column": (ADD_FRESH, TAKE_FRESH),
    "a new column, filled": (
        f"{ADD_FRESH}\n" + sql("UPDATE users SET fresh = 1 WHERE id BETWEEN 1 AND 10"),
        TAKE_FRESH,
    ),
    "values where there were none": (sql("UPDATE users SET plan = 'x' WHERE plan IS NULL"), "pass"),
    "new rows": (sql("INSERT INTO numbers_seen VALUES (1)"), "pass"),
    "a wider type": (
        sql("ALTER TABLE users ALTER balance TYPE numeric(14,4)"),
        sql("ALTER TABLE users ALTER balance TYPE numeric(12,4)"),
    ),
    "a new value of an enum": (sql("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'calm'"), "pass"),
    "a view with a column more": (
        sql("CREATE OR REPLACE VIEW active_users AS SELECT id, email, plan FROM users"),
        sql("DROP VIEW active_users", "CREATE VIEW active_users AS SELECT id, email FROM users"),
    ),
    "a renamed table behind a whole view": (
        sql("ALTER TABLE orders RENAME TO bought", "CREATE VIEW orders AS SELECT * FROM bought"),
        sql("DROP VIEW orders", "ALTER TABLE bought RENAME TO orders"),
    ),
    "a function made anew with other arguments": (
        sql("DROP FUNCTION tidy()", "CREATE FUNCTION tidy(n int) RETURNS int RETURN n"),
        sql("DROP FUNCTION tidy(int)", "CREATE FUNCTION tidy() RETURNS int RETURN 1"),
    ),
    "a table made and dropped at once": (
        sql("CREATE TABLE scratch (id int)", "DROP TABLE scratch"),
        "pass",
    ),
    "an index": (
        sql("CREATE INDEX users_plan ON users (plan)"),
        sql("DROP INDEX users_plan"),
    ),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_revision_is_not_refused(start: Start, name: str) -> None:
    upgrade, downgrade = HARMLESS[name]
    guarded = start(upgrade, downgrade)
    checked = guarded.check()
    assert checked.verdict != "refused", checked.refusal
    assert guarded.apply().done


# ---- a planned and rehearsed one -----------------------------------------------------------------

KEPT = "replyx_db_agent.users_nickname"
KEEP_AND_DROP = sql(
    "CREATE SCHEMA IF NOT EXISTS replyx_db_agent",
    f"CREATE TABLE {KEPT} AS SELECT id, nickname FROM users",
    "ALTER TABLE users DROP COLUMN nickname",
)
PUT_BACK = sql(
    "ALTER TABLE users ADD COLUMN nickname text",
    f"UPDATE users SET nickname = k.nickname FROM {KEPT} AS k WHERE k.id = users.id",
    f"DROP TABLE {KEPT}",
)
SECTION = plan("Column `users.nickname` goes; its values are kept in the schema replyx_db_agent.")
SQL_FILE = "open('migrations/extra.sql').read()\n"
FILES = {
    "migrations/extra.sql": "-- nothing",
    "helper.py": "ANSWER = 42\n",
    "replyx-db-agent.toml": '[worker]\nenv = { COLOUR = "red" }\n',
}
WITH_HELPER = PER_STEP.replace("import os", "import os\nimport helper", 1)


def rehearsed(start: Start, **words: Any) -> Guarded:
    """Return the project whose dropped column is planned, rehearsed and kept."""
    given = {"section": SECTION, "env_py": WITH_HELPER, "files": FILES, **words}
    guarded = start(SQL_FILE + KEEP_AND_DROP, PUT_BACK, **given)
    assert guarded.stairway().clean
    return guarded


def refusal_of(guarded: Guarded) -> str:
    """Return what check says, "" for no refusal."""
    refusal = guarded.check().refusal
    return f"{refusal.guardrail} {refusal.problem}" if refusal else ""


def test_a_planned_and_rehearsed_step_is_let_through_and_nothing_less(start: Start) -> None:
    guarded = start(SQL_FILE + KEEP_AND_DROP, PUT_BACK, env_py=WITH_HELPER, files=FILES)
    assert "has no section" in refusal_of(guarded)
    guarded.write("docs/db/rollback_plan.md", plan("<!-- users.nickname -->"))
    assert "these parts" in refusal_of(guarded)
    guarded.write("docs/db/rollback_plan.md", SECTION)
    assert "never rehearsed" in refusal_of(guarded)
    assert guarded.stairway(rows=0).clean
    assert "never rehearsed" in refusal_of(guarded)
    assert guarded.stairway().clean
    assert refusal_of(guarded) == ""
    before = guarded.scalar("SELECT count(nickname) FROM users")
    applied = guarded.apply()
    assert (applied.done, applied.verified, applied.refusal) == (True, True, None)
    assert guarded.scalar(f"SELECT count(nickname) FROM {KEPT}") == before


STALE = (
    f"migrations/versions/{HEAD}.py",
    f"migrations/versions/{BASE}.py",
    "migrations/env.py",
    "migrations/extra.sql",
    "helper.py",
    "alembic.ini",
    "docs/db/rollback_plan.md",
)


def test_one_byte_makes_the_rehearsal_stale_and_taking_it_away_brings_it_back(
    start: Start,
) -> None:
    guarded = rehearsed(start)
    for path in STALE:
        text = (guarded.root / path).read_text()
        guarded.write(path, text + "\n")
        refused = refusal_of(guarded)
        assert refused.startswith("G2"), path
        assert "stale" in refused, path
        assert guarded.apply().refusal is not None
        guarded.write(path, text)
    guarded.write("replyx-db-agent.toml", FILES["replyx-db-agent.toml"].replace("red", "blue"))
    assert "worker's settings changed" in refusal_of(guarded)
    guarded.write("replyx-db-agent.toml", FILES["replyx-db-agent.toml"])
    assert refusal_of(guarded) == ""


# ---- forged evidence -----------------------------------------------------------------------------


def _only_itself(evidence: dict[str, Any]) -> None:
    evidence["files"] = {evidence["path"]: evidence["files"][evidence["path"]]}


FORGERIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no files": lambda e: e["files"].clear(),
    "no files but itself": _only_itself,
    "without env.py": lambda e: e["files"].pop("migrations/env.py"),
    "without its parent": lambda e: e["files"].pop(f"migrations/versions/{BASE}.py"),
    "the path of another file": lambda e: e.update(path="helper.py"),
    "another revision's": lambda e: e.update(revision=BASE),
    "an outcome that does not exist": lambda e: e.update(outcome="fine"),
    "rows compared by word of mouth": lambda e: e.update(rows_compared="yes"),
    "a section that says nothing": lambda e: e.update(section=""),
    "one key more": lambda e: e.update(approved=True),
    "another format": lambda e: e.update(format=1),
    "files that are a list": lambda e: e.update(files=list(e["files"])),
}


def test_evidence_edited_by_hand_does_not_count(start: Start) -> None:
    guarded = rehearsed(start)
    project = open_project(guarded.call, load(guarded.root).settings())
    path = guarded.evidence()
    honest = path.read_text()
    for name, forge in FORGERIES.items():
        evidence = json.loads(honest)
        forge(evidence)
        path.write_text(json.dumps(evidence))
        known = standing(project, HEAD)
        assert known.evidence is None or known.stale, name
    for nonsense in ("", "[]", "null", '"clean"', "{"):
        path.write_text(nonsense)
        assert standing(project, HEAD).evidence is None, nonsense
    evidence = json.loads(honest)
    path.write_text(json.dumps({**evidence, "upgrade": ["SELECT 1"]}))
    assert "emits other statements" in refusal_of(guarded)
    path.write_text(honest)
    assert refusal_of(guarded) == ""


def test_an_outcome_changed_by_hand_meets_a_rehearsal_made_now(start: Start) -> None:
    guarded = start(KEEP_AND_DROP, sql("ALTER TABLE users ADD nickname text"), section=SECTION)
    assert not guarded.stairway().clean
    path = guarded.evidence()
    path.write_text(
        path.read_text().replace('"leaves-trace"', '"clean"').replace('"fails-up-again"', '"clean"')
    )
    assert "just now ended as" in refusal_of(guarded)
    assert guarded.apply().refusal is not None


# ---- plans ---------------------------------------------------------------------------------------

FENCED = "````markdown\n" + SECTION + "````\n"
PLANS = {
    "letters instead of words": plan("users.nickname", risk="x", checks="ok"),
    "the object is not named": plan("A column of a table is dropped, nobody reads it."),
    "the object is named in a comment": plan("A column goes. <!-- users.nickname -->"),
    "no command": plan("users.nickname", rollback="Go back to the revision before."),
    "a command that goes elsewhere": plan(
        "users.nickname", rollback="`alembic downgrade 202301010000`"
    ),
    "a command behind a shell line": plan(
        "users.nickname", rollback="```bash\n./restore.sh\nalembic downgrade -1\n```"
    ),
    "a section in a code block": FENCED,
    "a section in a comment": f"<!--\n{SECTION}\n-->",
    "a section of another revision": SECTION.replace(HEAD, "202501010009"),
    "a section whose id is longer": SECTION.replace(HEAD, f"{HEAD}7"),
    "SQL that fails": plan(
        "users.nickname",
        rollback=f"```bash\nalembic downgrade {BASE}\n```\n```sql\nSELECT nothing FROM nowhere;"
        "\n```",
    ),
    "SQL that does not restore": plan(
        "users.nickname",
        rollback=f"```bash\nalembic downgrade {BASE}\n```\n```sql\nUPDATE users SET nickname = ''"
        ";\n```",
    ),
    "twice the same way back": plan(
        "users.nickname", rollback="```bash\nalembic downgrade -1\nalembic downgrade -1\n```"
    ),
    "the way back and up again": plan(
        "users.nickname", rollback="```bash\nalembic downgrade -1\nalembic upgrade head\n```"
    ),
}


def test_a_plan_that_says_nothing_or_does_not_work_is_no_plan(start: Start) -> None:
    guarded = start(KEEP_AND_DROP, PUT_BACK)
    for name, text in PLANS.items():
        guarded.write("docs/db/rollback_plan.md", text)
        guarded.stairway()
        assert refusal_of(guarded)[:2] in ("G1", "G2"), name
    assert guarded.apply().refusal is not None


GOOD_PLANS = {
    "in Russian": SECTION.replace("### Change", "### Изменение")
    .replace("### Risk", "### Риск")
    .replace("### Rollback", "### Откат")
    .replace("### Checks after rollback", "### Проверки после отката"),
    "as a list": f"## {HEAD}\n\n- Change: users.nickname goes\n- Risk: a short lock\n"
    "- Rollback: `alembic downgrade -1`\n- Checks after rollback: the counts are the same\n",
}


def test_a_plan_counts_in_either_language_and_as_a_list(start: Start) -> None:
    guarded = start(KEEP_AND_DROP, PUT_BACK)
    for name, text in GOOD_PLANS.items():
        guarded.write("docs/db/rollback_plan.md", text)
        assert guarded.stairway().clean, name
        assert refusal_of(guarded) == "", name


def test_a_way_back_proved_on_no_rows_is_not_proved(start: Start) -> None:
    back = sql("ALTER TABLE unfillable ADD COLUMN code text")
    guarded = start(
        sql("ALTER TABLE unfillable DROP COLUMN code"), back, section=plan("unfillable.code goes")
    )
    assert guarded.stairway().clean
    assert 'had no rows in "unfillable.code"' in refusal_of(guarded)


# ---- one thing in the rehearsal, another one when applied ----------------------------------------

HERE = "'{database}' in os.environ['DATABASE_URL']"
FRESH = literal("ALTER TABLE users ADD COLUMN fresh int")
DROP = literal("DROP TABLE orders")
BY_PYTHON = {
    "the URL": f"import os\n{FRESH}\nif {HERE}:\n    {DROP}",
    "the number of rows": (
        f"{FRESH}\nif op.get_bind().scalar(sa.text('SELECT count(*) FROM orders')) == 9:\n"
        f"    {DROP}"
    ),
    "the role": (
        f"{FRESH}\nif op.get_bind().scalar(sa.text('SELECT session_user')) == '{{role}}':\n"
        f"    {DROP}"
    ),
    "how often it ran": (
        "import pathlib\nruns = pathlib.Path('runs')\n"
        "runs.write_text(runs.read_text() + 'x' if runs.exists() else 'x')\n"
        f"{FRESH}\nif len(runs.read_text()) > 2:\n    {DROP}"
    ),
    "a swallowed refusal": (
        f"import os\nif {HERE}:\n    try:\n        {DROP}\n    except BaseException:\n"
        f"        pass\n{FRESH}"
    ),
    "the driver's cursor": (
        f"import os\n{FRESH}\nif {HERE}:\n    "
        "op.get_bind().connection.cursor().execute('DROP TABLE orders')"
    ),
    "a line break in a comment": (
        f"import os\n{FRESH}\nend = '\\n' if {HERE} else ' '\n"
        "op.get_bind().exec_driver_sql('SELECT 1 -- all is well' + end + '; DROP TABLE orders')"
    ),
    "a space in a string": (
        f"import os\n{FRESH}\nend = '  ' if {HERE} else ' '\n"
        "op.get_bind().exec_driver_sql(f\"UPDATE orders SET note = '{end}' WHERE id = -1\")"
    ),
    "the values": (
        f"import os\n{FRESH}\nleast = 0 if {HERE} else 10**17\n"
        "op.get_bind().execute(sa.text('DELETE FROM orders WHERE id > :n'), dict(n=least))"
    ),
    "a statement less": f"import os\nif not {HERE}:\n    {FRESH}\n{literal('SELECT 1')}",
    "behind libpq": (
        f"import os\n{FRESH}\nif {HERE}:\n    "
        "op.get_bind().connection.dbapi_connection.pgconn.exec_(b'DROP TABLE orders')"
    ),
}
HERE_SQL = "DO $$ BEGIN IF current_database() = '{{database}}' THEN {}; END IF; END $$"
BY_SQL = {
    "drop table": "DROP TABLE orders",
    "drop column": "ALTER TABLE users DROP COLUMN nickname",
    "rename": "ALTER TABLE orders RENAME TO purchases",
    "narrow": "ALTER TABLE users ALTER balance TYPE numeric(12,2)",
    "drop view": "DROP VIEW active_users",
    "truncate": "TRUNCATE orders",
    "delete": "DELETE FROM orders",
    "update": "UPDATE orders SET note = ''",
}
BRANCHES = BY_PYTHON | {
    f"in SQL: {name}": f"{FRESH}\n{literal(HERE_SQL.format(text))}" for name, text in BY_SQL.items()
}


def filled(text: str, guarded_by: Guarded) -> str:
    """Put the names of the real database into a revision."""
    names = {"{database}": guarded_by.database.name, "{role}": guarded_by.database.role}
    for mark, name in names.items():
        text = text.replace(mark, name)
    return text


@pytest.mark.parametrize("name", BRANCHES)
def test_what_the_rehearsal_did_not_do_is_not_done(start: Start, name: str) -> None:
    guarded = start("pass", sql("ALTER TABLE users DROP COLUMN IF EXISTS fresh"))
    write(guarded.root, filled(BRANCHES[name], guarded), sql("ALTER TABLE users DROP fresh"))
    before = guarded.state()
    applied = guarded.apply()
    assert (applied.done, applied.verified, applied.steps) == (False, False, ())
    assert applied.notes or applied.refusal
    assert guarded.state() == before


def test_a_hidden_statement_is_never_silent(start: Start) -> None:
    hidden = {
        "a DO block": sql(DO.format("PERFORM 1;")),
        "a function with a harmless name": sql("SELECT upper(7)"),
        "a procedure": "op.execute('CALL nothing_much()')",
    }
    made = sql(
        "CREATE FUNCTION upper(n int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE PROCEDURE nothing_much() LANGUAGE sql AS 'SELECT 1'",
    )
    back = sql("DROP FUNCTION upper(int)", "DROP PROCEDURE nothing_much()")
    for name, text in hidden.items():
        guarded = start(f"{made}\n{text}", back)
        checked = guarded.check()
        assert checked.verdict == "findings", name
        assert HazardKind.UNKNOWN in {h.kind for h in checked.hazards}, name


# ---- applying ------------------------------------------------------------------------------------

STAGING = '[environments.staging]\nurl_env = "DATABASE_URL"\nkind = "staging"\n'


def test_another_environment_asks_a_person_even_on_our_own_server(start: Start) -> None:
    guarded = start(
        f"{ADD_FRESH}\n{sql(DO.format('PERFORM 1;'))}",
        TAKE_FRESH,
        files={"replyx-db-agent.toml": STAGING},
    )
    before = guarded.state()
    asked = question_for(guarded.call, "staging")
    assert asked is not None
    approved, question = asked
    assert "hidden-statement" in question
    for words in (
        {},
        {"by_person": True},
        {"approved_plan": approved},
        {"by_person": True, "approved_plan": "0" * 64},
    ):
        refused = apply_revision(guarded.call, "staging", **words)  # type: ignore[arg-type]
        assert refused.refusal is not None
        assert refused.refusal.guardrail == "G8"
    assert guarded.state() == before
    guarded.write(f"migrations/versions/{HEAD}.py", Rev(HEAD, BASE, ADD_FRESH, TAKE_FRESH).text)
    changed = apply_revision(guarded.call, "staging", approved_plan=approved, by_person=True)
    assert changed.refusal is not None, "approved was another file"
    approved = (question_for(guarded.call, "staging") or ("", ""))[0]
    done = apply_revision(guarded.call, "staging", approved_plan=approved, by_person=True)
    assert (done.done, done.verified) == (True, True)


def test_local_is_where_the_database_lies_not_what_it_is_called(start: Start) -> None:
    call = start(ADD_FRESH, TAKE_FRESH).call
    elsewhere = ServerIdentity("7000000000000000001", "app", 180000, "localhost")
    assert not is_local(call, "local", elsewhere)
    assert not is_local(call, "staging", elsewhere)


def test_only_one_apply_at_a_time(start: Start) -> None:
    guarded = start(ADD_FRESH, TAKE_FRESH)
    with postgres.connect(guarded.database.url) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        with pytest.raises(EnvironmentProblem, match="Another apply"):
            guarded.apply()
    assert guarded.apply().done
    assert guarded.apply().steps == ()


def test_a_database_at_an_unknown_revision_is_left_alone(start: Start) -> None:
    guarded = start(ADD_FRESH, TAKE_FRESH)
    guarded.execute("UPDATE alembic_version SET version_num = 'somewhere'")
    before = guarded.state()
    with pytest.raises(InvalidInput, match="somewhere"):
        guarded.apply()
    assert guarded.state() == before


def test_an_env_py_with_several_targets_is_not_applied(start: Start) -> None:
    twice = (
        PER_STEP.rstrip()
        + "\n    with context.begin_transaction():\n        context.run_migrations()\n"
    )
    guarded = start(ADD_FRESH, TAKE_FRESH, env_py=twice)
    before = guarded.state()
    with pytest.raises(InvalidInput, match="other targets"):
        guarded.apply()
    assert guarded.state() == before


@pytest.mark.parametrize(("env_py", "stays"), [(PER_STEP, HEAD), (env(), BASE)])
def test_a_second_revision_that_fails_leaves_an_honest_report(
    start: Start, env_py: str, stays: str
) -> None:
    last = "202501010002"
    fails = Rev(
        last,
        HEAD,
        sql("ALTER TABLE users ADD CONSTRAINT few CHECK (nickname <> 'n7')"),
        sql("ALTER TABLE users DROP CONSTRAINT few"),
    )
    guarded = start(ADD_FRESH, TAKE_FRESH, env_py=env_py, more=(fails,))
    applied = guarded.apply()
    assert (applied.done, applied.verified) == (False, False)
    assert len(applied.steps) == (stays == HEAD)
    assert any(f"stands at {stays}" in note for note in applied.notes), applied.notes
    assert guarded.scalar("SELECT version_num FROM alembic_version") == stays


def test_a_revision_id_with_a_path_in_it_writes_nowhere_else(start: Start) -> None:
    strange = Rev("../../strange", BASE, ADD_FRESH, TAKE_FRESH)
    guarded = start("pass")
    (guarded.root / f"migrations/versions/{HEAD}.py").unlink()
    guarded.write("migrations/versions/strange.py", strange.text)
    outside = {p for p in guarded.root.parent.rglob("*") if guarded.root not in p.parents}
    try:
        guarded.check()
        guarded.apply()
    except DbAgentError as error:
        assert error.instead
    assert outside == {p for p in guarded.root.parent.rglob("*") if guarded.root not in p.parents}


def test_a_versions_folder_behind_a_link_is_not_written(start: Start, tmp_path: Path) -> None:
    guarded = start(KEEP_AND_DROP, PUT_BACK, section=SECTION)
    versions, elsewhere = guarded.root / "migrations/versions", tmp_path / "elsewhere"
    versions.rename(elsewhere)
    versions.symlink_to(elsewhere)
    listed = sorted(p.name for p in elsewhere.iterdir())
    try:
        guarded.stairway()
        assert guarded.check().verdict == "refused"
    except DbAgentError as error:
        assert error.instead
    assert [n for n in sorted(p.name for p in elsewhere.iterdir()) if n != "__pycache__"] == listed
