"""Draft forms of whole tables, and of comments on anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from replyx_db_agent.core.schema import Change, SchemaObject, Snapshot
from replyx_db_agent.cycle.drafting import parts as place
from replyx_db_agent.cycle.drafting.kept import kept_table
from replyx_db_agent.cycle.drafting.names import Key, key_of_change, parts
from replyx_db_agent.cycle.drafting.parts import Part, Step, World, of_table, together
from replyx_db_agent.cycle.drafting.source import execute

_REFERS = re.compile(r"\bREFERENCES ((?:\"[^\"]+\"|[^(\" ])+)\(")


def table_added(change: Change, world: World) -> Iterator[Part]:
    """Create a table with its indexes; a key that closes a circle of new tables comes after all."""
    key = key_of_change(change)
    made = world.operation(key, "CreateTableOp")
    if made is None:
        return
    yield together(place.TABLE, made.upgrade, made.downgrade, made.imports)
    for (kind, name), operations in world.operations.items():
        if kind == "constraint" and name[:-1] == key[1]:
            for one in operations:
                yield together(place.TABLE + 1, one.upgrade, one.downgrade, one.imports)
    for index in of_table(world.models, "index", change.object):
        yield together(place.TABLE + 2, execute(_definition(index)), "")
    for step in _comments(world.models, change.object):
        yield together(place.TABLE + 3, step.up, "")


def table_changed(change: Change, world: World) -> Iterator[Part]:
    """Change a table's comment; other properties of a table are not drafted."""
    if "comment" in change.after:
        yield comment_changed(change, "table", change.object)


def table_removed(change: Change, world: World) -> Iterator[Part]:
    """Drop a table whose rows are kept; the way back makes it anew and puts them in."""
    made = world.operation(key_of_change(change), "DropTableOp")
    if made is None:
        return
    indexes = [execute(_definition(i)) for i in of_table(world.head, "index", change.object)]
    comments = [step.up for step in _comments(world.head, change.object)]
    step = Step(made.upgrade, made.downgrade, made.imports)
    step = kept_table(step, change.object, world, [*indexes, *comments])
    yield Part(place.DROP_TABLE, (step,))


def order_of_drops(changes: Sequence[Change]) -> dict[Key, int]:
    """Return the place of each table that goes: after those that refer to it."""
    names = {c.object for c in changes if (c.object_kind, c.change) == ("table", "removed")}
    waiting = {
        c.object: {found for value in c.before.values() for found in _REFERS.findall(value or "")}
        for c in changes
        if c.object in names and c.object_kind == "table"
    }
    order: dict[Key, int] = {}
    while waiting:
        needed = {to for name, targets in waiting.items() for to in targets if to != name}
        free = [name for name in waiting if name not in needed] or list(waiting)
        for name in free:
            del waiting[name]
            order["table", parts(name)] = len(order)
    return order


def _definition(index: SchemaObject) -> str:
    return index.attributes["definition"] or ""


def _comments(snapshot: Snapshot, table: str) -> Iterator[Step]:
    """Yield the comments that creating the table leaves out."""
    for thing in [*of_table(snapshot, "constraint", table), *of_table(snapshot, "index", table)]:
        if text := thing.attributes.get("comment"):
            yield comment_on(thing.kind, target_of(thing.kind, thing.name, table), text, None)


def target_of(kind: str, name: str, table: str | None) -> str:
    """Return how COMMENT names the thing."""
    return f"{name.removeprefix(f'{table}.')} ON {table}" if kind == "constraint" else name


def comment_changed(change: Change, kind: str, target: str) -> Part:
    """Return the step that changes a comment, in the transactional revision."""
    step = comment_on(kind, target, change.after["comment"], change.before["comment"])
    return Part(place.COMMENT, (step,))


def comment_on(kind: str, target: str, text: str | None, was: str | None) -> Step:
    """Return a step that gives a thing its comment and, on the way back, its old one."""
    start = f"COMMENT ON {kind.upper()} {target} IS "
    return Step(execute(start + _sql_text(text)), execute(start + _sql_text(was)))


def _sql_text(text: str | None) -> str:
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"
