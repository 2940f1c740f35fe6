"""How a destructive draft keeps rows, and how its way back puts them in again."""

from __future__ import annotations

from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.core.schema import Change, SchemaObject, Snapshot
from replyx_db_agent.cycle.drafting.names import parts, quoted
from replyx_db_agent.cycle.drafting.parts import Step, World, of_table
from replyx_db_agent.cycle.drafting.source import execute
from replyx_db_agent.cycle.seen import ARCHIVE_SCHEMA
from replyx_db_agent.engines.quoting import quote_literal


def kept_table(step: Step, table: str, world: World, then: list[str]) -> Step:
    """Keep a table's rows before the step; the way back inserts them, then runs `then`."""
    copy = _archive(world, table)
    columns = of_table(world.head, "column", table)
    stored = [c for c in columns if not c.attributes.get("generated")]
    names = ", ".join(c.local_name for c in stored)
    kept = ", ".join(_as_kept(c, world.head) for c in stored)
    back = ", ".join(_as_it_was(c, world.head) for c in stored)
    keep = f"CREATE TABLE {copy} AS SELECT {kept} FROM {table}"
    restore = f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {back} FROM {copy}"
    counters = [_counter(table, column) for column in columns if _counts(column)]
    return Step(
        "\n".join([*_keep(table, keep), step.up]),
        "\n".join([step.down, execute(restore), *counters, *then, _forget(copy)]),
        step.imports,
    )


def kept_column(step: Step, change: Change, world: World, *, then: list[str]) -> Step:
    """Keep a column's values beside the table's key; the way back updates the rows from them."""
    assert change.table is not None
    table, column = change.table, change.object.removeprefix(f"{change.table}.")
    keys = _primary_key(world.head, table)
    copy = _archive(world, change.object)
    matched = " AND ".join(f"{table}.{key} = kept.{key}" for key in keys)
    thing = world.head.objects["column", change.object]
    kept = ", ".join([*keys, _as_kept(thing, world.head)])
    back = _as_it_was(thing, world.head)
    keep = f"CREATE TABLE {copy} AS SELECT {kept} FROM {table} WHERE {column} IS NOT NULL"
    restore = f"UPDATE {table} SET {column} = kept.{back} FROM {copy} AS kept WHERE {matched}"
    return Step(
        "\n".join([*_keep(table, keep), step.up]),
        "\n".join([step.down, execute(restore), *then, _forget(copy)]),
        step.imports,
    )


def _as_kept(column: SchemaObject, head: Snapshot) -> str:
    """Keep labels as text: a copy that used the enumerated type would hold it fast."""
    name = column.local_name
    return f"{name}::{_text(column)} AS {name}" if _is_enum(column, head) else name


def _as_it_was(column: SchemaObject, head: Snapshot) -> str:
    name = column.local_name
    return f"{name}::{column.attributes['type']}" if _is_enum(column, head) else name


def _is_enum(column: SchemaObject, head: Snapshot) -> bool:
    return ("enum", (column.attributes["type"] or "").removesuffix("[]")) in head.objects


def _text(column: SchemaObject) -> str:
    return "text[]" if (column.attributes["type"] or "").endswith("[]") else "text"


def _archive(world: World, name: str) -> str:
    return f"{ARCHIVE_SCHEMA}.{quoted('_'.join((world.revision, *parts(name))))}"


def _keep(source: str, copy: str) -> list[str]:
    """Return code that copies rows while nobody can write new ones into what goes away."""
    return [
        "# The rows are kept: the downgrade restores them from this copy.",
        execute(f"CREATE SCHEMA IF NOT EXISTS {ARCHIVE_SCHEMA}"),
        execute(f"LOCK TABLE {source} IN SHARE MODE"),
        execute(copy),
    ]


def _forget(copy: str) -> str:
    return execute(f"DROP TABLE {copy}")


def _counts(column: SchemaObject) -> bool:
    default = column.attributes.get("default") or ""
    return bool(column.attributes.get("identity")) or "nextval(" in default


def _counter(table: str, column: SchemaObject) -> str:
    name = column.local_name
    return execute(
        f"SELECT setval(pg_get_serial_sequence({quote_literal(table)}, "
        f"{quote_literal(parts(name)[0])}), coalesce((SELECT max({name}) FROM {table}), 0) + 1, "
        "false)"
    )


def _primary_key(head: Snapshot, table: str) -> tuple[str, ...]:
    for found in of_table(head, "constraint", table):
        definition = found.attributes.get("definition") or ""
        if definition.startswith("PRIMARY KEY"):
            inside = definition.partition("(")[2].partition(")")[0]
            return tuple(key.strip() for key in inside.split(","))
    raise InvalidInput(
        f'Table "{table}" has no primary key, so the rows of a dropped column cannot be put back.',
        instead="Give the table a primary key first, or write this revision by hand.",
    )
