"""The statements of a change in the form a draft gives it, for people and for the rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from replyx_db_agent.core.schema import Change
from replyx_db_agent.cycle.drafting.enum_labels import added_labels, labels_of

_VALIDATED_APART = ("FOREIGN KEY", "CHECK")
_COLUMN = re.compile(
    r"type (?P<type>.+?), null (?P<null>\w+)(?:, not \w+)*(?:, default (?P<default>.+?))?"
    r"(?:, (?:generated|identity|collation|storage|compression|statistics|options|comment) .*)?",
    re.DOTALL,
)


def planned_ddl(change: Change) -> tuple[str, ...]:
    """Return the DDL that makes this change in the form a draft gives it, for the rules to judge.

    Indexes are built and dropped CONCURRENTLY, foreign keys validated apart.
    """
    form: Callable[[Change], Iterable[str]] = _DDL.get((change.object_kind, change.change), _no_ddl)
    return tuple(form(change))


def _no_ddl(change: Change) -> Iterable[str]:
    return ()


def _local(change: Change) -> str:
    return change.object.removeprefix(f"{change.table}.")


def _add_column(change: Change) -> Iterable[str]:
    a = change.after
    words = [f"ALTER TABLE {change.table} ADD COLUMN {_local(change)} {a['type']}"]
    if a.get("default"):
        words.append(f"DEFAULT {a['default']}")
    if a.get("null") == "forbidden":
        words.append("NOT NULL")
    if generated := a.get("generated"):
        kind, _, expression = generated.partition(" as ")
        words.append(f"GENERATED ALWAYS AS ({expression}) {kind.upper()}")
    yield " ".join(words)


def _change_column(change: Change) -> Iterable[str]:
    start = f"ALTER TABLE {change.table} ALTER COLUMN {_local(change)}"
    if "type" in change.after:
        yield f"{start} TYPE {change.after['type']}"
    if "null" in change.after:
        yield f"{start} {'SET' if change.after['null'] == 'forbidden' else 'DROP'} NOT NULL"
    if "default" in change.after:
        default = change.after["default"]
        yield f"{start} SET DEFAULT {default}" if default else f"{start} DROP DEFAULT"


def _add_constraint(change: Change) -> Iterable[str]:
    definition = change.after.get("definition") or ""
    name = _local(change)
    add = f"ALTER TABLE {change.table} ADD CONSTRAINT {name} {definition}"
    if definition.startswith(_VALIDATED_APART):
        yield add if definition.endswith("NOT VALID") else f"{add} NOT VALID"
        yield f"ALTER TABLE {change.table} VALIDATE CONSTRAINT {name}"
    elif definition.startswith("UNIQUE ("):
        columns = definition.removeprefix("UNIQUE ").partition(" DEFERRABLE")[0]
        yield f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {change.table} {columns}"
        yield f"ALTER TABLE {change.table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}"
    else:
        yield add


def _change_constraint(change: Change) -> Iterable[str]:
    if definition := change.after.get("definition"):
        name = _local(change)
        start = f"ALTER TABLE {change.table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name}"
        if definition.startswith(_VALIDATED_APART):
            yield f"{start} {definition} NOT VALID"
            yield f"ALTER TABLE {change.table} VALIDATE CONSTRAINT {name}"
        else:
            yield f"{start} {definition}"


def _change_enum(change: Change) -> Iterable[str]:
    was, now = (labels_of(a.get("labels")) for a in (change.before, change.after))
    if [label for label in now if label in was] == was:
        yield from added_labels(change.object, was, now)


def _change_index(change: Change) -> Iterable[str]:
    if "definition" in change.after:
        yield f"DROP INDEX CONCURRENTLY {change.object}"
        yield from _add_index(change)


def _add_index(change: Change) -> Iterable[str]:
    if definition := change.after.get("definition"):
        yield definition.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)


def _add_table(change: Change) -> Iterable[str]:
    inside = []
    for key, value in change.after.items():
        kind, _, name = key.partition(" ")
        if kind == "column":
            inside.append(f"{name} {_column(value or '')}")
        elif kind == "constraint":
            inside.append(f"CONSTRAINT {name} {_without_comment(value)}")
    yield f"CREATE TABLE {change.object} ({', '.join(inside)})"
    for key, value in change.after.items():
        if key.startswith("index "):
            yield _without_comment(value)


def _column(described: str) -> str:
    """Return the SQL of a column that the diff tells as `type text, null forbidden, ...`."""
    found = _COLUMN.fullmatch(described)
    if found is None:
        return described.removeprefix("type ")
    default = f" DEFAULT {found['default']}" if found["default"] else ""
    required = " NOT NULL" if found["null"] == "forbidden" else ""
    return f"{found['type']}{default}{required}"


def _without_comment(definition: str | None) -> str:
    return (definition or "").partition(", comment ")[0]


_DDL: dict[tuple[str, str], Callable[[Change], Iterable[str]]] = {
    ("table", "added"): _add_table,
    ("table", "removed"): lambda c: (f"DROP TABLE {c.object}",),
    ("column", "added"): _add_column,
    ("column", "removed"): lambda c: (f"ALTER TABLE {c.table} DROP COLUMN {_local(c)}",),
    ("column", "changed"): _change_column,
    ("constraint", "added"): _add_constraint,
    ("constraint", "changed"): _change_constraint,
    ("constraint", "removed"): lambda c: (f"ALTER TABLE {c.table} DROP CONSTRAINT {_local(c)}",),
    ("index", "added"): _add_index,
    ("index", "changed"): _change_index,
    ("index", "removed"): lambda c: (f"DROP INDEX CONCURRENTLY {c.object}",),
    ("enum", "added"): lambda c: (f"CREATE TYPE {c.object} AS ENUM ({c.after['labels']})",),
    ("enum", "changed"): _change_enum,
    ("schema", "added"): lambda c: (f"CREATE SCHEMA {c.object}",),
    ("schema", "removed"): lambda c: (f"DROP SCHEMA {c.object}",),
    ("enum", "removed"): lambda c: (f"DROP TYPE {c.object}",),
}
