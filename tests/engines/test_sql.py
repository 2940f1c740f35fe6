"""SQL text -> operations, as data."""

from __future__ import annotations

import subprocess
import sys

import pytest

from replyx_db_agent.core.model import (
    AddColumn,
    AddConstraint,
    AlterColumnType,
    AlterOther,
    ChangeRows,
    Comment,
    CreateIndex,
    CreateObject,
    CreateTable,
    DropColumn,
    DropConstraint,
    DropIndex,
    DropNotNull,
    DropObject,
    DropTable,
    HiddenStatement,
    InsertRows,
    Operation,
    Read,
    RenameColumn,
    RenameTable,
    SetDefault,
    SetNotNull,
    SetVariable,
    TransactionControl,
    Truncate,
    Unknown,
    ValidateConstraint,
)
from replyx_db_agent.engines.sql import (
    is_single_select,
    normalise,
    operations,
    split,
    tables_of,
)

CASES: list[tuple[str, list[Operation]]] = [
    # tables
    (
        "CREATE TABLE t (id int PRIMARY KEY, e vector(384))",
        [CreateTable("t", (("id", "integer"), ("e", "vector(384)")))],
    ),
    ("CREATE TABLE t (a text)", [CreateTable("t", (("a", "text"),), primary_key=False)]),
    (
        "CREATE TABLE s.t (a int REFERENCES u (id), PRIMARY KEY (a))",
        [CreateTable("s.t", (("a", "integer"),), references=("u",))],
    ),
    ("CREATE TABLE public.t (LIKE u INCLUDING ALL)", [CreateTable("t")]),
    ("CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)", [CreateTable("p1")]),
    ("CREATE TEMP TABLE t (a serial)", [CreateTable("t", (("a", "integer"),), False, True)]),
    ("CREATE TABLE t AS SELECT * FROM u", [CreateTable("t", primary_key=False)]),
    ("SELECT * INTO t FROM u", [CreateTable("t", primary_key=False)]),
    ("DROP TABLE a, s.b CASCADE", [DropTable("a", True), DropTable("s.b", True)]),
    ("DROP TABLE IF EXISTS public.a", [DropTable("a")]),
    ("TRUNCATE a, b CASCADE", [Truncate("a", True), Truncate("b", True)]),
    ("ALTER TABLE a RENAME TO b", [RenameTable("a", "b")]),
    ("ALTER TABLE a RENAME COLUMN x TO y", [RenameColumn("a", "x", "y")]),
    ("ALTER TABLE a RENAME CONSTRAINT x TO y", [AlterOther("RENAME CONSTRAINT", "a", "x")]),
    ('ALTER TABLE "Odd Name" DROP COLUMN "A"', [DropColumn("Odd Name", "A")]),
    # columns
    ("ALTER TABLE t ADD COLUMN a varchar(50)", [AddColumn("t", "a", "character varying(50)")]),
    (
        "ALTER TABLE t ADD a int NOT NULL DEFAULT 5, DROP b CASCADE",
        [AddColumn("t", "a", "integer", True, "5"), DropColumn("t", "b", True)],
    ),
    ("ALTER TABLE t ADD a float[]", [AddColumn("t", "a", "double precision[]")]),
    ("ALTER TABLE t ADD a timestamptz(3)", [AddColumn("t", "a", "timestamp(3) with time zone")]),
    ("ALTER TABLE t ADD a time", [AddColumn("t", "a", "time without time zone")]),
    ("ALTER TABLE t ADD a char(3)", [AddColumn("t", "a", "character(3)")]),
    ("ALTER TABLE t ADD a decimal(9)", [AddColumn("t", "a", "numeric(9,0)")]),
    ('ALTER TABLE t ADD a public."Mood"', [AddColumn("t", "a", '"Mood"')]),
    ("ALTER TABLE t ADD a s.mood", [AddColumn("t", "a", "s.mood")]),
    (
        "ALTER TABLE t ADD a int REFERENCES u CHECK (a > 0)",
        [AddColumn("t", "a", "integer", constraints=("references", "check"))],
    ),
    (
        "ALTER TABLE t ADD a int GENERATED ALWAYS AS (1) STORED",
        [AddColumn("t", "a", "integer", generated=True, generated_as="stored")],
    ),
    (
        "ALTER TABLE t ADD a int GENERATED ALWAYS AS IDENTITY",
        [AddColumn("t", "a", "integer", generated=True, generated_as="identity")],
    ),
    ("ALTER TABLE t ALTER a TYPE bigint", [AlterColumnType("t", "a", "bigint")]),
    (
        "ALTER TABLE t ALTER a TYPE int USING a::int",
        [AlterColumnType("t", "a", "integer", using=True, expression="a::int")],
    ),
    ("ALTER TABLE t ALTER a SET NOT NULL", [SetNotNull("t", "a")]),
    ("ALTER TABLE t ALTER a DROP NOT NULL", [DropNotNull("t", "a")]),
    ("ALTER TABLE t ALTER a SET DEFAULT now()", [SetDefault("t", "a", "now()")]),
    ("ALTER TABLE t ALTER a DROP DEFAULT", [SetDefault("t", "a")]),
    (
        "ALTER TABLE t ALTER a SET STATISTICS 500",
        [AlterOther("ALTER TABLE ... ALTER COLUMN ... SET STATISTICS", "t")],
    ),
    # constraints
    (
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES s.u NOT VALID",
        [AddConstraint("t", "foreign key", "f", True, False, "s.u", ("a",))],
    ),
    (
        "ALTER TABLE t ADD CHECK (a > 0)",
        [AddConstraint("t", "check", expression="a > 0")],
    ),
    (
        "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i",
        [AddConstraint("t", "unique", "u", using_index=True)],
    ),
    (
        "ALTER TABLE t ADD PRIMARY KEY (a, b)",
        [AddConstraint("t", "primary key", columns=("a", "b"))],
    ),
    (
        "ALTER TABLE t ADD CONSTRAINT n NOT NULL a NOT VALID",
        [AddConstraint("t", "not null", "n", True, columns=("a",))],
    ),
    (
        "ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING gist (a WITH =)",
        [AddConstraint("t", "exclude", "x")],
    ),
    ("ALTER TABLE t VALIDATE CONSTRAINT f", [ValidateConstraint("t", "f")]),
    ("ALTER TABLE t DROP CONSTRAINT IF EXISTS f", [DropConstraint("t", "f")]),
    # indexes
    (
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON s.t (a, lower(b))",
        [CreateIndex("s.t", "i", "btree", True, True, True, (("a", None), ("lower(b)", None)))],
    ),
    (
        "CREATE INDEX ON t USING hnsw (e vector_cosine_ops) WITH (m = 16)",
        [
            CreateIndex(
                "t",
                None,
                "hnsw",
                columns=(("e", "vector_cosine_ops"),),
                options=(("m", "16"),),
            )
        ],
    ),
    (
        "CREATE INDEX i ON ONLY t (a) WHERE a IS NULL",
        [CreateIndex("t", "i", columns=(("a", None),), only=True, where="a IS NULL")],
    ),
    ("DROP INDEX CONCURRENTLY IF EXISTS i", [DropIndex("i", True, True)]),
    ("DROP INDEX a, s.b CASCADE", [DropIndex("a", cascade=True), DropIndex("s.b", cascade=True)]),
    ("REINDEX TABLE t", [AlterOther("REINDEX TABLE", "t")]),
    ("REINDEX INDEX CONCURRENTLY i", [AlterOther("REINDEX INDEX CONCURRENTLY", None, "i")]),
    # other objects
    ("DROP VIEW v", [DropObject("view", "v")]),
    ("DROP MATERIALIZED VIEW v CASCADE", [DropObject("materialized view", "v", True)]),
    ("DROP FUNCTION f(int), s.g", [DropObject("function", "f"), DropObject("function", "s.g")]),
    ("DROP POLICY p ON s.t", [DropObject("policy", "p", table="s.t")]),
    ("DROP TRIGGER g ON t", [DropObject("trigger", "g", table="t")]),
    ("DROP SCHEMA a, b", [DropObject("schema", "a"), DropObject("schema", "b")]),
    ("DROP DATABASE d", [DropObject("database", "d")]),
    ("DROP TYPE public.mood", [DropObject("type", "mood")]),
    ("DROP OWNED BY joe CASCADE", [DropObject("owned", "joe", True)]),
    ("CREATE EXTENSION IF NOT EXISTS vector", [CreateObject("extension", "vector")]),
    ("CREATE TYPE mood AS ENUM ('a')", [CreateObject("type", "mood")]),
    (
        "CREATE SCHEMA s CREATE TABLE t (a int)",
        [CreateObject("schema", "s"), CreateTable("t", (("a", "integer"),), False)],
    ),
    ("CREATE VIEW v AS SELECT 1", [CreateObject("view", "v")]),
    ("CREATE OR REPLACE VIEW v AS SELECT 1", [AlterOther("CREATE OR REPLACE VIEW", None, "v")]),
    (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1; DROP TABLE t'",
        [CreateObject("function", "f")],
    ),
    ("CREATE MATERIALIZED VIEW v AS SELECT 1", [CreateObject("materialized view", "v")]),
    (
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        [AlterOther("CREATE TRIGGER", "t")],
    ),
    ("CREATE RULE r AS ON INSERT TO t DO NOTHING", [AlterOther("CREATE RULE", "t")]),
    ("CREATE POLICY p ON t", [AlterOther("CREATE POLICY", "t")]),
    (
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY, OWNER TO joe",
        [
            AlterOther("ALTER TABLE ... ENABLE ROW LEVEL SECURITY", "t"),
            AlterOther("ALTER TABLE ... OWNER TO", "t"),
        ],
    ),
    ("GRANT SELECT ON s.t TO joe", [AlterOther("GRANT", "s.t")]),
    ("REVOKE ALL ON SCHEMA s FROM joe", [AlterOther("REVOKE", None, "s")]),
    ("ALTER SCHEMA a RENAME TO b", [AlterOther("ALTER SCHEMA ... RENAME TO", None, "a")]),
    ("ALTER TYPE m ADD VALUE 'b'", [AlterOther("ALTER TYPE ... ADD VALUE", None, "m")]),
    (
        "ALTER TYPE m RENAME VALUE 'a' TO 'b'",
        [AlterOther("ALTER TYPE ... RENAME VALUE", None, "m")],
    ),
    ("ALTER SEQUENCE q RESTART WITH 5", [AlterOther("ALTER SEQUENCE ... RESTART", None, "q")]),
    ("ALTER TABLE t SET SCHEMA s", [AlterOther("ALTER TABLE ... SET SCHEMA", "t")]),
    (
        "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
        [AlterOther("ALTER TABLE ... DETACH PARTITION CONCURRENTLY", "t")],
    ),
    ("ALTER INDEX i RENAME TO j", [AlterOther("ALTER INDEX ... RENAME TO", None, "i")]),
    ("LOCK TABLE a, b", [AlterOther("LOCK TABLE", "a"), AlterOther("LOCK TABLE", "b")]),
    ("VACUUM FULL t", [AlterOther("VACUUM FULL", "t")]),
    ("REFRESH MATERIALIZED VIEW v", [AlterOther("REFRESH MATERIALIZED VIEW", "v")]),
    ("COMMENT ON COLUMN t.a IS 'x'", [Comment("t.a")]),
    ("COMMENT ON TABLE t IS %s", [Comment("t")]),
    # rows
    ("INSERT INTO t VALUES (1)", [InsertRows("t")]),
    ("INSERT INTO t SELECT * FROM s.u", [InsertRows("t", ("s.u",))]),
    ("COPY t FROM STDIN", [InsertRows("t")]),
    (
        "COPY t FROM PROGRAM 'id'",
        [Unknown("COPY FROM PROGRAM runs a command on the server")],
    ),
    ("COPY t TO STDOUT", [Read()]),
    ("UPDATE t SET a = 1", [ChangeRows("UPDATE", "t", True)]),
    ("UPDATE t SET a = 1 WHERE true", [ChangeRows("UPDATE", "t", True)]),
    ("UPDATE t SET a = 1 WHERE 1=1 AND id IS NOT NULL", [ChangeRows("UPDATE", "t", True)]),
    ("UPDATE t SET a = 1 WHERE a > 0 OR true", [ChangeRows("UPDATE", "t", True)]),
    ("UPDATE t SET a = 1 WHERE a IS NOT NULL", [ChangeRows("UPDATE", "t")]),
    ("UPDATE t SET a = 1 WHERE true AND a > 0", [ChangeRows("UPDATE", "t")]),
    ("UPDATE t SET a = u.a FROM u WHERE u.id = t.id", [ChangeRows("UPDATE", "t", False, ("u",))]),
    ("DELETE FROM t", [ChangeRows("DELETE", "t", True)]),
    (
        "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE",
        [ChangeRows("MERGE", "t", False, ("u",))],
    ),
    (
        "WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM gone",
        [ChangeRows("DELETE", "t", True), InsertRows("u", ("t",))],
    ),
    (
        "WITH gone AS (DELETE FROM t RETURNING *) SELECT count(*) FROM gone",
        [ChangeRows("DELETE", "t", True)],
    ),
    ("EXPLAIN ANALYZE DELETE FROM t", [ChangeRows("DELETE", "t", True)]),
    ("EXPLAIN DELETE FROM t", [Read()]),
    ("EXPLAIN (ANALYZE false) DELETE FROM t", [Read()]),
    # reading and calling
    ("SELECT 1", [Read()]),
    ("SELECT count(*), max(a) FROM t WHERE lower(b) = coalesce(%(b)s, '')", [Read()]),
    ("SELECT pg_catalog.version()", [Read()]),
    ("SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_attribute a", [Read()]),
    ("SHOW server_version", [Read()]),
    ("SELECT setval('s', 1)", [AlterOther("setval", None, "s")]),
    ("SELECT tidy(), tidy()", [HiddenStatement("function tidy")]),
    ("SELECT app.lower('a')", [HiddenStatement("function app.lower")]),
    ("SELECT * FROM tidy(1)", [HiddenStatement("function tidy")]),
    ("SELECT pg_terminate_backend(1)", [HiddenStatement("function pg_terminate_backend")]),
    (
        "UPDATE t SET a = evil(a) WHERE id = 1",
        [ChangeRows("UPDATE", "t"), HiddenStatement("function evil")],
    ),
    ("SELECT set_config('search_path', '', false)", [SetVariable("search_path", "")]),
    ("DO $$ BEGIN DELETE FROM t; END $$", [HiddenStatement("DO block")]),
    ("CALL s.p(1)", [HiddenStatement("procedure s.p")]),
    ("EXECUTE q", [HiddenStatement("EXECUTE q")]),
    # settings and transactions
    ("SET lock_timeout = '3s'", [SetVariable("lock_timeout", "3s")]),
    ("SET LOCAL lock_timeout TO 3000", [SetVariable("lock_timeout", "3000", True)]),
    ("RESET lock_timeout", [SetVariable("lock_timeout")]),
    ("BEGIN", [TransactionControl("BEGIN")]),
    ("START TRANSACTION", [TransactionControl("BEGIN")]),
    ("ROLLBACK TO SAVEPOINT s", [TransactionControl("ROLLBACK TO")]),
    # placeholders and several statements
    ("INSERT INTO t (a) VALUES (%(a)s, %(id_1)s::INTEGER)", [InsertRows("t")]),
    ("DELETE FROM t WHERE a %% 2 = %s", [ChangeRows("DELETE", "t")]),
    ("DELETE FROM t WHERE a LIKE '%s%(b)s%%' AND b = $1::VARCHAR", [ChangeRows("DELETE", "t")]),
    ("SET LOCAL lock_timeout = %s", [SetVariable("lock_timeout", "?", True)]),
    ("SELECT 1; ; DROP TABLE t;", [Read(), DropTable("t")]),
    ("-- nothing\n", []),
    ("", []),
]


@pytest.mark.parametrize(("sql", "expected"), CASES, ids=[sql[:70] for sql, _ in CASES])
def test_operations(sql: str, expected: list[Operation]) -> None:
    assert list(operations(sql)) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABEL t ADD a int",
        "SELECT '",
        "CREATE ACCESS METHOD m TYPE INDEX HANDLER h",
        "LOAD 'library'",
        "SELECT 1\0",
        "SELECT " + " || ".join(["a"] * 500),
        "%(a)s %s $1",
    ],
)
def test_what_cannot_be_read_is_unknown_and_says_why(sql: str) -> None:
    (unknown,) = operations(sql)
    assert isinstance(unknown, Unknown)
    assert unknown.reason


def test_one_unreadable_statement_does_not_hide_its_neighbours() -> None:
    first, second, third = operations("DROP TABLE a; ALTER TABEL b; DROP TABLE c")
    assert (first, third) == (DropTable("a"), DropTable("c"))
    assert isinstance(second, Unknown)


def test_split_keeps_semicolons_inside_quotes_and_bodies() -> None:
    script = "SELECT ';'; CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; DO $$;;$$;"
    assert split(script) == (
        "SELECT ';'",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END",
        "DO $$;;$$",
    )


def test_split_loses_nothing_that_the_parser_refuses() -> None:
    assert split("SELECT 1; SEL ECT -- ;\n ';'; SELECT $a$;$a$") == (
        "SELECT 1",
        "SEL ECT -- ;\n ';'",
        "SELECT $a$;$a$",
    )


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM t", True),
        ("WITH a AS (SELECT 1) SELECT * FROM a;", True),
        ("VALUES (1), (2)", True),
        ("TABLE t", True),
        ("SELECT * FROM t WHERE id = %(id)s", True),
        ("SELECT 1 UNION SELECT 2", True),
        ("SELECT 1; SELECT 2", False),
        ("SELECT * FROM t FOR UPDATE", False),
        ("SELECT * FROM (SELECT * FROM t FOR SHARE) x", False),
        ("SELECT * INTO u FROM t", False),
        ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", False),
        ("WITH x AS (INSERT INTO t VALUES (1) RETURNING *) TABLE x", False),
        ("EXPLAIN SELECT 1", False),
        ("DELETE FROM t", False),
        ("SHOW all", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_is_single_select(sql: str, expected: bool) -> None:
    assert is_single_select(sql) is expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("  SELECT\n\t1  ; ", "SELECT 1"),
        ("SELECT 'a  b' -- why\n , 2 /* so */", "SELECT 'a  b' , 2"),
        ('SELECT "a  b", $$ x  y $$', 'SELECT "a  b", $$ x  y $$'),
        ("SELECT E'a\\'  b',  1", "SELECT E'a\\'  b', 1"),
    ],
)
def test_normalise_folds_white_space_and_keeps_quotes(sql: str, expected: str) -> None:
    assert normalise(sql) == expected
    assert normalise(normalise(sql)) == expected


def test_tables_of_names_tables_and_not_with_queries() -> None:
    query = "WITH c AS (SELECT * FROM a.b) SELECT * FROM c JOIN public.d ON x IN (SELECT 1 FROM e)"
    assert tables_of(query) == ("a.b", "d", "e")
    assert tables_of("nonsense") == ()


def test_the_parser_is_imported_only_when_needed() -> None:
    code = (
        "import sys, replyx_db_agent.engines.sql as s; assert 'postgast' not in sys.modules;"
        "s.operations('SELECT 1'); assert 'postgast' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
