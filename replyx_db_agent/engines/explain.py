"""Runs EXPLAIN on a connection and returns the plans PostgreSQL gives.

https://www.postgresql.org/docs/current/sql-explain.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from replyx_db_agent.core.errors import InvalidInput

if TYPE_CHECKING:
    import psycopg


def plans(
    connection: psycopg.Connection, prepare: str, explain: str, runs: int
) -> list[dict[str, Any]]:
    """Prepare a statement, explain it `runs` times, and roll everything back.

    Raises:
        InvalidInput: PostgreSQL refuses the query (its message, without values of rows).
    """
    from psycopg import Error

    try:
        with connection.transaction(force_rollback=True):
            connection.execute(prepare.encode())
            return [_plan(connection, explain) for _ in range(runs)]
    except Error as error:
        message = (error.diag.message_primary or type(error).__name__).rstrip(".")
        raise InvalidInput(f"{message}.", instead="Correct the query.") from error
    finally:
        if not connection.broken:
            connection.execute("DEALLOCATE ALL")


def _plan(connection: psycopg.Connection, explain: str) -> dict[str, Any]:
    row = connection.execute(explain.encode()).fetchone()
    found = row[0] if row else "[]"
    parsed = json.loads(found) if isinstance(found, str) else found
    first: dict[str, Any] = parsed[0]
    return first
