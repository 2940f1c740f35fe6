"""The catalogue snapshot as values, and the difference between two of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

ChangeVerb = Literal["added", "removed", "changed"]

READING_ORDER = (
    "extension",
    "schema",
    "collation",
    "enum",
    "domain",
    "composite type",
    "range type",
    "sequence",
    "table",
    "foreign table",
    "column",
    "constraint",
    "index",
    "statistics",
    "view",
    "materialized view",
    "function",
    "procedure",
    "aggregate",
    "trigger",
    "rule",
    "policy",
    "event trigger",
    "publication",
)
"""Every kind of object a snapshot holds, each after the kinds it can depend on."""

_COME_WITH_THEIR_TABLE = ("column", "constraint", "index", "sequence", "statistics")
_TABLES = ("table", "foreign table", "view", "materialized view")
_TYPE_OF_A_COLUMN = ("type", "collation", "generated", "identity")


@dataclass(frozen=True)
class SchemaObject:
    """One object of a schema.

    `kind`: table, column, constraint, index, ... (PostgreSQL's words, lower case).
    `name`: the name a person would use; columns, constraints and triggers carry their table
    (`users.email`). Schema `public` is not written, any other schema is (`billing.events`).
    `table`: the table it belongs to, if any.
    `attributes`: everything about it that counts as a difference, as text.
    """

    kind: str
    name: str
    table: str | None
    attributes: Mapping[str, str | None]

    @property
    def local_name(self) -> str:
        """The name without the table: `email` of `users.email`."""
        return self.name.removeprefix(f"{self.table}.") if self.table else self.name


@dataclass(frozen=True)
class Change:
    """One difference: `detail` says it in words, `before` and `after` hold the changed attributes.

    For a table that is added or removed, `before` or `after` also hold what comes or goes with it:
    `column email` -> `type text, null allowed`.
    """

    object: str
    object_kind: str
    change: ChangeVerb
    detail: str
    table: str | None
    before: Mapping[str, str | None]
    after: Mapping[str, str | None]


@dataclass(frozen=True)
class Snapshot:
    """Every object of a database that a schema change can touch, keyed by (kind, name)."""

    objects: Mapping[tuple[str, str], SchemaObject]


def snapshot_of(objects: Iterable[SchemaObject]) -> Snapshot:
    """Return the snapshot holding these objects."""
    return Snapshot({(o.kind, o.name): o for o in objects})


def diff(before: Snapshot, after: Snapshot) -> tuple[Change, ...]:
    """Return what turns `before` into `after`: additions and changes first, in reading order.

    Removals follow in reverse order. Columns, constraints, indexes and sequences of a table that
    comes or goes are told with the table; those a partition only inherits, with its parent.
    """
    added = _whole(after, before)
    removed = _whole(before, after)
    changed = [
        _changed(old, after.objects[key])
        for key, old in before.objects.items()
        if key in after.objects and dict(old.attributes) != dict(after.objects[key].attributes)
    ]
    coming = _children_by_table(after) if added else {}
    going = _children_by_table(before) if removed else {}
    every = [
        *(_added(thing, _children(thing, coming)) for thing in added),
        *(_removed(thing, _children(thing, going)) for thing in removed),
        *changed,
    ]
    kept = list(_without_inherited(every, before, after))
    forward = sorted((c for c in kept if c.change != "removed"), key=_reading_position)
    backward = sorted((c for c in kept if c.change == "removed"), key=_reading_position)
    return (*forward, *reversed(backward))


def trace_left(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Return, as sentences, what a way up and back down did not restore.

    `before` was taken before the upgrade, `after` after the downgrade; no sentence, no trace.
    """
    return tuple(_trace(change) for change in diff(before, after))


def suggest_renames(changes: Iterable[Change]) -> tuple[tuple[str, str], ...]:
    """Return pairs (old, new) that may be one renamed thing instead of a loss and a gain.

    Columns of one table with the same type, and tables with the same columns; only where there is
    exactly one candidate on both sides.
    """
    groups: dict[tuple[str, ...], list[Change]] = defaultdict(list)
    for change in changes:
        if change.change != "changed" and (key := _rename_key(change)):
            groups[key].append(change)
    pairs = [_one_pair(group) for group in groups.values()]
    return tuple(pair for pair in pairs if pair)


def _whole(these: Snapshot, others: Snapshot) -> list[SchemaObject]:
    """Return the objects of `these` that `others` lacks and that do not come with their table."""
    return [
        thing
        for key, thing in these.objects.items()
        if key not in others.objects and not _comes_with_table(thing, these, others)
    ]


def _comes_with_table(thing: SchemaObject, these: Snapshot, others: Snapshot) -> bool:
    if thing.table is None or thing.kind not in _COME_WITH_THEIR_TABLE:
        return False
    return any(
        (kind, thing.table) in these.objects and (kind, thing.table) not in others.objects
        for kind in _TABLES
    )


def _children_by_table(of: Snapshot) -> dict[str, dict[str, str | None]]:
    """Return what comes or goes with each table, in words: `column email` -> `type text, ...`."""
    things = [
        thing
        for thing in of.objects.values()
        if thing.table is not None and thing.kind in _COME_WITH_THEIR_TABLE
    ]
    children: dict[str, dict[str, str | None]] = defaultdict(dict)
    for thing in sorted(things, key=_position_in_table):
        children[thing.table or ""][f"{thing.kind} {thing.local_name}"] = _description(thing)
    return children


def _position_in_table(thing: SchemaObject) -> tuple[int, str]:
    # Columns stay as the snapshot gives them: in their order in the table.
    return READING_ORDER.index(thing.kind), "" if thing.kind == "column" else thing.name


def _description(thing: SchemaObject) -> str:
    shown = {key: value for key, value in thing.attributes.items() if key != "inherited"}
    return ", ".join(
        f"{value}" if key == "definition" else f"{key} {value}" for key, value in shown.items()
    )


def _children(
    thing: SchemaObject, by_table: Mapping[str, dict[str, str | None]]
) -> dict[str, str | None]:
    return by_table.get(thing.name, {}) if thing.kind in _TABLES else {}


def _added(thing: SchemaObject, children: Mapping[str, str | None]) -> Change:
    return Change(
        object=thing.name,
        object_kind=thing.kind,
        change="added",
        detail=_added_detail(thing, children),
        table=thing.table,
        before={},
        after={**thing.attributes, **children},
    )


def _removed(thing: SchemaObject, children: Mapping[str, str | None]) -> Change:
    names = _names_of(children)
    return Change(
        object=thing.name,
        object_kind=thing.kind,
        change="removed",
        detail=f'{thing.kind} "{thing.local_name}" is missing{names and f", with {names}"}',
        table=thing.table,
        before={**thing.attributes, **children},
        after={},
    )


def _changed(old: SchemaObject, new: SchemaObject) -> Change:
    keys = [
        key
        for key in dict.fromkeys([*old.attributes, *new.attributes])
        if old.attributes.get(key) != new.attributes.get(key)
    ]
    before = {key: old.attributes.get(key) for key in keys}
    after = {key: new.attributes.get(key) for key in keys}
    return Change(
        object=old.name,
        object_kind=old.kind,
        change="changed",
        detail="; ".join(_difference(key, before[key], after[key]) for key in keys),
        table=old.table,
        before=before,
        after=after,
    )


def _added_detail(thing: SchemaObject, children: Mapping[str, str | None]) -> str:
    subject = f'{thing.kind} "{thing.local_name}"'
    if thing.kind in ("column", "domain"):
        rest = _description(thing).removeprefix("type ")
        return f"{subject} of type {rest}"
    if children:
        return f"{subject} with {_names_of(children)}"
    definition = thing.attributes.get("definition") or ""
    described = "" if "\n" in definition else _description(thing)
    return f"{subject}: {described}" if described else subject


def _names_of(children: Mapping[str, str | None]) -> str:
    """Return `columns id, email; index ix_email`."""
    groups: dict[str, list[str]] = defaultdict(list)
    for key in children:
        kind, _, name = key.partition(" ")
        groups[kind].append(name)
    return "; ".join(
        f"{_plural(kind) if len(names) > 1 else kind} {', '.join(names)}"
        for kind, names in groups.items()
    )


def _plural(kind: str) -> str:
    if kind.endswith("s"):
        return kind
    return f"{kind}es" if kind.endswith("x") else f"{kind}s"


def _difference(key: str, old: str | None, new: str | None) -> str:
    if key == "labels":
        return _labels_difference(old or "", new or "")
    if old is None:
        return f"{key} {new} is added"
    if new is None:
        return f"{key} {old} is removed"
    if "\n" in old or "\n" in new:
        return f"{key} differs"
    return f"{key} from {old} to {new}"


def _labels_difference(old: str, new: str) -> str:
    was, now = _labels(old), _labels(new)
    added = [f"label {label} is added" for label in now if label not in was]
    removed = [f"label {label} is removed" for label in was if label not in now]
    if [label for label in was if label in now] != [label for label in now if label in was]:
        removed.append(f"labels from {old} to {new}")
    return "; ".join([*added, *removed])


def _labels(text: str) -> list[str]:
    return re.findall(r"'(?:[^']|'')*'", text)


def _without_inherited(
    changes: list[Change], before: Snapshot, after: Snapshot
) -> Iterator[Change]:
    """Leave out what happened to a partition only because it happened to its parent."""
    happened = {(c.object_kind, c.change, c.table) for c in changes}
    for change in changes:
        parents = _parents_if_inherited(change, before, after)
        if not any((change.object_kind, change.change, parent) in happened for parent in parents):
            yield change


def _parents_if_inherited(change: Change, before: Snapshot, after: Snapshot) -> list[str]:
    sides = [of.objects.get((change.object_kind, change.object)) for of in (before, after)]
    if not all(side.attributes.get("inherited") for side in sides if side):
        return []
    tables = [of.objects.get(("table", change.table or "")) for of in (before, after)]
    return [
        parent
        for table in tables
        if table
        for parent in (table.attributes.get("inherits") or "").split(", ")
        if parent
    ]


def _reading_position(change: Change) -> tuple[int, str]:
    return READING_ORDER.index(change.object_kind), change.object


def _trace(change: Change) -> str:
    subject = f'{change.object_kind} "{change.object}"'
    if change.change == "removed":
        return f"{subject} is not restored"
    if change.change == "added":
        return f"{subject} is left behind"
    return "; ".join(
        f"{subject} {_came_back(key, change.before[key], change.after[key])}"
        for key in change.after
    )


def _came_back(key: str, was: str | None, now: str | None) -> str:
    if now is None:
        return f"came back without {key}, it was {was}"
    if "\n" in now or "\n" in (was or ""):
        return f"came back with another {key}"
    what = now if key == "type" else f"{key} {now}"
    verb = "came back as" if key == "type" else "came back with"
    return f"{verb} {what}, it had none" if was is None else f"{verb} {what}, it was {was}"


def _rename_key(change: Change) -> tuple[str, ...] | None:
    """Return what a removed and an added thing must share to be one renamed thing."""
    attributes = change.before or change.after
    if change.object_kind == "column":
        kept = (attributes.get(key) or "" for key in _TYPE_OF_A_COLUMN)
        return ("column", change.table or "", *kept)
    if change.object_kind == "table":
        columns = sorted(
            f"{key} {value}" for key, value in attributes.items() if key.startswith("column ")
        )
        return ("table", *columns) if columns else None
    return None


def _one_pair(group: list[Change]) -> tuple[str, str] | None:
    if sorted(change.change for change in group) != ["added", "removed"]:
        return None
    added, removed = sorted(group, key=lambda change: change.change)
    return removed.object, added.object
