"""A project with one revision to attack, and a database that stands just below it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from replyx_db_agent.core.call import Call
from replyx_db_agent.core.report import ApplyReport, CheckReport, StairwayReport
from replyx_db_agent.core.schema import Snapshot
from replyx_db_agent.engines import catalog, postgres, rows
from replyx_db_agent.engines.shadow import ShadowDatabase, ShadowServer
from replyx_db_agent.tools.apply_revision import apply_revision
from replyx_db_agent.tools.check_revision import check_revision
from replyx_db_agent.tools.run_stairway import run_stairway
from tests.projects import Rev, env, write_project

BASE, HEAD = "202501010000", "202501010001"
PER_STEP = env(options="transaction_per_migration=True")

SCHEMA = (
    "CREATE SCHEMA billing",
    "CREATE TYPE mood AS ENUM ('glad', 'sad')",
    "CREATE TYPE spot AS (x int, y int)",
    "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, nickname text, "
    "plan text DEFAULT 'free', balance numeric(12,4), mood mood)",
    "CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users ON DELETE CASCADE,"
    " note text)",
    "CREATE TABLE billing.invoices (id bigint PRIMARY KEY, total numeric(12,4), note text)",
    'CREATE TABLE "Odd Name" (id bigint PRIMARY KEY, "Column" numeric(12,4), "naïve" text)',
    "CREATE TABLE users_archive (id bigint PRIMARY KEY, body text)",
    "CREATE TABLE events (id bigint, body text) PARTITION BY RANGE (id)",
    "CREATE TABLE events_first PARTITION OF events FOR VALUES FROM (0) TO (1000000)",
    "CREATE TABLE unfillable (id bigint PRIMARY KEY, code text, CHECK (false))",
    "CREATE VIEW active_users AS SELECT id, email FROM users",
    "CREATE FUNCTION tidy() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS "
    "'BEGIN DELETE FROM billing.invoices; RETURN 1; END'",
    "CREATE SEQUENCE numbers",
    "CREATE TABLE numbers_seen (n int)",
)
FILLED = (
    "INSERT INTO users SELECT i, 'u' || i, 'n' || i, 'pro', i, 'glad' FROM generate_series(1,9) i",
    "INSERT INTO orders SELECT i, i, 'note' FROM generate_series(1,9) i",
    "INSERT INTO billing.invoices SELECT i, i, 'note' FROM generate_series(1,9) i",
    """INSERT INTO "Odd Name" SELECT i, i, 'b' FROM generate_series(1,9) i""",
    "INSERT INTO users_archive SELECT i, 'kept' FROM generate_series(1,9) i",
    "INSERT INTO events SELECT i, 'body' FROM generate_series(1,9) i",
)
VERSION = (
    "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
    f"INSERT INTO alembic_version VALUES ('{BASE}')",
)


def literal(sql: str) -> str:
    """Return a line of Python that executes this SQL as it is."""
    return f"op.get_bind().exec_driver_sql({sql!r}, execution_options={{'no_parameters': True}})"


def base() -> Rev:
    down = [literal("DROP SCHEMA public CASCADE"), literal("CREATE SCHEMA public")]
    return Rev(BASE, None, "\n".join(map(literal, SCHEMA)), "\n".join(down))


def plan(change: str, *, rollback: str = "", risk: str = "", checks: str = "") -> str:
    """Return a rollback plan whose section for HEAD says this."""
    back = rollback or f"```bash\nalembic downgrade {BASE}\n```"
    return (
        f"# Rollback plan\n\n## {HEAD} attack\n\n### Change\n\n{change}\n\n"
        f"### Risk\n\n{risk or 'A short lock; the rows are kept in a copy.'}\n\n"
        f"### Rollback\n\n{back}\n\n"
        f"### Checks after rollback\n\n{checks or 'The numbers of rows are those from before.'}\n"
    )


@dataclass(frozen=True)
class Guarded:
    """The project in `root`, and the database `local` as it was when the test began."""

    root: Path
    database: ShadowDatabase

    @property
    def call(self) -> Call:
        return Call(self.root)

    def check(self) -> CheckReport:
        return check_revision(self.call)

    def stairway(self, rows: int = 20) -> StairwayReport:
        return run_stairway(self.call, revision=HEAD, rows=rows)

    def apply(self) -> ApplyReport:
        return apply_revision(self.call, "local")

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def evidence(self) -> Path:
        found = sorted((self.root / ".replyx-db-agent/evidence").glob("*.json"))
        return next(p for p in found if json.loads(p.read_text())["revision"] == HEAD)

    def state(self) -> tuple[Snapshot, rows.Digests, tuple[str, ...]]:
        """Return everything that must not change: schema, rows, version."""
        with postgres.connect(self.database.url) as connection:

            def ask(text: str) -> list[list[object]]:
                return [list(row) for row in connection.execute(text.encode()).fetchall()]

            schema = catalog.snapshot(ask)
            return schema, rows.digest(ask, schema), catalog.versions(ask)

    def scalar(self, query: str) -> object:
        with postgres.connect(self.database.url) as connection:
            row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None

    def execute(self, *statements: str) -> None:
        with postgres.connect(self.database.url, read_only=False) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def write(
    folder: Path,
    upgrade: str,
    downgrade: str = "pass",
    *,
    section: str = "",
    env_py: str = PER_STEP,
    files: Mapping[str, str] | None = None,
    more: tuple[Rev, ...] = (),
) -> Path:
    """Write the project with the attacking revision at its head."""
    attack = Rev(HEAD, BASE, upgrade, downgrade)
    given = {"docs/db/rollback_plan.md": section} if section else {}
    return write_project(
        folder, [base(), attack, *more], env_py=env_py, files={**given, **(files or {})}
    )


@contextmanager
def standing_below(server: ShadowServer) -> Iterator[ShadowDatabase]:
    """Give a database at BASE with rows in it."""

    def build(db: ShadowDatabase) -> None:
        with postgres.connect(db.url, read_only=False) as connection:
            for statement in (*SCHEMA, *FILLED, *VERSION):
                connection.execute(statement.encode())

    template = server.template(f"guarded {SCHEMA} {FILLED}", build)
    with server.shadow(template) as database:
        yield database
