"""Fitting rows on a real PostgreSQL, and what digests of rows tell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import replyx_db_agent
from replyx_db_agent.engines.catalog import snapshot
from replyx_db_agent.engines.postgres import connect
from replyx_db_agent.engines.rows import Digests, FillReport, compare, digest, fill
from replyx_db_agent.engines.shadow import ShadowDatabase

SAMPLE = Path(replyx_db_agent.__file__).parent / "sample"


@pytest.fixture
def conn(shadow: ShadowDatabase) -> Iterator[psycopg.Connection]:
    with connect(shadow.url, read_only=False, statement_timeout=120) as connection:
        yield connection


def fill_of(conn: psycopg.Connection, **options: Any) -> FillReport:
    return fill(lambda sql: rows_of(conn, sql), lambda sql: run(conn, sql), **options)


def digest_of(conn: psycopg.Connection) -> Digests:
    query = lambda sql: rows_of(conn, sql)  # noqa: E731
    return digest(query, snapshot(query))


def rows_of(conn: psycopg.Connection, sql: str) -> list[list[Any]]:
    return [list(row) for row in conn.execute(sql).fetchall()]


def run(conn: psycopg.Connection, sql: str) -> None:
    # With parameters, even none, psycopg reads placeholders: so does SQLAlchemy's exec_driver_sql.
    conn.execute(sql, ())


TYPES = [
    "smallint", "integer", "bigint", "numeric", "numeric(5,2)", "numeric(2,4)", "real",
    "double precision", "money", "text", "varchar(5)", "varchar(40)", "char(3)", "citext", "name",
    '"char"', "boolean", "date", "timestamp(0)", "timestamptz", "time", "timetz", "interval",
    "uuid", "json", "jsonb", "jsonpath", "bytea", "inet", "cidr", "macaddr", "macaddr8", "bit(4)",
    "varbit(5)", "tsvector", "tsquery", "hstore", "ltree", "point", "box", "circle", "path",
    "polygon", "lseg", "pg_lsn", "oid", "vector(3)", "vector", "halfvec(4)", "sparsevec(9)",
    "int4range", "numrange", "daterange", "tstzrange", "int8multirange", "text[]", "integer[]",
    "mood", "mood[]", "pos", "email", "span", "numeric(3,0)[]",
]  # fmt: skip
SETUP = (
    "CREATE EXTENSION vector; CREATE EXTENSION citext; CREATE EXTENSION hstore;"
    "CREATE EXTENSION ltree; CREATE EXTENSION btree_gist;"
    "CREATE TYPE mood AS ENUM ('sad', 'it''s', '100%');"
    "CREATE TYPE span AS RANGE (subtype = float8);"
    "CREATE DOMAIN pos AS integer NOT NULL CHECK (VALUE > 5);"
    "CREATE DOMAIN email AS text CHECK (VALUE ~ '^[a-z0-9._]+@[a-z]+\\.[a-z]{2,4}$');"
)


def test_every_type_gets_values_and_nulls_only_where_they_may_be(conn: psycopg.Connection) -> None:
    conn.execute(SETUP)
    for number, type_name in enumerate(TYPES):
        conn.execute(f"CREATE TABLE t{number} (a {type_name} NOT NULL, b {type_name})")
    report = fill_of(conn)
    assert report == FillReport({f"t{n}": 20 for n in range(len(TYPES))}, {})
    unlike = [
        type_name
        for number, type_name in enumerate(TYPES)
        if rows_of(conn, f"SELECT count(DISTINCT a::text) < 2 FROM t{number}")[0][0]
    ]
    assert unlike == []
    with_nulls = sum(
        rows_of(conn, f"SELECT count(*) > count(b) FROM t{n}")[0][0] for n in range(len(TYPES))
    )
    assert with_nulls > len(TYPES) * 0.9


def test_texts_have_the_awkward_values_among_them(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE t (a text NOT NULL, b varchar(50) NOT NULL)")
    fill_of(conn)
    for column in "ab":
        found = {row[0] for row in rows_of(conn, f"SELECT {column} FROM t")}
        assert "" in found
        assert any("🎈" in text for text in found)
        assert any(text.isascii() and text for text in found)
    assert rows_of(conn, "SELECT max(length(b)) FROM t") == [[50]]


KEYS = [
    ("CREATE TABLE t (id integer PRIMARY KEY)", 20),
    ("CREATE TABLE t (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), at timestamptz UNIQUE)", 20),
    ("CREATE TABLE t (code varchar(3) PRIMARY KEY, name text UNIQUE, d date UNIQUE)", 20),
    ("CREATE TABLE t (a boolean, b mood, PRIMARY KEY (a, b))", 6),
    ("CREATE TABLE t (a boolean, b smallint, c mood, UNIQUE (a, b), UNIQUE (c, b))", 20),
    ("CREATE TABLE t (e text NOT NULL); CREATE UNIQUE INDEX ON t (lower(e))", 20),
    ("CREATE TABLE t (a mood UNIQUE NULLS NOT DISTINCT)", 3),
    ("CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x int)", 20),
    ("CREATE TABLE t (id serial PRIMARY KEY)", 20),
    ("CREATE TABLE t ()", 20),
    ("CREATE TABLE t (n int, twice int GENERATED ALWAYS AS (n * 2) STORED)", 20),
    ("CREATE TABLE t (during tstzrange, EXCLUDE USING gist (during WITH &&))", 20),
    ("CREATE TABLE t (id int, up int NOT NULL REFERENCES t, PRIMARY KEY (id))", 20),
    ("CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t)", 20),
    ('CREATE TABLE t ("A ""b%" int, "_row" int, "tried" text)', 20),
]


@pytest.mark.parametrize(("ddl", "count"), KEYS, ids=[k[0][15:] for k in KEYS])
def test_keys_and_own_values_are_honoured(conn: psycopg.Connection, ddl: str, count: int) -> None:
    conn.execute(SETUP + ddl)
    assert fill_of(conn) == FillReport({"t": count}, {})


CHECKS = [
    "n int NOT NULL CHECK (n > 1000000)",
    "n int NOT NULL CHECK (n BETWEEN 17 AND 19)",
    "n int CHECK (n IN (10, 20, 30)) NOT NULL",
    "n numeric(3,2) NOT NULL CHECK (n > 0 AND n <= 1)",
    "s text NOT NULL CHECK (s IN ('new', 'it''s', '100%'))",
    "s varchar(20) NOT NULL CHECK (s = ANY (ARRAY['a', 'b']))",
    "s text NOT NULL CHECK (length(s) = 64)",
    "s text NOT NULL UNIQUE CHECK (char_length(s) BETWEEN 10 AND 12)",
    "s text NOT NULL CHECK (s <> '' AND s = lower(s))",
    "s text NOT NULL UNIQUE CHECK (s ~ '^[a-z][a-z0-9-]{2,30}$')",
    "s text NOT NULL UNIQUE CHECK (s ~ '^\\+7\\d{10}$')",
    "s text NOT NULL CHECK (s ~ '^(sk|pk)_[A-Z]{4}[[:digit:]]+$')",
    "s text NOT NULL CHECK (s ~* '^[^@ ]+@[^@ ]+\\.\\w+$')",
    "s text NOT NULL UNIQUE CHECK (s LIKE 'https://%')",
    "s text NOT NULL CHECK (s LIKE 'a\\%b_%')",
    "d date NOT NULL CHECK (d >= '2030-01-01')",
    "j jsonb NOT NULL CHECK (jsonb_typeof(j) = 'array')",
    "j jsonb NOT NULL CHECK (j ? 'kind')",
    "a text[] NOT NULL CHECK (cardinality(a) > 0)",
    "a timestamptz NOT NULL, b timestamptz NOT NULL, CHECK (a < b)",
    "a int NOT NULL, b int NOT NULL, c int NOT NULL, CHECK (a < b), CHECK (b < c)",
    "a int, b int, c text, CHECK (num_nonnulls(a, b, c) = 1)",
    "m mood NOT NULL, at date, CHECK ((m = 'sad') = (at IS NOT NULL))",
    "p pos, e email NOT NULL, UNIQUE (p), UNIQUE (e)",
]


@pytest.mark.parametrize("columns", CHECKS)
def test_simple_checks_are_satisfied(conn: psycopg.Connection, columns: str) -> None:
    conn.execute(f"{SETUP} CREATE TABLE t ({columns})")
    assert fill_of(conn) == FillReport({"t": 20}, {})


REFERENCES = [
    "CREATE TABLE c (id int, p int NOT NULL REFERENCES p)",
    "CREATE TABLE c (id int, p int UNIQUE NOT NULL REFERENCES p)",
    "CREATE TABLE c (p int REFERENCES p, q int REFERENCES p, PRIMARY KEY (p, q))",
    "CREATE TABLE c (p int PRIMARY KEY REFERENCES p, m mood)",
    "CREATE TABLE c (a int NOT NULL, b text NOT NULL, FOREIGN KEY (a, b) REFERENCES q (a, b))",
    "CREATE TABLE c (a int NOT NULL REFERENCES p, b text, FOREIGN KEY (a, b) REFERENCES q (a, b))",
    "CREATE TABLE c (a int NOT NULL, b text NOT NULL, d text NOT NULL,"
    " FOREIGN KEY (a, b) REFERENCES q (a, b), FOREIGN KEY (a, d) REFERENCES q (a, b))",
    "CREATE TABLE c (id serial PRIMARY KEY REFERENCES p)",
    "CREATE TABLE c (id int PRIMARY KEY, d int);"
    "CREATE TABLE d (id int PRIMARY KEY, c int NOT NULL REFERENCES c);"
    "ALTER TABLE c ADD FOREIGN KEY (d) REFERENCES d",
]


@pytest.mark.parametrize("rows", [20, 500])
@pytest.mark.parametrize("ddl", REFERENCES)
def test_foreign_keys_name_parents_that_exist(
    conn: psycopg.Connection, ddl: str, rows: int
) -> None:
    conn.execute(SETUP)
    conn.execute("CREATE TABLE p (id int PRIMARY KEY)")
    conn.execute("CREATE TABLE q (a int REFERENCES p, b text NOT NULL, UNIQUE (a, b))")
    conn.execute(ddl)
    report = fill_of(conn, rows=rows)
    assert (report.skipped, report.filled["c"]) == ({}, rows)


def test_many_rows_choose_few_parents_often(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p)")
    fill_of(conn, rows=2000)
    top = rows_of(conn, "SELECT count(*) FROM c WHERE p <= 20")[0][0]
    assert top > 2000 * 20 / 2000 * 5


PARTITIONED = [
    "CREATE TABLE t (id bigserial, at timestamptz, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);"
    "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');"
    "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
    "CREATE TABLE t (id int, r text, PRIMARY KEY (id, r)) PARTITION BY LIST (r);"
    "CREATE TABLE t1 PARTITION OF t FOR VALUES IN ('ru', 'it''s');"
    "CREATE TABLE t2 PARTITION OF t FOR VALUES IN ('kz')",
    "CREATE TABLE t (id int PRIMARY KEY) PARTITION BY HASH (id);"
    "CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
    "CREATE TABLE t2 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
]


@pytest.mark.parametrize("ddl", PARTITIONED)
def test_rows_of_a_partitioned_table_reach_every_partition(
    conn: psycopg.Connection, ddl: str
) -> None:
    conn.execute(ddl)
    assert fill_of(conn).filled == {"t": 20}
    assert rows_of(conn, "SELECT count(*) > 0 FROM t1 UNION ALL SELECT count(*) > 0 FROM t2") == [
        [True],
        [True],
    ]


SKIPPED = [
    (
        "CREATE TABLE t (v int NOT NULL CONSTRAINT never CHECK (v > 5 AND v < 3))",
        {"t": 'new row for relation "t" violates check constraint "never"'},
    ),
    (
        "CREATE TABLE t (c regclass NOT NULL)",
        {"t": "column c has type regclass, of which no values are known"},
    ),
    (
        "CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL);"
        "CREATE TABLE u (id int PRIMARY KEY, t int NOT NULL REFERENCES t);"
        "ALTER TABLE t ADD FOREIGN KEY (u) REFERENCES u",
        {"t": '"u", which u must name, is empty', "u": '"t", which t must name, is empty'},
    ),
    (
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RAISE EXCEPTION ''not today''; END';"
        "CREATE TABLE t (id int); CREATE TRIGGER no BEFORE INSERT ON t"
        " FOR EACH ROW EXECUTE FUNCTION no()",
        {"t": "not today"},
    ),
]


@pytest.mark.parametrize(("ddl", "skipped"), SKIPPED)
@pytest.mark.parametrize("autocommit", [True, False])
def test_a_table_that_gets_no_rows_is_named_with_the_reason_and_harms_no_other(
    conn: psycopg.Connection, ddl: str, skipped: dict[str, str], autocommit: bool
) -> None:
    conn.execute(f"{ddl}; CREATE TABLE z (id int)")
    conn.autocommit = autocommit
    assert fill_of(conn) == FillReport({"z": 20}, skipped)
    assert rows_of(conn, "SELECT count(*) FROM z") == [[20]]


def test_only_empty_tables_are_filled_and_the_version_table_never(
    conn: psycopg.Connection,
) -> None:
    conn.execute("CREATE TABLE alembic_version (version_num text); CREATE TABLE p (id int);")
    conn.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    assert fill_of(conn).filled == {"p": 20}
    assert fill_of(conn).filled == {}


def test_named_tables_come_with_the_empty_parents_they_need(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE other (id int)")
    conn.execute("CREATE TABLE c (p int NOT NULL REFERENCES p)")
    assert set(fill_of(conn, tables=["c"]).filled) == {"p", "c"}


def test_tables_outside_the_snapshot_are_left_alone(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE a (id int)")
    before = snapshot(lambda sql: rows_of(conn, sql))
    conn.execute("CREATE TABLE b (id int)")
    assert set(fill_of(conn, snapshot=before).filled) == {"a"}


def test_the_same_seed_gives_the_same_rows(conn: psycopg.Connection) -> None:
    conn.execute(SETUP + "CREATE TABLE p (id serial PRIMARY KEY, u uuid DEFAULT gen_random_uuid())")
    conn.execute("CREATE TABLE c (id serial, p int REFERENCES p, t text, at timestamptz, v vector)")
    digests = []
    for seed in (1, 1, 2):
        conn.execute("TRUNCATE p, c RESTART IDENTITY")
        fill_of(conn, seed=seed)
        digests.append(digest_of(conn))
    assert digests[0] == digests[1]
    assert digests[0]["c"].rows != digests[2]["c"].rows


LOSSES = [
    ("SELECT 1", ()),
    ("DELETE FROM t", ('table "t": 20 rows before, 0 after',)),
    ("DROP TABLE t", ('table "t": 20 rows before, 0 after',)),
    ("UPDATE t SET a = NULL", ('column "t.a": the content of 20 rows is lost',)),
    ("UPDATE t SET a = NULL WHERE id = 1", ('column "t.a": the content of 1 row is lost',)),
    (
        "ALTER TABLE t DROP a; ALTER TABLE t ADD a text",
        ('column "t.a": the content of 20 rows is lost',),
    ),
    ("UPDATE t SET a = upper(a) || '!'", ('column "t.a": the content differs',)),
    ("UPDATE t SET z = 1", ('column "t.z": 20 rows got content',)),
    ("ALTER TABLE t ALTER id TYPE bigint", ()),
    (
        "UPDATE t SET a = o.a FROM t AS o WHERE o.id = 21 - t.id",
        ('table "t": the values of its columns are combined into other rows',),
    ),
    ("CREATE TABLE s AS TABLE t; TRUNCATE t; INSERT INTO t SELECT * FROM s ORDER BY id DESC", ()),
]


@pytest.mark.parametrize(("statement", "said"), LOSSES, ids=[loss[0] for loss in LOSSES])
def test_lost_content_is_named(
    conn: psycopg.Connection, statement: str, said: tuple[str, ...]
) -> None:
    conn.execute("CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL UNIQUE, z int CHECK (z = 0))")
    fill_of(conn)
    conn.execute("ALTER TABLE t ALTER a DROP NOT NULL, DROP CONSTRAINT t_a_key")
    conn.execute("ALTER TABLE t DROP CONSTRAINT t_z_check; UPDATE t SET z = NULL")
    before = digest_of(conn)
    conn.execute(statement)
    assert compare(before, digest_of(conn)) == said


def test_what_only_one_side_has_does_not_count_when_shared(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL); CREATE TABLE u (id int)")
    fill_of(conn)
    before = digest_of(conn)
    conn.execute("ALTER TABLE t DROP a; DROP TABLE u")
    assert compare(before, digest_of(conn), shared=True) == ()
    assert len(compare(before, digest_of(conn))) == 2


@pytest.fixture
def sample(shadow: ShadowDatabase, tmp_path: Path) -> None:
    project = shutil.copytree(SAMPLE, tmp_path / "sample")
    url = shadow.url.replace("+psycopg", "")
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=project,
        env={**os.environ, "DATABASE_URL": url},
        check=True,
        capture_output=True,
    )


@pytest.mark.usefixtures("sample")
def test_every_table_of_the_sample_gets_rows(conn: psycopg.Connection) -> None:
    report = fill_of(conn)
    assert report.skipped == {}
    assert set(report.filled.values()) == {20}
    assert {"users", "dialogs", "document_chunks"} <= set(report.filled)


def test_twenty_thousand_rows_a_table_are_quick(conn: psycopg.Connection) -> None:
    conn.execute(SETUP + "CREATE TABLE p (id serial PRIMARY KEY, slug varchar(40) UNIQUE NOT NULL)")
    conn.execute(
        "CREATE TABLE c (id bigserial PRIMARY KEY, p int NOT NULL REFERENCES p, t text, j jsonb,"
        " kind text CHECK (kind IN ('a', 'b')), at timestamptz, v vector(384))"
    )
    started = time.monotonic()
    assert fill_of(conn, rows=20_000).filled == {"p": 20_000, "c": 20_000}
    assert time.monotonic() - started < 15
