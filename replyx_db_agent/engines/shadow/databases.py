"""The databases on the shadow server: shadows, templates and kept ones, each with its own role."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from replyx_db_agent.core.errors import EnvironmentProblem, InvalidInput
from replyx_db_agent.engines.shadow.lease import MADE_BY, write_private

if TYPE_CHECKING:
    import psycopg

    from replyx_db_agent.engines.shadow import ShadowServer

BASE, SHADOW, KEPT = "replyx_base", "replyx_shadow_", "replyx_kept_"
SQL = Path(__file__).parent / "extension"
LOCK = 0x7265706C  # advisory lock space: "repl"


@dataclass(frozen=True)
class ShadowDatabase:
    """A database on the shadow server and the role that owns it (and nothing else)."""

    name: str
    role: str
    password: str = field(repr=False)
    socket_dir: Path
    port: int
    server: ShadowServer = field(repr=False, compare=False)

    @property
    def url(self) -> str:
        """The URL for the role, usable by SQLAlchemy and by engines.postgres.connect()."""
        return (
            f"postgresql+psycopg://{self.role}:{quote(self.password, safe='')}@/{self.name}"
            f"?host={quote(str(self.socket_dir), safe='/')}&port={self.port}"
        )


# ---- shadows -------------------------------------------------------------------------------------


def create(server: ShadowServer, template: ShadowDatabase | None, label: str) -> ShadowDatabase:
    """Clone the base template, or `template`, into a new database with a role of its own."""
    name = SHADOW + secrets.token_hex(6)
    marker = {"made_by": MADE_BY, "owner": server.lease_id, "label": label}
    return _clone(server, name, secrets.token_urlsafe(24), template, marker)


def drop(server: ShadowServer, db: ShadowDatabase) -> None:
    """Drop a shadow of ours on this server, and its role; refuse anything else."""
    if not db.name.startswith(SHADOW):
        raise InvalidInput(
            f'The database "{db.name}" is not a shadow and is not dropped.',
            instead=f'Only databases named "{SHADOW}..." that this server made are dropped.',
        )
    if db.socket_dir != server.socket_dir or db.port != server.port:
        raise InvalidInput(
            f'The database "{db.name}" is on another server and is not dropped.',
            instead="Drop it through the server that made it.",
        )
    with server.admin() as conn:
        marker = marker_of(conn, db.name)
        if marker is None:
            raise InvalidInput(
                f'The database "{db.name}" does not exist or does not carry our marker.',
                instead="Nothing was dropped; check the name.",
            )
        drop_pair(conn, db.name)


def sweep(conn: psycopg.Connection, alive: Collection[str]) -> None:
    """Drop the shadows whose owners have ended."""
    # By the roles: a role and its marker are made in one transaction, a database cannot be.
    rows = conn.execute(
        "SELECT rolname::text, shobj_description(oid, 'pg_authid') FROM pg_roles "
        "WHERE starts_with(rolname, %s)",
        [SHADOW],
    ).fetchall()
    for name, comment in rows:
        marker = read_marker(comment)
        if marker is not None and marker.get("owner") not in alive:
            drop_pair(conn, name)


def drop_all_of(conn: psycopg.Connection, owner: str) -> None:
    """Drop the shadows of one lease."""
    rows = conn.execute(
        "SELECT rolname::text FROM pg_roles WHERE starts_with(rolname, %s) "
        "AND shobj_description(oid, 'pg_authid')::jsonb ->> 'owner' = %s",
        [SHADOW, owner],
    ).fetchall()
    for (name,) in rows:
        drop_pair(conn, name)


# ---- kept databases ------------------------------------------------------------------------------


def kept(server: ShadowServer, name: str) -> ShadowDatabase:
    """Return the kept database `name`, made when there is none; nothing but drop_kept drops it."""
    full, record = _kept_name(name), server.kept_folder / f"{name}.json"
    marker = {"made_by": MADE_BY, "kept": name}
    with server.admin() as conn:
        conn.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [LOCK, full])
        password = _kept_password(record) or secrets.token_urlsafe(24)
        write_private(record, json.dumps({"password": password}))
        if marker_of(conn, full) is None:
            _clone(server, full, password, None, marker)
        # Again, for one whose making was cut short, or whose password file was lost.
        _set_password(conn, full, password)
        _open(conn, full, marker)
        # An orphaned server is ended at once: what was committed must be there afterwards.
        execute(conn, "ALTER DATABASE {} SET synchronous_commit = on", full)
    return ShadowDatabase(full, full, password, server.socket_dir, server.port, server)


def drop_kept(server: ShadowServer, name: str) -> None:
    """Drop the kept database `name`, its role and its password."""
    full = _kept_name(name)
    with server.admin() as conn:
        if marker_of(conn, full) is None:
            raise InvalidInput(
                f'There is no kept database "{name}".', instead="Nothing was dropped."
            )
        drop_pair(conn, full)
    (server.kept_folder / f"{name}.json").unlink(missing_ok=True)


def _kept_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]{1,30}", name):
        raise InvalidInput(
            f'"{name}" cannot name a kept database.',
            instead="Use 1 to 30 lower-case letters, digits and underscores.",
        )
    return KEPT + name


def _kept_password(record: Path) -> str | None:
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["password"])
    except (OSError, ValueError, KeyError):
        return None


# ---- steps ---------------------------------------------------------------------------------------


def _clone(
    server: ShadowServer,
    name: str,
    password: str,
    template: ShadowDatabase | None,
    marker: dict[str, Any],
) -> ShadowDatabase:
    """Make role and database; nobody but the superuser can connect before all is settled."""
    source = template.name if template else BASE
    with server.admin() as conn:
        if template is not None and marker_of(conn, source) is None:
            raise InvalidInput(
                f'The template "{source}" is not (or no longer) on this server.',
                instead="Make it again, then clone it.",
            )
        with conn.transaction():
            execute(conn, "DROP ROLE IF EXISTS {}", name)
            execute(conn, "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE", name)
            _set_password(conn, name, password)
            comment(conn, "ROLE", name, marker)
        try:
            _copy(conn, source, name)
            if template is not None:
                # Two clones at once would both touch the template's shared entries.
                conn.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [LOCK, f"adopt {source}"])
                _adopt(server, template, name)
                conn.execute("SELECT pg_advisory_unlock_all()")
            _open(conn, name, marker)
        except BaseException:
            drop_pair(conn, name)
            raise
    return ShadowDatabase(name, name, password, server.socket_dir, server.port, server)


def _open(conn: psycopg.Connection, name: str, marker: dict[str, Any]) -> None:
    """Let the role `name`, and no other, connect to its database."""
    with conn.transaction():
        execute(conn, "REVOKE CONNECT ON DATABASE {} FROM PUBLIC", name)
        comment(conn, "DATABASE", name, marker)
        execute(conn, "ALTER DATABASE {} CONNECTION LIMIT -1", name)


def _copy(conn: psycopg.Connection, source: str, name: str) -> None:
    from psycopg import errors

    try:
        execute(
            conn,
            "CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY file_copy CONNECTION LIMIT 0",
            name,
            source,
            name,
        )
    except errors.ObjectInUse:
        raise InvalidInput(
            f'The database "{source}" cannot be cloned while somebody is connected to it.',
            instead="Close its connections first.",
        ) from None
    except (errors.DiskFull, errors.IoError) as error:
        raise EnvironmentProblem(
            f"There is no room for another shadow database: {error.diag.message_primary}.",
            instead="Free some space, or set REPLYX_DB_AGENT_HOME to a folder on another disk.",
        ) from None


def _adopt(server: ShadowServer, template: ShadowDatabase, name: str) -> None:
    """In the clone `name` of `template`: give everything to the new role."""
    text = (SQL / "adopt.sql").read_text(encoding="utf-8")
    with server.admin(name) as conn, conn.transaction():
        conn.execute(
            "SELECT set_config('replyx.old', %s, true), set_config('replyx.new', %s, true), "
            "set_config('replyx.old_database', %s, true)",
            [template.role, name, template.name],
        )
        conn.execute(text)


def drop_pair(conn: psycopg.Connection, name: str, *, force: bool = True) -> None:
    """Drop the database and the role `name`."""
    from psycopg import errors

    how = " WITH (FORCE)" if force else ""
    execute(conn, "DROP DATABASE IF EXISTS {}" + how, name)
    try:
        execute(conn, "DROP ROLE IF EXISTS {}", name)
    except errors.DependentObjectsStillExist:
        # Something in another database names it: it only must not be able to log in.
        execute(conn, "ALTER ROLE {} NOLOGIN PASSWORD NULL", name)


def marker_of(conn: psycopg.Connection, name: str) -> dict[str, Any] | None:
    """Return our marker of a database; None when there is no such database of ours.

    The role's counts: a database's owner may change the database's own comment.
    """
    row = conn.execute(
        "SELECT shobj_description(r.oid, 'pg_authid') FROM pg_roles AS r "
        "JOIN pg_database AS d ON d.datname = r.rolname AND d.datdba = r.oid WHERE rolname = %s",
        [name],
    ).fetchone()
    return read_marker(row[0]) if row else None


def read_marker(comment: str | None) -> dict[str, Any] | None:
    """Return what a comment says if it is a marker of ours."""
    try:
        marker = json.loads(comment or "")
    except ValueError:
        return None
    ours = isinstance(marker, dict) and marker.get("made_by") == MADE_BY
    return marker if ours else None


def comment(conn: psycopg.Connection, kind: str, name: str, marker: dict[str, Any]) -> None:
    """Write a marker as the comment of a DATABASE or ROLE."""
    from psycopg import sql

    statement = sql.SQL("COMMENT ON {} {} IS {}").format(
        sql.SQL(kind), sql.Identifier(name), sql.Literal(json.dumps(marker))
    )
    conn.execute(statement)


def _set_password(conn: psycopg.Connection, role: str, password: str) -> None:
    from psycopg import sql

    statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
    conn.execute(statement.format(sql.Identifier(role), sql.Literal(password)))


def execute(conn: psycopg.Connection, statement: str, *names: str) -> None:
    """Run a statement whose placeholders {} are names."""
    from psycopg import sql

    text = sql.SQL(statement)
    conn.execute(text.format(*(sql.Identifier(name) for name in names)))
