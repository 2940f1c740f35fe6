"""The locks that the rules name are those that PostgreSQL takes."""

from __future__ import annotations

import pytest

from replyx_db_agent.engines import sql
from replyx_db_agent.engines.postgres import connect
from replyx_db_agent.engines.shadow import ShadowDatabase
from replyx_db_agent.rules._locks import lock_of

SETUP = """
CREATE TABLE p (id bigint PRIMARY KEY);
CREATE TABLE t (id bigint PRIMARY KEY, a int, b text CONSTRAINT b_given CHECK (b <> ''));
CREATE INDEX t_a_idx ON t (a);
ALTER TABLE t ADD CONSTRAINT later CHECK (a > 0) NOT VALID;
CREATE MATERIALIZED VIEW m AS SELECT 1 AS one;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TABLE parts (id int) PARTITION BY LIST (id);
CREATE TABLE part (id int);
"""
STATEMENTS = [
    "DROP TABLE t",
    "TRUNCATE t",
    "ALTER TABLE t RENAME TO u",
    "ALTER TABLE t RENAME COLUMN a TO c",
    "ALTER TABLE t ADD COLUMN c int",
    "ALTER TABLE t DROP COLUMN a",
    "ALTER TABLE t ALTER COLUMN a TYPE bigint",
    "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
    "ALTER TABLE t ALTER COLUMN a DROP NOT NULL",
    "ALTER TABLE t ALTER COLUMN a SET DEFAULT 1",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 1)",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 1) NOT VALID",
    "ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)",
    "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES p",
    "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES p NOT VALID",
    "ALTER TABLE t VALIDATE CONSTRAINT later",
    "ALTER TABLE t DROP CONSTRAINT b_given",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE t REPLICA IDENTITY FULL",
    "ALTER TABLE t SET (fillfactor = 90)",
    "ALTER TABLE t ALTER COLUMN a SET STATISTICS 100",
    "ALTER TABLE parts ATTACH PARTITION part FOR VALUES IN (1)",
    "CREATE INDEX ON t (b)",
    "DROP INDEX t_a_idx",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE RULE r AS ON INSERT TO t DO NOTHING",
    "CREATE POLICY y ON t",
    "CREATE TABLE child (id bigint PRIMARY KEY, p bigint REFERENCES p)",
    "COMMENT ON TABLE t IS 'x'",
    "LOCK TABLE t",
    "CLUSTER t USING t_a_idx",
    "REINDEX TABLE t",
    "REFRESH MATERIALIZED VIEW m",
    "INSERT INTO t VALUES (1)",
    "UPDATE t SET a = 1",
    "SELECT * FROM t",
]
STRONG = {
    "AccessExclusiveLock": "ACCESS EXCLUSIVE",
    "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE",
    "ShareLock": "SHARE",
}
ORDER = [None, "SHARE", "SHARE ROW EXCLUSIVE", "ACCESS EXCLUSIVE"]


@pytest.fixture(scope="module")
def database(server):
    with server.shadow() as db:
        with connect(db.url, read_only=False) as conn:
            conn.execute(SETUP)
        yield db


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_lock_is_the_one_postgresql_takes(statement: str, database: ShadowDatabase) -> None:
    with connect(database.url, read_only=False) as conn:
        conn.execute("BEGIN")
        conn.execute(
            "CREATE TEMP TABLE known ON COMMIT DROP AS SELECT oid FROM pg_class "
            "WHERE relkind IN ('r', 'p', 'm') AND relname IN ('t', 'p', 'm', 'parts')"
        )
        conn.execute(statement)
        rows = conn.execute(
            "SELECT mode FROM pg_locks JOIN known ON oid = relation WHERE pid = pg_backend_pid()"
        ).fetchall()
        conn.execute("ROLLBACK")
    taken = max((STRONG.get(mode) for (mode,) in rows), key=ORDER.index, default=None)
    (operation,) = sql.operations(statement)
    assert lock_of(operation) == taken
