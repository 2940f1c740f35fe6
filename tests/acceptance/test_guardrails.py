"""Attacks on the guardrails: each is a revision, and what every tool must say to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from replyx_db_agent.engines.shadow import ShadowServer
from tests.acceptance.guarded import Guarded, literal, standing_below, write

Start = Callable[..., Guarded]


@pytest.fixture
def start(
    server: ShadowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    """Write a project and give it with a database that stands below its head."""
    with standing_below(server) as database:
        monkeypatch.setenv("DATABASE_URL", database.url)

        def begin(*arguments: object, **words: object) -> Guarded:
            return Guarded(write(tmp_path / "project", *arguments, **words), database)  # type: ignore[arg-type]

        yield begin


def sql(*statements: str) -> str:
    return "\n".join(map(literal, statements))


RAW = "cursor = op.get_bind().connection.cursor()\ncursor.execute({!r})"
DO = "DO $$ BEGIN {} END $$"
EXECUTE = "DO $$ BEGIN EXECUTE 'DR' || 'OP TABLE ' || 'orders'; END $$"

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
        "SET search_path = billing", "CREATE TABLE orders (id int)", "SET search_path = public",
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
        'ALTER TABLE "Odd Name" ADD COLUMN IF NOT EXISTS "Column" text',
        'ALTER TABLE "Odd Name" DROP COLUMN "Column"',
    ),
    "drop column in the search path": sql(
        "SET search_path = billing", "ALTER TABLE invoices DROP COLUMN note"
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
        'ALTER TABLE "Odd Name" ALTER COLUMN "Column" TYPE varchar(190)'
    ),
    "narrower type in the search path": sql(
        "SET LOCAL search_path TO billing", "ALTER TABLE invoices ALTER total TYPE integer"
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
    "move table to a schema in a DO block": sql(DO.format("ALTER TABLE orders SET SCHEMA billing;")),
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
    "delete in WITH": sql("WITH gone AS (DELETE FROM orders RETURNING 1) SELECT count(*) FROM gone"),
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
    "merge": sql(
        "MERGE INTO orders o USING users u ON o.user_id = u.id WHEN MATCHED THEN DELETE"
    ),
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
