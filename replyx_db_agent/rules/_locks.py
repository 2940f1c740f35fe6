"""The table lock a statement takes, where it is strong enough to stop writes or reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from replyx_db_agent.core.model import (
    AddColumn,
    AddConstraint,
    AlterColumnType,
    AlterOther,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropConstraint,
    DropIndex,
    DropNotNull,
    DropObject,
    DropTable,
    Operation,
    RenameColumn,
    RenameTable,
    SetDefault,
    SetNotNull,
    Truncate,
)

EXCLUSIVE = "ACCESS EXCLUSIVE"
SHARE_ROW = "SHARE ROW EXCLUSIVE"
SHARE = "SHARE"

_WEAK_CHANGES = (
    "SET STATISTICS",
    "SET (options)",
    "RESET (options)",
    "ATTACH PARTITION",
    "CONCURRENTLY",
    "SET WITHOUT CLUSTER",
    "CLUSTER ON",
)
_STRONG_OTHERS = {
    "CREATE TRIGGER": SHARE_ROW,
    "CREATE RULE": EXCLUSIVE,
    "CREATE POLICY": EXCLUSIVE,
    "ALTER POLICY": EXCLUSIVE,
    "LOCK TABLE": EXCLUSIVE,
    "REINDEX TABLE": SHARE,
    "CLUSTER": EXCLUSIVE,
    "VACUUM FULL": EXCLUSIVE,
    "REFRESH MATERIALIZED VIEW": EXCLUSIVE,
}


def _constraint(operation: AddConstraint) -> str:
    return SHARE_ROW if operation.kind == "foreign key" else EXCLUSIVE


def _other(operation: AlterOther) -> str | None:
    if operation.what.startswith("ALTER TABLE"):
        return None if operation.what.endswith(_WEAK_CHANGES) else EXCLUSIVE
    return _STRONG_OTHERS.get(operation.what)


_ALWAYS_EXCLUSIVE = (
    DropTable,
    Truncate,
    RenameTable,
    AddColumn,
    DropColumn,
    RenameColumn,
    AlterColumnType,
    SetNotNull,
    DropNotNull,
    SetDefault,
    DropConstraint,
)
_DECIDED: dict[type, Callable[[Any], str | None]] = {
    AddConstraint: _constraint,
    AlterOther: _other,
    CreateIndex: lambda index: None if index.concurrently else SHARE,
    DropIndex: lambda index: None if index.concurrently else EXCLUSIVE,
    DropObject: lambda dropped: EXCLUSIVE if dropped.table else None,
    CreateTable: lambda created: SHARE_ROW if created.references else None,
}


def lock_of(operation: Operation) -> str | None:
    """Return the strong lock that the operation takes on a table; None for a weak one or none."""
    if isinstance(operation, _ALWAYS_EXCLUSIVE):
        return EXCLUSIVE
    decide = _DECIDED.get(type(operation))
    return decide(operation) if decide else None


def locked_tables(operation: Operation, index_tables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tables the operation locks, as far as its text and the catalogue say."""
    if isinstance(operation, CreateTable):
        return operation.references
    if isinstance(operation, DropIndex):
        return (index_tables.get(operation.name, ""),)
    names = (getattr(operation, "table", None), getattr(operation, "referenced_table", None))
    return tuple(name for name in names if name)
