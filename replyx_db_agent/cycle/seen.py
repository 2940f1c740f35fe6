"""What PostgreSQL saw a revision do, in operations, whatever the text of the revision tells.

A text can hide what it does (DO, functions, triggers, search_path, names that look new). The trace
and the two catalogue snapshots cannot be talked round, so the same rules judge what they show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from replyx_db_agent.core.model import (
    AlterColumnType,
    AlterOther,
    ChangeRows,
    DropColumn,
    DropObject,
    DropTable,
    Hazard,
    HazardKind,
    HiddenStatement,
    InsertRows,
    Operation,
    Read,
    RenameColumn,
    RenameTable,
    Risk,
    Statement,
    Unknown,
)
from replyx_db_agent.core.schema import Change, Snapshot, diff, suggest_renames
from replyx_db_agent.cycle.rehearse import Rehearsal
from replyx_db_agent.engines import rows

ARCHIVE_SCHEMA = "replyx_db_agent"
"""Where destructive revisions keep the rows they take away; no part of the project's schema."""

DETACHED, ROWS_LOST, HIDDEN_CHANGE = (
    "partition-detached",
    "rows-lost",
    "whole-table-update-or-delete",
)
BESIDE_THE_RULES = frozenset({DETACHED, ROWS_LOST})
"""Destructive findings that no single operation tells, so that no rule can."""

_TYPES = {"enum": "type", "composite type": "type", "range type": "type", "domain": "domain"}
_CALLABLE = ("function", "procedure", "aggregate")
_GONE = ("view", "materialized view", "foreign table", "sequence", "schema", *_CALLABLE)
_STAMP = re.compile(r"(updated|modified|changed)(_at|_on)?")
"""Columns that triggers set at every UPDATE: another time there is no loss."""

_SAID = ("ChangeRows", "InsertRows", "AlterColumnType", "Truncate", "DropColumn", "DropTable")


def plain(name: str) -> str:
    """Return a name as texts and catalogue agree on it: no quotes, no arguments, no `public`."""
    return re.sub(r"\(.*\)$", "", name.replace('"', "")).removeprefix("public.")


def operations(rehearsal: Rehearsal) -> tuple[Operation, ...]:
    """Return the drops, renames and type changes that the trace and the catalogue show."""
    before, after = rehearsal.before, rehearsal.after
    if before is None or after is None:
        return ()
    dropped = list(_dropped(rehearsal, before))
    changes = diff(before, after)
    renames = dict(suggest_renames(changes))
    seen = [*dropped, *(o for c in changes for o in _operations(c, after, renames))]
    gone = {o.table for o in dropped if isinstance(o, DropTable)}
    columns = {(o.table, o.column) for o in dropped if isinstance(o, DropColumn)}
    return tuple(
        dict.fromkeys(
            o
            for o in seen
            if not (isinstance(o, RenameTable) and o.table in gone)
            and not (isinstance(o, RenameColumn) and (o.table, o.column) in columns)
        )
    )


def _dropped(rehearsal: Rehearsal, before: Snapshot) -> Iterator[DropTable | DropColumn]:
    """Yield what was there before and went, even when something of that name came back."""
    for drop in rehearsal.dropped:
        name = drop.identity.removeprefix("public.")
        kept_rows = name.startswith(f"{ARCHIVE_SCHEMA}.")
        if drop.kind == "table" and (("table", name) in before.objects or kept_rows):
            yield DropTable(name)
        column = before.objects.get(("column", name))
        if drop.kind == "table column" and column is not None and column.table:
            yield DropColumn(column.table, column.local_name)


def _operations(change: Change, after: Snapshot, renames: Mapping[str, str]) -> Iterator[Operation]:
    name, kind = change.object, change.object_kind
    if change.change == "changed":
        yield from _altered(change)
    elif change.change == "removed" and kind == "table":
        new = renames.get(name, "another name")
        if not _stands_in(change, after):
            yield RenameTable(name, new)
    elif change.change == "removed" and kind == "column" and change.table:
        new = renames.get(name, "another name").removeprefix(f"{change.table}.")
        yield RenameColumn(change.table, name.removeprefix(f"{change.table}."), new)
    elif change.change == "removed" and kind in (*_GONE, *_TYPES) and not _replaced(change, after):
        yield DropObject(_TYPES.get(kind, kind), name)


def _altered(change: Change) -> Iterator[Operation]:
    kind, name = change.object_kind, change.object
    old, new = change.before.get("type"), change.after.get("type")
    if kind == "column" and change.table and old and new:
        column = name.removeprefix(f"{change.table}.")
        yield AlterColumnType(change.table, column, new, old_type=old)
    elif kind == "enum" and "removed" in change.detail:
        yield AlterOther("ALTER TYPE ... RENAME VALUE", name=name)
    elif "attributes" in change.before:
        yield from _lost(change, _attributes, "attributes")
    elif kind in ("view", "materialized view"):
        yield from _lost(change, _view_columns, "definition")


def _lost(
    change: Change, columns_in: Callable[[str | None], list[str]], key: str
) -> Iterator[Operation]:
    """Yield the columns of a view, or attributes of a type, that have gone or are named anew."""
    now = columns_in(change.after.get(key))
    for column in columns_in(change.before.get(key)):
        if column not in now:
            yield RenameColumn(change.object, column, "another name")


def _attributes(text: str | None) -> list[str]:
    return re.findall(r'(?:^|, )("(?:[^"]|"")+"|[^\W\d][\w$]*)(?= )', text or "")


def _view_columns(definition: str | None) -> list[str]:
    """Return the columns of a view whose SELECT list stands line by line, as PostgreSQL prints."""
    found = re.match(r"\s*SELECT (?:DISTINCT )?(.*?)\n\s+FROM ", definition or "", re.S)
    return [_words(line)[-1] for line in found[1].split(",\n") if _words(line)] if found else []


def _words(text: str | None) -> list[str]:
    return re.findall(r'"(?:[^"]|"")+"|\w+', text or "")


def _stands_in(removed: Change, after: Snapshot) -> bool:
    """Say whether a view under the old name gives every column that the table had."""
    view = after.objects.get(("view", removed.object))
    if view is None:
        return False
    given = _view_columns(view.attributes.get("definition"))
    columns = [k.removeprefix("column ") for k in removed.before if k.startswith("column ")]
    return set(columns) <= set(given)


def _replaced(removed: Change, after: Snapshot) -> bool:
    """Say whether a function of the same name, with other arguments, took its place."""
    name = plain(removed.object)
    return removed.object_kind in _CALLABLE and any(
        kind in _CALLABLE and plain(other) == name for kind, other in after.objects
    )


# ---- rows ----------------------------------------------------------------------------------------


def row_hazards(rehearsal: Rehearsal, up: Sequence[Statement]) -> Iterator[Hazard]:
    """Yield a hazard for every table whose rows went or changed in a way that counts as a loss."""
    before, after = rehearsal.content, rehearsal.content_after
    told = _told(up)
    for name, was in before.items():
        now = after.get(name)
        if now is None or not (found := rows.compare({name: was}, {name: now}, shared=True)):
            continue
        words = told.get(plain(name), frozenset())
        sentence = "; ".join(found)
        if not words:
            yield _hidden(rehearsal, name, sentence)
        elif name not in rehearsal.restored and _is_loss(rehearsal, name, words):
            yield _rows_lost(rehearsal, name, sentence)


def _told(up: Sequence[Statement]) -> dict[str, frozenset[str]]:
    """Return which kinds of change the texts announce, by table."""
    told: dict[str, frozenset[str]] = {}
    for operation in (o for s in up for o in s.operations):
        word = type(operation).__name__
        table = plain(getattr(operation, "table", None) or "")
        if word in _SAID and table:
            told[table] = told.get(table, frozenset()) | {word}
    return told


def _is_loss(rehearsal: Rehearsal, table: str, told: frozenset[str]) -> bool:
    """Say whether content that was there is not there any more.

    Digests tell of gains and losses in sum; PostgreSQL's counters tell when a gain hides a loss.
    """
    was, now = rehearsal.content[table], rehearsal.content_after[table]
    counted = {w.verb: w.rows for w in rehearsal.writes if w.table == table}
    if now.count > was.count:
        return bool(counted or told - {"InsertRows"})
    shared = [
        (old, now.columns[name])
        for name, old in was.columns.items()
        if name in now.columns and not _STAMP.fullmatch(name)
    ]
    gained = max([0, *(new.present - old.present for old, new in shared)])
    return (
        now.count < was.count
        or "AlterColumnType" in told
        or (counted.get("update", 0) > gained and any(new != old for old, new in shared))
        or any(new.present <= old.present and new != old for old, new in shared)
    )


def _hidden(rehearsal: Rehearsal, table: str, sentence: str) -> Hazard:
    return Hazard(
        rule=HIDDEN_CHANGE,
        kind=HazardKind.SILENT_DATA_CHANGE,
        risk=Risk.HIGH,
        object=table,
        message=f'The upgrade changed rows of "{table}" though no statement of it says so: '
        f"{sentence}.",
        instead="Write the change as plain statements in a data revision of its own, "
        "in batches, with a log.",
        file=rehearsal.revision.path,
        evidence="rows compared before and after the upgrade",
    )


def _rows_lost(rehearsal: Rehearsal, table: str, sentence: str) -> Hazard:
    return Hazard(
        rule=ROWS_LOST,
        kind=HazardKind.LOSES_DATA,
        risk=Risk.HIGH,
        object=table,
        message=f'Rows of "{table}" are gone or overwritten after the upgrade ({sentence}), and '
        "the way back does not bring them back.",
        instead=f"Keep them first, in a table of the schema {ARCHIVE_SCHEMA}, and let the "
        "downgrade put them back.",
        file=rehearsal.revision.path,
        evidence="rows compared before the upgrade, after it and after the downgrade",
    )


# ---- the rest ------------------------------------------------------------------------------------


def detached(rehearsal: Rehearsal) -> Iterator[Hazard]:
    """Yield a hazard for every partition or child table that its parent no longer reads."""
    if rehearsal.before is None or rehearsal.after is None:
        return
    for change in diff(rehearsal.before, rehearsal.after):
        parents = [p for p in (change.before.get("inherits") or "").split(", ") if p]
        now = (change.after.get("inherits") or "").split(", ")
        if change.object_kind != "table" or change.change != "changed":
            continue
        for parent in (p for p in parents if p not in now):
            yield Hazard(
                rule=DETACHED,
                kind=HazardKind.BREAKS_RUNNING_CODE,
                risk=Risk.HIGH,
                object=change.object,
                message=f'The rows of "{change.object}" disappear from "{parent}": running code '
                "that reads them there finds nothing.",
                instead="Release code that no longer reads them, then detach in a contract "
                f"revision whose downgrade attaches {change.object} again.",
                file=rehearsal.revision.path,
                evidence="catalogue before and after the upgrade",
            )


def hidden_calls(
    rehearsal: Rehearsal, emitted: str, operations: Sequence[Operation]
) -> tuple[Operation, ...]:
    """Return the calls of the project's own functions that carry the name of a harmless one."""
    known = any(isinstance(o, HiddenStatement | Unknown) for o in operations)
    if known or not any(isinstance(o, Read | ChangeRows | InsertRows) for o in operations):
        return ()
    return tuple(
        HiddenStatement(f"function {name}")
        for name in sorted(_own_functions(rehearsal))
        if re.search(rf'(?<![\w$])"?{re.escape(name)}"?\s*\(', emitted, re.I)
    )


def _own_functions(rehearsal: Rehearsal) -> set[str]:
    both: Iterable[tuple[str, str]] = (
        key for one in (rehearsal.before, rehearsal.after) if one for key in one.objects
    )
    return {plain(name).rpartition(".")[2] for kind, name in both if kind in _CALLABLE}


def without_content(rehearsal: Rehearsal) -> tuple[str, ...]:
    """Return the tables and columns of which no content could be compared, as `plain` names."""
    before = rehearsal.before
    if before is None:
        return ()
    content = rehearsal.content
    tables = [name for (kind, name) in before.objects if kind == "table"]
    bare = [t for t in tables if t not in content or not content[t].count]
    columns = [
        f"{table}.{column}"
        for table, was in content.items()
        for column, values in was.columns.items()
        if was.count and not values.present
    ]
    return tuple(plain(name) for name in (*bare, *columns))
