"""What judge() says of whole scripts: honest ones get notes, dangerous ones exactly theirs."""

from __future__ import annotations

import pytest

from replyx_db_agent.core.model import AddConstraint, Facts, Hazard, HazardKind, Risk, Statement
from replyx_db_agent.engines import sql
from replyx_db_agent.rules import DESTRUCTIVE, RULES, facts_for_downgrade, judge
from replyx_db_agent.rules._types import effect
from tests.rules.scripts import read_script

HONEST = {
    "a table with a primary key and its indexes": """
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE INDEX users_lower_email_idx ON users (lower(email));
""",
    "a table that refers to another": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
SET LOCAL lock_timeout = '3s';
CREATE TABLE notes (id bigint PRIMARY KEY, author bigint NOT NULL REFERENCES users (id));
""",
    "a table as SQLAlchemy writes it": """
CREATE TABLE users (
    id SERIAL NOT NULL,
    email VARCHAR(320) NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT uq_users_email UNIQUE (email)
);
CREATE INDEX ix_users_created_at ON users (created_at);
""",
    "a nullable column": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ADD COLUMN nickname text;
""",
    "a nullable column without a timeout gets a note": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN nickname text;
""",
    "a required column with a constant default": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ADD COLUMN active boolean DEFAULT true NOT NULL;
""",
    "a virtual generated column": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name text);
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ADD COLUMN small text GENERATED ALWAYS AS (lower(name)) VIRTUAL;
""",
    "an index, concurrently": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, team bigint);
-- autocommit
SET lock_timeout = '3s';
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_team_idx ON users (team);
RESET lock_timeout;
""",
    "an index dropped concurrently": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, team bigint);
-- before: CREATE INDEX users_team_idx ON users (team);
-- autocommit
DROP INDEX CONCURRENTLY IF EXISTS users_team_idx;
""",
    "a vector index, concurrently, with its parameters": """
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(384));
-- autocommit
SET maintenance_work_mem = '1GB';
CREATE INDEX CONCURRENTLY documents_embedding_idx ON documents
    USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
RESET maintenance_work_mem;
""",
    "an IVFFlat index on rows that are there": """
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding halfvec(3072));
-- autocommit
CREATE INDEX CONCURRENTLY documents_embedding_idx ON documents
    USING ivfflat (embedding halfvec_l2_ops) WITH (lists = 100);
""",
    "a foreign key in two steps": """
-- before: CREATE TABLE teams (id bigint PRIMARY KEY);
-- before: CREATE TABLE users (id bigint PRIMARY KEY, team bigint);
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ADD CONSTRAINT users_team_fkey FOREIGN KEY (team) REFERENCES teams NOT VALID;
-- next revision
ALTER TABLE users VALIDATE CONSTRAINT users_team_fkey;
""",
    "a check in two steps": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, age int);
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ADD CONSTRAINT grown_up CHECK (age > 17) NOT VALID;
-- next revision
SET LOCAL lock_timeout = '3s';
ALTER TABLE users VALIDATE CONSTRAINT grown_up;
""",
    "NOT NULL the slow and safe way": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, team bigint);
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ADD CONSTRAINT team_given CHECK (team IS NOT NULL) NOT VALID;
-- next revision
SET LOCAL lock_timeout = '3s';
ALTER TABLE users VALIDATE CONSTRAINT team_given;
ALTER TABLE users ALTER COLUMN team SET NOT NULL;
ALTER TABLE users DROP CONSTRAINT team_given;
""",
    "NOT NULL in the words of PostgreSQL 18": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, team bigint);
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ADD CONSTRAINT team_given NOT NULL team NOT VALID;
-- next revision
SET LOCAL lock_timeout = '3s';
ALTER TABLE users VALIDATE CONSTRAINT team_given;
""",
    "a unique constraint on an index that is ready": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, email text);
-- autocommit
CREATE UNIQUE INDEX CONCURRENTLY users_email_key ON users (email);
-- next revision
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_key;
""",
    "a comment": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
COMMENT ON TABLE users IS 'People; DROP TABLE users';
""",
    "rows of reference": """
-- before: CREATE TABLE plans (name text PRIMARY KEY);
INSERT INTO plans (name) VALUES ('free'), ('paid') ON CONFLICT DO NOTHING;
""",
    "a table of reference with its rows": """
CREATE TABLE plans (name text PRIMARY KEY);
INSERT INTO plans (name) VALUES (%(name)s);
""",
    "a batch of a backfill": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, plan text);
UPDATE users SET plan = %(plan)s::VARCHAR WHERE id > %(last)s AND id <= %(next)s AND plan IS NULL;
""",
    "an enum value": """
-- before: CREATE TYPE status AS ENUM ('new');
ALTER TYPE status ADD VALUE IF NOT EXISTS 'done';
""",
    "an enum and a column of it": """
-- before: CREATE TABLE tasks (id bigint PRIMARY KEY);
CREATE TYPE status AS ENUM ('new', 'done');
SET LOCAL lock_timeout = '3s';
ALTER TABLE tasks ADD COLUMN status status DEFAULT 'new' NOT NULL;
""",
    "the way back of a table, as autogenerate writes it": """
-- upgrade: CREATE TABLE users (id bigint PRIMARY KEY, email text);
-- upgrade: CREATE INDEX ix_users_email ON users (email);
-- upgrade: CREATE TYPE status AS ENUM ('new', 'done');
-- downgrade
DROP INDEX ix_users_email;
DROP TABLE users;
DROP TYPE status;
""",
    "the way back of a column": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
-- upgrade: ALTER TABLE users ADD COLUMN nickname text;
-- downgrade
SET LOCAL lock_timeout = '3s';
ALTER TABLE users DROP COLUMN nickname;
""",
    "the way back of a concurrent index": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, team bigint);
-- upgrade: CREATE INDEX CONCURRENTLY users_team_idx ON users (team);
-- downgrade
-- autocommit
DROP INDEX CONCURRENTLY IF EXISTS users_team_idx;
""",
    "the way back of a foreign key": """
-- before: CREATE TABLE teams (id bigint PRIMARY KEY);
-- before: CREATE TABLE users (id bigint PRIMARY KEY, team bigint);
-- upgrade: ALTER TABLE users ADD CONSTRAINT fk FOREIGN KEY (team) REFERENCES teams NOT VALID;
-- downgrade
SET LOCAL lock_timeout = '3s';
ALTER TABLE users DROP CONSTRAINT fk;
""",
    "a longer varchar and a wider numeric": """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name varchar(50), due numeric(10,2));
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ALTER COLUMN name TYPE VARCHAR(200), ALTER COLUMN due TYPE numeric(14, 2);
""",
    "Alembic's own bookkeeping": """
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
SET LOCAL lock_timeout = '3s';
CREATE TABLE users (id bigint PRIMARY KEY);
INSERT INTO alembic_version (version_num) VALUES ('a1') RETURNING alembic_version.version_num;
UPDATE alembic_version SET version_num='b2' WHERE alembic_version.version_num = 'a1';
""",
    "questions to the catalogue": """
SELECT pg_catalog.version();
SELECT current_schema();
SELECT to_regclass('public.users') IS NOT NULL;
SHOW server_version;
""",
    "the first extension": """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(384) NOT NULL);
CREATE INDEX documents_embedding_idx ON documents
    USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
""",
}


@pytest.mark.parametrize("script", HONEST.values(), ids=HONEST.keys())
def test_honest_scripts_raise_notes_at_most(script: str) -> None:
    assert [h for h in judged(script) if h.risk is not Risk.NOTE] == []


DANGEROUS = {
    "only the more specific rule speaks": (
        """
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(3));
CREATE INDEX i ON documents USING hnsw (embedding vector_l2_ops) WITH (m=16, ef_construction=64);
""",
        {"vector-index-without-concurrently", "missing-lock-timeout"},
    ),
    "a narrowing says nothing more of the rewrite": (
        """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name varchar(200));
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ALTER COLUMN name TYPE varchar(20);
""",
        {"column-type-narrowed"},
    ),
    "a change from an unknown type may rewrite": (
        "SET LOCAL lock_timeout = '3s'; ALTER TABLE users ALTER COLUMN name TYPE varchar(20);",
        {"column-type-rewritten"},
    ),
    "a downgrade that drops more than its upgrade added": (
        """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, nickname text);
-- upgrade: ALTER TABLE users ADD COLUMN plan text;
-- downgrade
SET LOCAL lock_timeout = '3s';
ALTER TABLE users DROP COLUMN plan, DROP COLUMN nickname;
""",
        {"column-dropped"},
    ),
    "a downgrade that narrows back can lose what came since": (
        """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name varchar(50));
-- upgrade: ALTER TABLE users ALTER COLUMN name TYPE text;
-- downgrade
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ALTER COLUMN name TYPE varchar(50);
""",
        {"column-type-narrowed"},
    ),
    "a timeout of one revision does not reach the next": (
        """
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ADD COLUMN a text;
-- next revision
ALTER TABLE users ADD COLUMN b text;
""",
        {"missing-lock-timeout"},
    ),
    "a delete hidden in WITH": (
        "WITH gone AS (DELETE FROM users RETURNING *) INSERT INTO old_users SELECT * FROM gone;",
        {"whole-table-update-or-delete"},
    ),
    "IF NOT EXISTS makes nothing new of what is there": (
        """
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
-- upgrade: CREATE TABLE IF NOT EXISTS users (id bigint PRIMARY KEY);
-- downgrade
SET LOCAL lock_timeout = '3s';
DROP TABLE users;
""",
        {"table-dropped"},
    ),
    "a table made again under its name": (
        """
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
SET LOCAL lock_timeout = '3s';
DROP TABLE users;
CREATE TABLE users (id bigint PRIMARY KEY, name text);
CREATE INDEX users_name_idx ON users (name);
""",
        {"table-dropped"},
    ),
    "a drop among other things": (
        """
-- before: CREATE TABLE users (id bigint PRIMARY KEY, a text);
SET LOCAL lock_timeout = '3s';
ALTER TABLE users ADD COLUMN b text, DROP COLUMN a CASCADE;
""",
        {"column-dropped", "cascade-drop"},
    ),
    "the type that the index needs, changed in the same run": (
        """
-- before: CREATE TABLE documents (id bigint PRIMARY KEY, embedding vector(3));
CREATE TABLE pages (id bigint PRIMARY KEY, e real[]);
CREATE INDEX pages_e ON pages USING hnsw (e vector_l2_ops) WITH (m = 16, ef_construction = 64);
""",
        {"vector-index-on-wrong-type"},
    ),
}


@pytest.mark.parametrize(("script", "expected"), DANGEROUS.values(), ids=DANGEROUS.keys())
def test_dangerous_scripts_raise_exactly_their_hazards(script: str, expected: set[str]) -> None:
    assert {hazard.rule for hazard in judged(script)} == expected


def judged(script: str) -> tuple[Hazard, ...]:
    read = read_script(script)
    return judge(read.statements, read.facts)


def test_destructive_rules_are_those_that_lose_data_or_break_code() -> None:
    wanted = {
        "table-dropped",
        "column-dropped",
        "truncate",
        "column-type-narrowed",
        "whole-table-update-or-delete",
        "column-renamed",
        "table-renamed",
        "schema-dropped",
        "schema-renamed",
        "database-dropped",
        "view-or-function-dropped",
        "type-domain-or-sequence-dropped",
        "enum-value-renamed",
        "cascade-drop",
        "vector-dimension-changed",
    }
    assert wanted <= DESTRUCTIVE
    assert (
        not {"not-null-dropped", "default-dropped-or-changed", "missing-lock-timeout"} & DESTRUCTIVE
    )


def test_a_hazard_says_where_and_what_instead() -> None:
    text = "DROP TABLE users"
    statement = Statement(text, sql.operations(text), "versions/1.py", 12)
    (hazard,) = (h for h in judge([statement], Facts()) if h.rule == "table-dropped")
    assert (hazard.file, hazard.line, hazard.object) == ("versions/1.py", 12, "users")
    assert "CREATE TABLE users_archive AS TABLE users" in hazard.instead
    assert hazard.kind is HazardKind.LOSES_DATA


def test_each_column_of_one_statement_is_named() -> None:
    text = "ALTER TABLE users DROP COLUMN a, DROP COLUMN b"
    found = judge([Statement(text, sql.operations(text))], Facts())
    assert {h.object for h in found if h.rule == "column-dropped"} == {"users.a", "users.b"}


def test_hazards_come_in_the_order_of_the_statements() -> None:
    texts = ["DROP TABLE a", "TRUNCATE b", "DROP TABLE c"]
    found = judge([Statement(text, sql.operations(text)) for text in texts], Facts())
    assert [h.object for h in found if h.rule in ("table-dropped", "truncate")] == ["a", "b", "c"]


def test_a_downgrade_knows_the_types_its_upgrade_left() -> None:
    texts = ["ALTER TABLE t ADD COLUMN e vector(3)", "CREATE INDEX i ON t (e)"]
    upgrade = [Statement(text, sql.operations(text)) for text in texts]
    facts = facts_for_downgrade(upgrade, Facts())
    assert facts.direction == "downgrade"
    assert facts.added == {"t.e", "i"}
    assert facts.column_types["t", "e"] == "vector(3)"
    assert facts.index_tables["i"] == "t"


def test_a_downgrade_that_makes_a_dropped_table_again_knows_that_it_is_new() -> None:
    upgrade = [Statement("DROP TABLE t", sql.operations("DROP TABLE t"))]
    facts = facts_for_downgrade(upgrade, Facts(column_types={("t", "a"): "text"}))
    back = ["CREATE TABLE t (a text PRIMARY KEY)", "CREATE INDEX i ON t (a)"]
    assert judge([Statement(text, sql.operations(text)) for text in back], facts) == ()


def test_a_lock_that_guards_the_copy_of_a_narrowed_column_is_a_note() -> None:
    texts = [
        "SET LOCAL lock_timeout = '5s'",
        "LOCK TABLE users IN SHARE MODE",
        "CREATE TABLE replyx_db_agent.kept AS SELECT id, name FROM users",
        "ALTER TABLE users ALTER COLUMN name TYPE varchar(50)",
    ]
    found = judge(
        [Statement(text, sql.operations(text)) for text in texts],
        Facts(column_types={("users", "name"): "text"}),
    )
    rules = {h.rule for h in found}
    assert "lock-table" not in rules
    assert {"writes-wait-for-archive", "column-type-narrowed"} <= rules


def test_judging_many_statements_takes_time_in_proportion() -> None:
    adds = [f"ALTER TABLE t{n} ADD COLUMN c text" for n in range(1000)]
    statements = [Statement(text, sql.operations(text)) for text in adds]
    types = {(f"t{n}", f"c{k}"): "text" for n in range(500) for k in range(20)}
    assert len(judge(statements, Facts(column_types=types))) == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("character varying(50)", "character varying(200)", "none"),
        ("character varying(50)", "text", "none"),
        ("text", "character varying", "none"),
        ("text", "citext", "none"),
        ("character varying(50)", "character varying(20)", "narrowed"),
        ("text", "character varying(20)", "narrowed"),
        ("character(10)", "character varying(10)", "rewritten"),
        ("character varying(10)", "character(10)", "rewritten"),
        ("text", "uuid", "narrowed"),
        ("smallint", "bigint", "rewritten"),
        ("bigint", "integer", "narrowed"),
        ("integer", "numeric", "rewritten"),
        ("integer", "numeric(10,2)", "narrowed"),
        ("integer", "numeric(12,2)", "rewritten"),
        ("bigint", "double precision", "narrowed"),
        ("integer", "text", "rewritten"),
        ("integer", "character varying(5)", "narrowed"),
        ("numeric(10,2)", "numeric(14,2)", "none"),
        ("numeric(10,2)", "numeric", "none"),
        ("numeric", "numeric(10,2)", "narrowed"),
        ("numeric(10,2)", "numeric(10,4)", "narrowed"),
        ("numeric(10,2)", "numeric(12,4)", "rewritten"),
        ("numeric(10,2)", "integer", "narrowed"),
        ("double precision", "real", "narrowed"),
        ("real", "double precision", "rewritten"),
        ("timestamp without time zone", "timestamp with time zone", "rewritten"),
        ("timestamp with time zone", "date", "narrowed"),
        ("timestamp(3) without time zone", "timestamp without time zone", "none"),
        ("timestamp with time zone", "timestamp(0) with time zone", "narrowed"),
        ("date", "timestamp with time zone", "rewritten"),
        ("cidr", "inet", "none"),
        ("inet", "cidr", "narrowed"),
        ("vector(3)", "vector", "none"),
        ("vector(3)", "halfvec(3)", "narrowed"),
        ("double precision[]", "vector(3)", "narrowed"),
        ("character varying(50)[]", "text[]", "none"),
        ("character varying(50)[]", "character varying(90)[]", "rewritten"),
        ("text", "text", "none"),
        ("json", "jsonb", "rewritten"),
        ("status", "text", "rewritten"),
        ("text", "status", "narrowed"),
    ],
)
def test_effect_of_a_type_change(old: str, new: str, expected: str) -> None:
    assert effect(old, new) == expected


def test_an_operation_built_by_hand_is_judged_like_a_parsed_one() -> None:
    made = AddConstraint("users", "foreign key", "fk", referenced_table="teams")
    rules = {h.rule for h in judge([Statement("", (made,))], Facts())}
    assert "foreign-key-validated-at-once" in rules


def test_rules_have_names_that_read_after_allow() -> None:
    assert not [name for name in RULES if name.startswith(("ban-", "prefer-", "require-"))]
