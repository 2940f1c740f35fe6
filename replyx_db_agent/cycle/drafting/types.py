"""Draft forms of what tables rest on: schemas, extensions, enumerated types, sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from replyx_db_agent.core.schema import Change, SchemaObject, Snapshot
from replyx_db_agent.cycle.drafting import parts as place
from replyx_db_agent.cycle.drafting.enum_labels import added_labels, labels_of
from replyx_db_agent.cycle.drafting.names import parts, quoted, schema_of
from replyx_db_agent.cycle.drafting.parts import Part, Step, World, together
from replyx_db_agent.cycle.drafting.source import execute
from replyx_db_agent.cycle.drafting.tables import comment_changed, comment_on

_SEQUENCE_WORDS = {
    "start": "START WITH",
    "increment": "INCREMENT BY",
    "minimum": "MINVALUE",
    "maximum": "MAXVALUE",
    "cache": "CACHE",
    "cycle": "CYCLE",
}


def extension_added(change: Change, world: World) -> Iterator[Part]:
    """Create an extension (the tools draft only vector's)."""
    up = execute(f"CREATE EXTENSION IF NOT EXISTS {change.object}")
    yield together(place.SCHEMA, up, execute(f"DROP EXTENSION {change.object}"))


def schema_added(change: Change, world: World) -> Iterator[Part]:
    """Create a schema."""
    up = execute(f"CREATE SCHEMA {change.object}")
    yield together(place.SCHEMA, up, execute(f"DROP SCHEMA {change.object}"))


def schema_removed(change: Change, world: World) -> Iterator[Part]:
    """Drop a schema, which must be empty by then."""
    down = execute(f"CREATE SCHEMA {change.object}")
    yield together(place.DROP_SCHEMA, execute(f"DROP SCHEMA {change.object}"), down)


def sequence_added(change: Change, world: World) -> Iterator[Part]:
    """Create a sequence that no column owns."""
    if not change.after.get("owned by"):
        made = _created_sequence(change.object, change.after["type"], change.after["options"])
        yield together(place.TYPE, execute(made), execute(f"DROP SEQUENCE {change.object}"))


def _created_sequence(name: str, type_: str | None, options: str | None) -> str:
    words = (_SEQUENCE_WORDS.get(word, word) for word in (options or "").split())
    return f"CREATE SEQUENCE {name} AS {type_} {' '.join(words)}"


# ---- enumerated types ----------------------------------------------------------------------------


def enum_added(change: Change, world: World) -> Iterator[Part]:
    """Create the type by itself: a table that would create it would not drop it again."""
    yield Part(place.TYPE, (_enum(change.object, change.after),))


def enum_removed(change: Change, world: World) -> Iterator[Part]:
    """Drop the type after the last column that uses it."""
    step = _enum(change.object, change.before)
    yield Part(place.DROP_TYPE, (Step(step.down, step.up),))


def _enum(name: str, attributes: Mapping[str, str | None]) -> Step:
    up = execute(f"CREATE TYPE {name} AS ENUM ({attributes['labels']})")
    if comment := attributes.get("comment"):
        up += "\n" + comment_on("type", name, comment, None).up
    return Step(up, execute(f"DROP TYPE {name}"))


def enum_changed(change: Change, world: World) -> Iterator[Part]:
    """Add labels where the models have them; a label that goes, or moves, is not drafted."""
    if "labels" not in change.after:
        yield comment_changed(change, "type", change.object)
        return
    was, now = (labels_of(a["labels"]) for a in (change.before, change.after))
    if [label for label in now if label in was] != was:
        return
    up = [execute(line) for line in added_labels(change.object, was, now)]
    why = (
        f"A label of {change.object} can be used only after the transaction that added it. "
        "PostgreSQL cannot take a label away: the way back makes the type anew, writes the tables "
        "that use it again, and fails while a row holds a new label."
    )
    step = Step("\n".join(up), "\n".join(_made_anew(change, world)))
    yield Part(place.ENUM_VALUES, (step,), "_enum", why, autocommit=True, back_in_transaction=True)


def _made_anew(change: Change, world: World) -> Iterator[str]:
    """Yield code that gives the type its old labels back, and so every column that uses it."""
    before = schema_of(change.object) + quoted(f"{parts(change.object)[-1]}_before")
    yield execute(f"CREATE TYPE {before} AS ENUM ({change.before['labels']})")
    users = list(_columns_of(world.head, change.object))
    for column in users:
        start = f"ALTER TABLE {column.table} ALTER COLUMN {column.local_name}"
        many = "[]" if (column.attributes["type"] or "").endswith("[]") else ""
        if column.attributes.get("default"):
            yield execute(f"{start} DROP DEFAULT")
        using = f"{column.local_name}::text{many}::{before}{many}"
        yield execute(f"{start} TYPE {before}{many} USING {using}")
    yield execute(f"DROP TYPE {change.object}")
    last = change.object.removeprefix(schema_of(change.object))
    yield execute(f"ALTER TYPE {before} RENAME TO {last}")
    for column in users:
        if default := column.attributes.get("default"):
            start = f"ALTER TABLE {column.table} ALTER COLUMN {column.local_name}"
            yield execute(f"{start} SET DEFAULT {default}")


def _columns_of(snapshot: Snapshot, type_: str) -> Iterator[SchemaObject]:
    for thing in snapshot.objects.values():
        if thing.kind == "column" and thing.attributes["type"] in (type_, f"{type_}[]"):
            yield thing
