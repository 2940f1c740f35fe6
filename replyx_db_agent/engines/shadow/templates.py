"""What shadows are cloned from: the base with its trace, and templates that callers fill."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from replyx_db_agent.engines.shadow.databases import (
    BASE,
    LOCK,
    SQL,
    ShadowDatabase,
    comment,
    drop_pair,
    execute,
    marker_of,
    read_marker,
)
from replyx_db_agent.engines.shadow.lease import MADE_BY

if TYPE_CHECKING:
    import psycopg

    from replyx_db_agent.engines.shadow import ShadowServer

TEMPLATE = "replyx_template_"
MOST_TEMPLATES = 20


def make_base(admin: Callable[[str], psycopg.Connection]) -> None:
    """Make the base template once (again when trace.sql changed). Needs the server's lock."""
    text = (SQL / "trace.sql").read_text(encoding="utf-8")
    marker = {"made_by": MADE_BY, "version": hashlib.sha256(text.encode()).hexdigest()[:12]}
    with admin("postgres") as conn:
        if _base_marker(conn) == marker:
            return
        for database in ("postgres", "template1"):
            execute(conn, "REVOKE CONNECT ON DATABASE {} FROM PUBLIC", database)
        conn.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        execute(conn, "DROP DATABASE IF EXISTS {} WITH (FORCE)", BASE)
        execute(conn, "CREATE DATABASE {} STRATEGY file_copy", BASE)
        execute(conn, "REVOKE CONNECT ON DATABASE {} FROM PUBLIC", BASE)
    with admin(BASE) as conn:
        conn.execute(text)
    with admin("postgres") as conn:
        execute(conn, "ALTER DATABASE {} ALLOW_CONNECTIONS false", BASE)
        comment(conn, "DATABASE", BASE, marker)


def _base_marker(conn: psycopg.Connection) -> dict[str, Any] | None:
    row = conn.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [BASE]
    ).fetchone()
    return read_marker(row[0]) if row else None


def template(
    server: ShadowServer, key: str, build: Callable[[ShadowDatabase], None]
) -> ShadowDatabase:
    """Return the template database of `key`; when there is none, `build` fills a new one first."""
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    name = TEMPLATE + digest
    with server.admin() as conn:
        # A statement time-limit must not end the wait for another process that builds it.
        conn.execute("SET statement_timeout = 0")
        conn.execute("SET lock_timeout = 0")
        conn.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [LOCK, name])
        if marker_of(conn, name) is None:
            db = server.create(None, f"template {digest}")
            try:
                build(db)
                _freeze(conn, db.name, name)
            except BaseException:
                server.drop(db)
                raise
        comment(conn, "DATABASE", name, {"made_by": MADE_BY, "used": time.time()})
        _drop_old_templates(conn, keep=name)
    # Nobody logs in as a template's role, so it has no password.
    return ShadowDatabase(name, name, "", server.socket_dir, server.port, server)


def _freeze(conn: psycopg.Connection, shadow: str, name: str) -> None:
    """Turn a shadow into a template: nobody connects to it any more."""
    execute(conn, "ALTER DATABASE {} CONNECTION LIMIT 0", shadow)
    _end_sessions(conn, shadow)
    with conn.transaction():
        execute(conn, "ALTER DATABASE {} RENAME TO {}", shadow, name)
        execute(conn, "ALTER ROLE {} RENAME TO {}", shadow, name)
        execute(conn, "ALTER ROLE {} NOLOGIN PASSWORD NULL", name)
        comment(conn, "ROLE", name, {"made_by": MADE_BY})
        comment(conn, "DATABASE", name, {"made_by": MADE_BY, "used": time.time()})
    execute(conn, "ALTER DATABASE {} ALLOW_CONNECTIONS false", name)


def _drop_old_templates(conn: psycopg.Connection, *, keep: str) -> None:
    from psycopg import errors

    rows = conn.execute(
        "SELECT datname::text FROM pg_database "
        "WHERE starts_with(datname, %s) AND datname <> %s "
        "ORDER BY (shobj_description(oid, 'pg_database')::jsonb ->> 'used')::float8 DESC "
        "OFFSET %s",
        [TEMPLATE, keep, MOST_TEMPLATES - 1],
    ).fetchall()
    for (name,) in rows:
        # One that is being cloned at this moment stays until the next time.
        with contextlib.suppress(errors.ObjectInUse):
            drop_pair(conn, name, force=False)


def _end_sessions(conn: psycopg.Connection, database: str) -> None:
    conn.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
        [database],
    )
