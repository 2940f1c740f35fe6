"""The catalogue snapshot: every object of a database in one round trip."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import resources
from typing import Any

from replyx_db_agent.core.schema import SchemaObject, Snapshot, snapshot_of
from replyx_db_agent.engines.quoting import quote_ident, quote_literal

Query = Callable[[str], list[list[Any]]]
"""Runs one SQL text, sent as it is without parameters, and returns its rows."""

_VALUE = r"'(?:[^']|'')*'::character varying"
# With and without the parentheses that PostgreSQL leaves out of its pretty texts.
_CAST_OF_ARRAY = re.compile(rf"(\()?(ARRAY\[{_VALUE}(?:, {_VALUE})*\])(?(1)\))::text\[\]")
_CAST_OF_ELEMENT = re.compile(rf"(\()?({_VALUE})(?(1)\))::text(?=[],])")


def snapshot_sql() -> str:
    """Return the one statement whose only value `snapshot_from` reads.

    It has no parameters and no placeholders, reads only, and leaves the session's settings as
    they were. Callers who connect to a database that others write to give the connection a
    `search_path` of `pg_catalog`: the statement calls its functions by their bare names.
    """
    folder = resources.files("replyx_db_agent.engines") / "queries"
    return (folder / "snapshot.sql").read_text(encoding="utf-8")


def snapshot_from(value: str, version_table: str = "alembic_version") -> Snapshot:
    """Return the snapshot in the JSON text that `snapshot_sql` gave, without the version table."""
    return snapshot_of(
        SchemaObject(kind, name, table, _attributes(attributes))
        for kind, name, table, attributes in json.loads(value)
        if kind != "setting" and not is_version_table(version_table, table or name)
    )


def snapshot(query: Query, version_table: str = "alembic_version") -> Snapshot:
    """Return every object of the database that `query` reaches.

    Left out: what belongs to PostgreSQL or to an extension, temporary objects, our own schemas
    and Alembic's version table, whichever schema it lies in.
    """
    return snapshot_from(query(snapshot_sql())[0][0], version_table)


def types(of: Snapshot) -> dict[tuple[str, str], str]:
    """Return the type of every column as (table, column) -> type, in PostgreSQL's words."""
    return {
        (column.table, column.local_name): column.attributes["type"] or ""
        for column in of.objects.values()
        if column.kind == "column" and column.table is not None
    }


def versions(query: Query, version_table: str = "alembic_version") -> tuple[str, ...]:
    """Return where the database stands by Alembic's version table, () if it has none."""
    name = ".".join(quote_ident(part) for part in version_table.split("."))
    if query(f"SELECT to_regclass({quote_literal(name)})::text")[0][0] is None:
        return ()
    # The name is quoted.
    return tuple(row[0] for row in query(f"SELECT version_num FROM {name} ORDER BY 1"))  # noqa: S608


def is_version_table(version_table: str, name: str) -> bool:
    """Return whether a table of a snapshot is Alembic's own, whichever schema it lies in."""
    own = version_table.rpartition(".")[2]
    return name.rpartition(".")[2] in (own, quote_ident(own))


def _attributes(given: dict[str, str | None]) -> dict[str, str | None]:
    return {key: _normal(value) for key, value in given.items() if value is not None}


def _normal(text: str) -> str:
    """Undo what PostgreSQL adds when its own text of an IN list is read back from a dump."""
    if "ARRAY[" not in text:
        return text
    return _CAST_OF_ARRAY.sub(r"\2", _CAST_OF_ELEMENT.sub(r"\2", text))
