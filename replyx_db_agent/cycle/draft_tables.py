"""Draft forms of tables and columns: made as autogenerate renders them, never dropped unkept."""

from __future__ import annotations

from collections.abc import Iterator

from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.core.schema import Change, SchemaObject, Snapshot
from replyx_db_agent.cycle import parts as place
from replyx_db_agent.cycle.draft_indexes import created_with_table
from replyx_db_agent.cycle.judge import ARCHIVE_SCHEMA
from replyx_db_agent.cycle.names import key_of_change, parts, quoted
from replyx_db_agent.cycle.parts import Part, Step, World, of_table, together
from replyx_db_agent.cycle.source import execute, string
from replyx_db_agent.engines.quoting import quote_literal
from replyx_db_agent.rules._types import effect, parse_type

_TEXTS = ("text", "character varying", "character", "citext")
_ALIKE = (
    ("smallint", "integer", "bigint", "numeric", "real", "double precision"),
    ("timestamp without time zone", "timestamp with time zone", "date"),
    ("vector", "halfvec", "sparsevec"),
)


def comment_on(kind: str, name: str, text: str | None, was: str | None) -> Step:
    """Return a step that changes the comment of a thing."""
    start = f"COMMENT ON {kind.upper()} {name} IS "
    up, down = (f"{start}{_sql_text(value)}" for value in (text, was))
    return Step(execute(up), execute(down))


def _sql_text(text: str | None) -> str:
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


# ---- tables --------------------------------------------------------------------------------------


def table_added(change: Change, world: World) -> Iterator[Part]:
    """Create a table with its indexes; a key that closes a circle of new tables comes after all."""
    key = key_of_change(change)
    made = world.operation(key, "CreateTableOp")
    if made is None:
        return
    yield together(place.TABLE, made.upgrade, made.downgrade, made.imports)
    for index in of_table(world.models, "index", change.object):
        yield Part(place.TABLE + 2, (created_with_table(index, world),))
    for name, operations in world.operations.items():
        if name[0] == "constraint" and name[1][:-1] == key[1]:
            for op in operations:
                yield together(place.TABLE + 1, op.upgrade, op.downgrade, op.imports)
    for kind in ("constraint", "index"):
        for thing in of_table(world.models, kind, change.object):
            if comment := thing.attributes.get("comment"):
                yield Part(place.TABLE + 3, (comment_on_part(thing, comment, None),))


def comment_on_part(thing: SchemaObject, text: str | None, was: str | None) -> Step:
    """Return a step that changes the comment of a constraint or an index."""
    if thing.kind == "constraint":
        return comment_on("constraint", f"{thing.local_name} ON {thing.table}", text, was)
    return comment_on(thing.kind, thing.name, text, was)


def table_changed(change: Change, world: World) -> Iterator[Part]:
    """Change a table's comment; other properties of a table are not drafted."""
    if "comment" in change.after:
        text, was = change.after["comment"], change.before["comment"]
        yield Part(place.COMMENT, (comment_on("table", change.object, text, was),))


def table_removed(change: Change, world: World) -> Iterator[Part]:
    """Drop a table whose rows are kept; the way back makes it anew and puts them in."""
    made = world.operation(key_of_change(change), "DropTableOp")
    if made is None:
        return
    table, copy = change.object, archive(world, parts(change.object))
    columns = of_table(world.head, "column", table)
    stored = [c for c in columns if not c.attributes.get("generated")]
    names = ", ".join(c.local_name for c in stored)
    keep = f"CREATE TABLE {copy} AS SELECT {names} FROM {table}"
    restore = f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {copy}"
    indexes = [
        created_with_table(i, world, at_head=True).up for i in of_table(world.head, "index", table)
    ]
    comments = [
        comment_on_part(thing, comment, None).up
        for kind in ("constraint", "index")
        for thing in of_table(world.head, kind, table)
        if (comment := thing.attributes.get("comment"))
    ]
    counters = [_counter(table, c) for c in columns if _counts(c)]
    back = [made.downgrade, execute(restore), *counters, *indexes, *comments, _forget(copy)]
    up = "\n".join([*_keep(table, keep), made.upgrade])
    yield together(place.DROP_TABLE, up, "\n".join(back), made.imports)


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


# ---- columns -------------------------------------------------------------------------------------


def column_added(change: Change, world: World) -> Iterator[Part]:
    """Add a column as autogenerate renders it."""
    if made := world.operation(key_of_change(change), "AddColumnOp"):
        yield together(place.COLUMN, made.upgrade, made.downgrade, made.imports)


def column_removed(change: Change, world: World) -> Iterator[Part]:
    """Drop a column whose values are kept beside the table's key; the way back restores them."""
    made = world.operation(key_of_change(change), "DropColumnOp")
    if made is None:
        return
    step = Step(made.upgrade, made.downgrade, made.imports)
    if not change.before.get("generated"):
        step = _archived(change, world, step)
    yield Part(place.DROP_COLUMN, (step,))


def _archived(change: Change, world: World, step: Step) -> Step:
    """Keep the column's values before the step; put them in again after the step back."""
    assert change.table is not None
    table, column = change.table, change.object.removeprefix(f"{change.table}.")
    keys = _primary_key(world.head, table)
    copy = archive(world, parts(change.object))
    matched = " AND ".join(f"{table}.{key} = kept.{key}" for key in keys)
    keep = (
        f"CREATE TABLE {copy} AS SELECT {', '.join(keys)}, {column} FROM {table} "
        f"WHERE {column} IS NOT NULL"
    )
    restore = f"UPDATE {table} SET {column} = kept.{column} FROM {copy} AS kept WHERE {matched}"
    back, required = step.down, []
    if change.change == "removed" and _must_be_filled(change):
        back = back.replace("nullable=False", "nullable=True")
        required = [execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")]
    return Step(
        "\n".join([*_keep(table, keep), step.up]),
        "\n".join([back, execute(restore), *required, _forget(copy)]),
        step.imports,
    )


def _must_be_filled(change: Change) -> bool:
    return change.before.get("null") == "forbidden" and not change.before.get("default")


def archive(world: World, names: tuple[str, ...]) -> str:
    """Return where a destructive revision keeps rows."""
    return f"{ARCHIVE_SCHEMA}.{quoted('_'.join((world.revision, *names)))}"


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


# ---- changes of a column -------------------------------------------------------------------------


def column_changed(change: Change, world: World) -> Iterator[Part]:
    """Change what differs: as autogenerate renders it where that is all, else in SQL."""
    made = world.operation(key_of_change(change), "AlterColumnOp")
    null_comes = change.after.get("null") == "forbidden"
    if "null" in change.after:
        yield from _null_forbidden(change) if null_comes else [_null_allowed(change)]
    rest = [key for key in ("type", "default", "comment") if key in change.after]
    if not rest:
        return
    if made and _covers(made.upgrade, change) and not _cast(change.before, change.after):
        step = Step(made.upgrade, made.downgrade, made.imports)
    else:
        step = Step(
            "\n".join(_altered(change, change.before, change.after)),
            "\n".join(_altered(change, change.after, change.before)),
        )
    if parts(change.object) in world.narrowed:
        step = _archived(change, world, step)
    yield Part(place.ALTER, (step,))


_WORDS = {"type": "type_=", "default": " server_default=", "comment": " comment="}


def _covers(code: str, change: Change) -> bool:
    """Say whether the rendered operation changes exactly what differs."""
    told = {key for key, word in _WORDS.items() if word in code}
    return told == set(change.after) and " nullable=" not in code


def _cast(before: dict[str, str | None] | object, after: object) -> bool:
    old, new = getattr(before, "get", lambda _: None)("type"), getattr(after, "get")("type")
    if not old or not new:
        return False
    from_, to = parse_type(old).base, parse_type(new).base
    alike = from_ == to or any(from_ in group and to in group for group in _ALIKE)
    return not alike and to not in _TEXTS


