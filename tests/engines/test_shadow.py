"""Shadow databases, templates, kept databases and the trace, on the session's one server."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from replyx_db_agent.core.errors import EnvironmentProblem, InvalidInput
from replyx_db_agent.engines.postgres import connect
from replyx_db_agent.engines.shadow import ShadowDatabase, ShadowServer


@pytest.fixture
def conn(shadow: ShadowDatabase) -> Iterator[psycopg.Connection]:
    with connect(shadow.url, read_only=False) as connection:
        yield connection


def events(conn: psycopg.Connection, event: str) -> list[tuple[object, ...]]:
    return conn.execute(
        "SELECT tag, object_type, object_identity, original FROM replyx_trace.event "
        "WHERE event = %s ORDER BY id",
        [event],
    ).fetchall()


def databases(server: ShadowServer, prefix: str) -> set[str]:
    """Names of databases; of shadows only our own lease's: other sessions use this server too."""
    with server.admin() as conn:
        rows = conn.execute(
            "SELECT datname FROM pg_database LEFT JOIN pg_roles AS r ON rolname = datname "
            "WHERE starts_with(datname, %s) AND (%s OR "
            "shobj_description(r.oid, 'pg_authid')::jsonb ->> 'owner' = %s)",
            [prefix, prefix != "replyx_shadow_", server.lease_id],
        ).fetchall()
    return {row[0] for row in rows}


@pytest.fixture
def unique() -> str:
    """A name that no other session uses at the same time, and no earlier one has used."""
    return f"test_{secrets.token_hex(6)}"


# ---- what the role may do ------------------------------------------------------------------------


def test_the_role_owns_its_database_and_is_not_superuser(conn: psycopg.Connection) -> None:
    conn.execute("CREATE SCHEMA app CREATE TABLE t (id int)")
    row = conn.execute(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls "
        "FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    assert row == (False,)


@pytest.mark.parametrize(
    "extension",
    ["vector", "pg_trgm", "citext", "hstore", "btree_gin", "btree_gist", "ltree", "unaccent"],
)
def test_the_role_creates_the_extension(conn: psycopg.Connection, extension: str) -> None:
    conn.execute(f"CREATE EXTENSION {extension}")


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
        "CREATE ROLE other",
        "SET event_triggers = off",
        "SET session_replication_role = replica",
        "DELETE FROM replyx_trace.event",
        "DROP SCHEMA replyx_trace CASCADE",
        "DROP EVENT TRIGGER replyx_sql_drop",
        "ALTER FUNCTION replyx_trace.on_sql_drop() RENAME TO x",
        "ALTER SYSTEM SET fsync = on",
    ],
)
def test_the_role_is_refused(conn: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement)


def test_a_role_connects_only_to_its_own_shadow(server: ShadowServer) -> None:
    with server.shadow() as one, server.shadow() as two:
        for target in (two.name, "postgres", "template1"):
            url = one.url.replace(f"/{one.name}?", f"/{target}?")
            with pytest.raises(EnvironmentProblem, match="does not let the user"):
                connect(url)


def test_nobody_is_trusted_on_the_socket(server: ShadowServer) -> None:
    with pytest.raises(EnvironmentProblem, match="password"):
        connect(f"postgresql://postgres@/postgres?host={server.socket_dir}")
    with pytest.raises(EnvironmentProblem, match="password"):
        connect(f"postgresql://postgres:postgres@/postgres?host={server.socket_dir}")


def test_cyrillic_letters_are_letters(conn: psycopg.Connection) -> None:
    conn.execute("CREATE EXTENSION pg_trgm")
    row = conn.execute("SELECT lower('ПРИВЕТ'), similarity('Привет', 'привет')").fetchone()
    assert row == ("привет", 1.0)


def test_a_parallel_vector_index_is_built(conn: psycopg.Connection) -> None:
    conn.execute("CREATE EXTENSION vector")
    conn.execute("CREATE TABLE t (e vector(3)) WITH (parallel_workers = 2)")
    conn.execute("INSERT INTO t SELECT ARRAY[random(), i, 1] FROM generate_series(1, 2000) AS i")
    conn.execute("CREATE INDEX ON t USING hnsw (e vector_l2_ops)")


# ---- making and dropping -------------------------------------------------------------------------


def test_the_password_is_not_shown(shadow: ShadowDatabase) -> None:
    assert shadow.password not in repr(shadow)


def test_the_marker_names_the_lease(server: ShadowServer, shadow: ShadowDatabase) -> None:
    with server.admin() as conn:
        row = conn.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            [shadow.name],
        ).fetchone()
    assert row is not None
    marker = json.loads(row[0])
    assert (marker["made_by"], marker["owner"]) == ("replyx-db-agent", server.lease_id)


def test_drop_ends_connections_and_takes_the_role_along(server: ShadowServer) -> None:
    db = server.create()
    with connect(db.url) as conn:
        server.drop(db)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("SELECT 1")
    assert not databases(server, db.name)
    with server.admin() as conn:
        row = conn.execute("SELECT FROM pg_roles WHERE rolname = %s", [db.role]).fetchone()
    assert row is None


def test_a_shadow_whose_comment_the_project_changed_is_still_dropped(server: ShadowServer) -> None:
    db = server.create()
    with connect(db.url, read_only=False) as conn:
        conn.execute(f"COMMENT ON DATABASE {db.name} IS 'My shop'")
    server.drop(db)


def test_drop_refuses_what_is_not_a_shadow_of_this_server(
    server: ShadowServer, shadow: ShadowDatabase
) -> None:
    foreign = f"replyx_shadow_{secrets.token_hex(6)}"
    with server.admin() as conn:
        conn.execute(f"CREATE DATABASE {foreign}")
    try:
        for changes in (
            {"name": "postgres"},
            {"name": foreign},
            {"name": "replyx_shadow_ffffffffffff"},
            {"socket_dir": Path("/elsewhere")},
            {"port": 5433},
        ):
            with pytest.raises(InvalidInput):
                server.drop(dataclasses.replace(shadow, **changes))  # type: ignore[arg-type]
        assert databases(server, foreign)
        assert databases(server, shadow.name)
    finally:
        with server.admin() as conn:
            conn.execute(f"DROP DATABASE {foreign}")


def test_a_creation_that_fails_leaves_nothing(server: ShadowServer, shadow: ShadowDatabase) -> None:
    before = databases(server, "replyx_shadow_")
    with pytest.raises(InvalidInput, match="no longer"):
        server.create(dataclasses.replace(shadow, name="replyx_shadow_ffffffffffff"))
    assert databases(server, "replyx_shadow_") == before


@pytest.mark.slow  # PostgreSQL waits five seconds for the connection to end
def test_a_shadow_in_use_is_not_cloned(server: ShadowServer, shadow: ShadowDatabase) -> None:
    before = databases(server, "replyx_shadow_")
    with connect(shadow.url), pytest.raises(InvalidInput, match="connected to it"):
        server.create(shadow)
    assert databases(server, "replyx_shadow_") == before


def test_shadows_are_made_at_the_same_time(server: ShadowServer) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: server.create(), range(8)))
        assert len({db.name for db in made}) == 8
        list(pool.map(server.drop, made))


# ---- clones --------------------------------------------------------------------------------------

FILL = """
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE t (id serial PRIMARY KEY, m mood, name citext);
CREATE VIEW v AS SELECT id FROM t;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE SCHEMA app;
CREATE TABLE app.u (id int);
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON t TO CURRENT_USER USING (true);
INSERT INTO t (m, name) VALUES ('good', 'Anna');
GRANT SELECT ON t TO pg_monitor;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO pg_monitor WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
COMMENT ON TABLE t IS 'kept';
"""
ALTER = """
ALTER TABLE t ADD COLUMN x int;
ALTER TYPE mood ADD VALUE 'fine';
ALTER TABLE app.u RENAME TO w;
DROP VIEW v;
DROP FUNCTION f();
DROP POLICY p ON t;
DROP TABLE t;
DROP EXTENSION citext;
CREATE TABLE app.n (id int);
DROP SCHEMA app CASCADE;
"""


@pytest.fixture
def filled(server: ShadowServer) -> Iterator[ShadowDatabase]:
    with server.shadow() as db:
        with connect(db.url, read_only=False) as conn:
            conn.execute(FILL)  # type: ignore[call-overload]
        yield db


def test_the_role_of_a_clone_owns_everything_in_it(
    server: ShadowServer, filled: ShadowDatabase
) -> None:
    with server.shadow(filled) as clone:
        with connect(clone.url, read_only=False) as conn:
            assert conn.execute("SELECT m, name FROM t").fetchall() == [("good", "Anna")]
            conn.execute(ALTER)  # type: ignore[call-overload]
            dropped = [row[2] for row in events(conn, "sql_drop")]
        assert "public.t" in dropped
        with pytest.raises(EnvironmentProblem, match="does not let the user"):
            connect(filled.url.replace(f"/{filled.name}?", f"/{clone.name}?"))
    with connect(filled.url, read_only=False) as conn:
        conn.execute(ALTER)  # type: ignore[call-overload]


def test_a_clone_keeps_privileges_and_default_privileges_and_policies(
    server: ShadowServer, filled: ShadowDatabase
) -> None:
    query = (
        "SELECT (SELECT relacl::text FROM pg_class WHERE relname = 't'), "
        "(SELECT string_agg(defaclobjtype::text || defaclacl::text, ' ' ORDER BY defaclnamespace) "
        " FROM pg_default_acl), (SELECT polroles::regrole[]::text FROM pg_policy)"
    )
    with server.shadow(filled) as clone:
        found = []
        for db in (filled, clone):
            with connect(db.url) as conn:
                row = conn.execute(query).fetchone()
            found.append(str(row).replace(db.role, "me"))
    assert found[0] == found[1]
    assert "pg_monitor=r*/me" in found[0]


def test_the_source_of_a_clone_is_dropped_while_the_clone_lives(server: ShadowServer) -> None:
    source = server.create()
    with connect(source.url, read_only=False) as conn:
        conn.execute(FILL)  # type: ignore[call-overload]
    with server.shadow(source) as clone:
        server.drop(source)
        with server.admin() as conn:
            role = conn.execute("SELECT FROM pg_roles WHERE rolname = %s", [source.role]).fetchone()
        assert role is None
        with connect(clone.url, read_only=False) as conn:
            conn.execute(ALTER)  # type: ignore[call-overload]


# ---- the trace -----------------------------------------------------------------------------------


def test_the_trace_sees_a_rewrite_and_its_reason(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE t (id int)")
    conn.execute("ALTER TABLE t ALTER id TYPE bigint")
    row = conn.execute(
        "SELECT tag, schema_name, object_name, object_identity, reason, query "
        "FROM replyx_trace.event WHERE event = 'table_rewrite'"
    ).fetchall()
    statement = "ALTER TABLE t ALTER id TYPE bigint"
    assert row == [("ALTER TABLE", "public", "t", "public.t", 4, statement)]


def test_the_trace_sees_what_cascade_takes_even_inside_do(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE VIEW v AS SELECT id FROM t")
    conn.execute("DO $$ BEGIN EXECUTE 'DROP TABLE t CASCADE'; END $$")
    dropped = {(row[1], row[2], row[3]) for row in events(conn, "sql_drop")}
    assert {("table", "public.t", True), ("view", "public.v", False)} <= dropped
    assert "type" not in {kind for kind, _, _ in dropped}


def test_the_trace_names_a_dropped_type_and_skips_temporary_and_toast_things(
    conn: psycopg.Connection,
) -> None:
    conn.execute("CREATE TYPE mood AS ENUM ('good'); CREATE TABLE t (m mood, long text)")
    conn.execute("CREATE TEMP TABLE temporary (x text)")
    conn.execute("DROP TABLE t; DROP TYPE mood; DROP TABLE temporary")
    kinds = [(row[1], row[2]) for row in events(conn, "sql_drop")]
    assert kinds == [("table", "public.t"), ("type", "public.mood")]
    created = [row[2] for row in events(conn, "ddl_command_end")]
    assert created == ["public.mood", "public.t"]


def test_the_trace_goes_with_its_transaction(conn: psycopg.Connection) -> None:
    with conn.transaction(force_rollback=True):
        conn.execute("CREATE TABLE t ()")
        assert len(events(conn, "ddl_command_end")) == 1
    assert events(conn, "ddl_command_end") == []


def test_the_hosts_own_work_leaves_no_trace(
    server: ShadowServer, shadow: ShadowDatabase, conn: psycopg.Connection
) -> None:
    with server.admin(shadow.name) as admin:
        admin.execute("CREATE TABLE t (); DROP TABLE t")
    assert conn.execute("SELECT count(*) FROM replyx_trace.event").fetchone() == (0,)


# ---- templates and kept databases ----------------------------------------------------------------


def test_a_template_is_built_once_and_cloned_often(server: ShadowServer, unique: str) -> None:
    built = []

    def build(db: ShadowDatabase) -> None:
        built.append(db)
        with connect(db.url, read_only=False) as conn:
            conn.execute(FILL)  # type: ignore[call-overload]

    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: server.template(unique, build), range(3)))
    assert len(built) == 1
    assert len({db.name for db in made}) == 1
    for _ in range(2):
        with server.shadow(made[0]) as db, connect(db.url, read_only=False) as conn:
            conn.execute(ALTER)  # type: ignore[call-overload]
    with pytest.raises(EnvironmentProblem):
        connect(made[0].url)


def test_a_template_whose_building_failed_is_built_again(server: ShadowServer, unique: str) -> None:
    def fail(_: ShadowDatabase) -> None:
        raise ZeroDivisionError

    before = databases(server, "replyx_shadow_")
    with pytest.raises(ZeroDivisionError):
        server.template(unique, fail)
    assert databases(server, "replyx_shadow_") == before
    assert server.template(unique, lambda _: None).name.startswith("replyx_template_")


def test_a_builder_may_leave_a_connection_open(server: ShadowServer, unique: str) -> None:
    left = []
    db = server.template(unique, lambda db: left.append(connect(db.url)))
    left[0].close()
    with server.shadow(db):
        pass


def test_a_kept_database_is_the_same_at_the_next_call(server: ShadowServer, unique: str) -> None:
    db = server.kept(unique)
    try:
        with connect(db.url, read_only=False) as conn:
            conn.execute("CREATE TABLE t ()")
        again = server.kept(unique)
        assert again == db
        with connect(again.url) as conn:
            conn.execute("SELECT FROM t")
        with pytest.raises(InvalidInput):
            server.drop(db)
    finally:
        server.drop_kept(unique)
    assert not databases(server, f"replyx_kept_{unique}")
    with pytest.raises(InvalidInput, match="no kept database"):
        server.drop_kept(unique)


def test_a_kept_database_whose_password_was_lost_gets_a_new_one(
    server: ShadowServer, unique: str
) -> None:
    db = server.kept(unique)
    try:
        (server.kept_folder / f"{unique}.json").unlink()
        again = server.kept(unique)
        assert again.password != db.password
        connect(again.url).close()
    finally:
        server.drop_kept(unique)


@pytest.mark.parametrize("name", ["", "Shop", "a b", "x" * 31, "a;b", "a\n"])
def test_a_kept_name_is_checked(server: ShadowServer, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot name a kept database"):
        server.kept(name)


def test_the_server_says_what_it_is(server: ShadowServer) -> None:
    assert server.version_num // 10000 == 18
    assert server.pgvector_version == "0.8.6"
    with server.admin() as conn:
        shown = conn.execute(
            "SELECT current_setting('fsync'), current_setting('listen_addresses'), "
            "current_setting('wal_level'), current_setting('TimeZone')"
        ).fetchone()
        conn.execute("SELECT count(*) FROM pg_stat_statements")
    assert shown == ("off", "", "minimal", "UTC")
