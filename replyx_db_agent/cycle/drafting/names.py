"""Names as the catalogue gives them (quoted where SQL needs it) and as Alembic gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from replyx_db_agent.core.schema import Change
from replyx_db_agent.engines.project import RenderedOperation
from replyx_db_agent.engines.quoting import quote_ident

Parts = tuple[str, ...]
Key = tuple[str, Parts]
"""What a change or an operation is about: ("column", ("billing", "invoices", "total"))."""

MOST_BYTES = 63

_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')
_TABLE_OPERATIONS = ("CreateTableOp", "DropTableOp", "CreateTableCommentOp", "DropTableCommentOp")
_INDEX_OPERATIONS = ("CreateIndexOp", "DropIndexOp")
_COLUMN_OPERATIONS = ("AddColumnOp", "DropColumnOp", "AlterColumnOp")


def parts(name: str) -> Parts:
    """Take a name of the catalogue apart: `billing."Order Items".id` has three bare parts."""
    return tuple(
        quoted.replace('""', '"') if quoted else bare for quoted, bare in _PART.findall(name)
    )


def schema_of(table: str | None) -> str:
    """Return the schema a table's name begins with, with its dot; nothing for `public`."""
    written = [found[0] for found in _PART.finditer(table or "")]
    return ".".join([*written[:-1], ""])


def key_of_change(change: Change) -> Key:
    """Return what the change is about."""
    return change.object_kind, parts(change.object)


def key_of_operation(operation: RenderedOperation) -> Key:
    """Return what the operation is about; its last part is empty when it has no name."""
    schema = (operation.schema,) if operation.schema not in ("", "public") else ()
    if operation.kind in _TABLE_OPERATIONS:
        return "table", (*schema, operation.table)
    if operation.kind in _INDEX_OPERATIONS:
        return "index", (*schema, operation.name)
    if operation.kind in _COLUMN_OPERATIONS:
        return "column", (*schema, operation.table, operation.column)
    return "constraint", (*schema, operation.table, operation.name)


def quoted(name: str) -> str:
    """Return one identifier in quotes, cut to the bytes PostgreSQL keeps."""
    cut = name.encode()[:MOST_BYTES].decode(errors="ignore")
    return quote_ident(cut)


def is_named(names: Iterable[str], wanted: Iterable[str]) -> bool:
    """Say whether a person who wrote `wanted` means one of the catalogue's names."""
    known = {*names, *(".".join(parts(name)) for name in names)}
    return bool(known & set(wanted))
