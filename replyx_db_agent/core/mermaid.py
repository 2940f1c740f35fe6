"""The ER diagram of a snapshot in Mermaid, in the subset that GitHub draws."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from replyx_db_agent.core.schema import SchemaObject, Snapshot

Detail = Literal["columns", "keys", "relations"]

MAX_CHARACTERS = 45_000
"""GitHub refuses a diagram of more than 50,000 characters."""

_IDENTIFIER = r'(?:"(?:[^"]|"")*"|[^\s".,()]+)'
_COLUMNS = rf"\((?P<columns>{_IDENTIFIER}(?:, (?:PERIOD )?{_IDENTIFIER})*)[^)]*\)"
_FOREIGN_KEY = re.compile(
    rf"FOREIGN KEY {_COLUMNS} REFERENCES (?P<table>{_IDENTIFIER}(?:\.{_IDENTIFIER})?)\("
)
_KEY = re.compile(rf"(?P<kind>PRIMARY KEY|UNIQUE)(?: NULLS NOT DISTINCT)? {_COLUMNS}")
_KEY_MARKS = {"PRIMARY KEY": "PK", "UNIQUE": "UK"}

_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_WORD_OF_MERMAID = re.compile(
    r"accdescr|acctitle|class|classdef|direction|end|erdiagram|many|one|only|optionally|style"
    r"|subgraph|title|to|u|zero",
    re.I,
)
_SHORT_TYPES = (
    (re.compile(r"\b(timestamp|time)(\(\d+\))? with time zone"), r"\1tz\2"),
    (re.compile(r" without time zone"), ""),
    (re.compile(r"\bcharacter varying"), "varchar"),
    (re.compile(r"\bcharacter\b"), "char"),
    (re.compile(r",\s*"), "_"),
    (re.compile(r"[^A-Za-z0-9_\[\]()]+"), "_"),
)


@dataclass(frozen=True)
class Diagram:
    """The text of the diagram, and what of the tables still fitted into it."""

    text: str
    detail: Detail


@dataclass
class _Table:
    """What the diagram shows of a table: its columns, its keys, where its foreign keys lead."""

    columns: list[SchemaObject] = field(default_factory=list)
    marks: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    keys: list[set[str]] = field(default_factory=list)
    references: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


def er_diagram(snapshot: Snapshot) -> Diagram:
    """Return the diagram of every table but the partitions, as detailed as GitHub can draw."""
    tables = _tables(snapshot)
    names = _names(sorted(tables))
    relations = sorted(_relations(tables, names))
    details: tuple[Detail, ...] = ("columns", "keys", "relations")
    for detail in details:
        entities = (_entity(names[name], tables[name], detail) for name in sorted(tables))
        lines = ["erDiagram", *(line for entity in entities for line in entity), *relations]
        text = "\n".join(lines)
        if len(text) <= MAX_CHARACTERS:
            break
    return Diagram(text, detail)


def _tables(snapshot: Snapshot) -> dict[str, _Table]:
    tables = {
        thing.name: _Table()
        for thing in snapshot.objects.values()
        if thing.kind in ("table", "foreign table") and not thing.attributes.get("partition bound")
    }
    for thing in snapshot.objects.values():
        table = tables.get(thing.table or "")
        if table and thing.kind == "column":
            table.columns.append(thing)
        elif table and thing.kind == "constraint":
            _read_constraint(table, thing.attributes.get("definition") or "")
    return tables


def _read_constraint(table: _Table, definition: str) -> None:
    if key := _KEY.match(definition):
        columns = _identifiers(key["columns"])
        table.keys.append(set(columns))
        if len(columns) == 1 or key["kind"] == "PRIMARY KEY":
            _mark(table, columns, _KEY_MARKS[key["kind"]])
    elif reference := _FOREIGN_KEY.match(definition):
        columns = _identifiers(reference["columns"])
        table.references.append((reference["table"], columns))
        _mark(table, columns, "FK")


def _mark(table: _Table, columns: Iterable[str], mark: str) -> None:
    for column in columns:
        table.marks[column].add(mark)


def _identifiers(columns: str) -> tuple[str, ...]:
    return tuple(re.findall(_IDENTIFIER, columns.replace(", PERIOD ", ", ")))


def _entity(name: str, table: _Table, detail: Detail) -> Iterator[str]:
    shown = [
        column
        for column in table.columns
        if detail == "columns" or (detail == "keys" and table.marks.get(column.local_name))
    ]
    if not shown:
        yield f"    {name}"
        return
    yield f"    {name} {{"
    for column in shown:
        marks = ", ".join(sorted(table.marks.get(column.local_name, ()), key="PK FK UK".index))
        line = f"{_type(column.attributes.get('type') or '')} {_attribute(column.local_name)}"
        yield f"        {line} {marks}".rstrip()
    yield "    }"


def _relations(tables: Mapping[str, _Table], names: Mapping[str, str]) -> Iterator[str]:
    for child, table in tables.items():
        for parent, columns in table.references:
            if parent in names:
                label = _label(", ".join(columns))
                yield f'    {names[parent]} {_line(table, columns)} {names[child]} : "{label}"'


def _line(table: _Table, columns: Sequence[str]) -> str:
    optional = any(
        column.attributes.get("null") == "allowed"
        for column in table.columns
        if column.local_name in columns
    )
    one = any(key <= set(columns) for key in table.keys)
    return f"{'|o' if optional else '||'}--{'o|' if one else 'o{'}"


def _names(tables: Iterable[str]) -> dict[str, str]:
    """Return how the diagram calls each table: unlike names stay unlike."""
    names: dict[str, str] = {}
    for table in tables:
        label, number = _label(table), 1
        while _quoted(label) in names.values():
            number += 1
            label = f"{_label(table)} {number}"
        names[table] = _quoted(label)
    return names


def _quoted(label: str) -> str:
    plain = _PLAIN_NAME.fullmatch(label) and not _WORD_OF_MERMAID.fullmatch(label)
    return label if plain else f'"{label}"'


def _label(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "_ .,-" else "_" for c in name.replace('"', ""))
    return kept or "_"


def _attribute(name: str) -> str:
    kept = "".join(c if _may_be_in_attribute(c) else "_" for c in name.replace('"', "")) or "_"
    kept = f"_{kept}" if kept[0].isdigit() else kept
    return f"{kept}_" if kept.upper() in ("PK", "FK", "UK") else kept


def _may_be_in_attribute(character: str) -> bool:
    return character == "_" or (character.isalnum() and character <= "\uffff")


def _type(text: str) -> str:
    for pattern, replacement in _SHORT_TYPES:
        text = pattern.sub(replacement, text)
    text = text.strip("_") or "unknown"
    return text if text[0].isalpha() else f"t_{text}"
