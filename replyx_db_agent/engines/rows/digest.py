"""Digests of a database's rows, to say which content a way up and back down has lost."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from replyx_db_agent.core.schema import SchemaObject, Snapshot
from replyx_db_agent.engines.catalog import Query

_FIRST_NAME = re.compile(r'("(?:[^"]|"")+"|[^".]+)(\.?)')


@dataclass(frozen=True)
class ColumnDigest:
    """How many rows of a column hold a value, and the digest of those values in any order."""

    present: int
    values: str


@dataclass(frozen=True)
class TableDigest:
    """How many rows a table has, the digest of the whole rows, and its columns' digests."""

    count: int
    rows: str
    columns: Mapping[str, ColumnDigest]


_NOTHING = TableDigest(0, "", {})

Digests = dict[str, TableDigest]
"""The digests of a database's tables by the tables' names."""


def digest(query: Query, snapshot: Snapshot) -> Digests:
    """Return the digest of every ordinary table of the snapshot, in one statement."""
    columns: dict[str, list[str]] = {}
    for thing in snapshot.objects.values():
        if thing.kind == "column" and thing.table:
            columns.setdefault(thing.table, []).append(thing.local_name)
    tables = [
        thing
        for thing in snapshot.objects.values()
        if thing.kind == "table" and "partition bound" not in thing.attributes
    ]
    if not tables:
        return {}
    parts = [
        _digest_sql(number, table, sorted(columns.get(table.name, ())))
        for number, table in enumerate(tables)
    ]
    found = query(" UNION ALL ".join(parts))
    return {
        tables[number].name: _table_digest(sorted(columns.get(tables[number].name, ())), value)
        for number, value in found
    }


def compare(
    before: Mapping[str, TableDigest], after: Mapping[str, TableDigest], *, shared: bool = False
) -> tuple[str, ...]:
    """Return, as sentences, which rows and which content of `before` are not in `after`.

    `shared`: tables and columns that only one of the two has do not count.
    """
    return tuple(
        sentence
        for name, was in before.items()
        if name in after or not shared
        for sentence in _table_differences(name, was, after.get(name, _NOTHING), shared)
    )


def qualified(name: str) -> str:
    """Return the name of a snapshot's table for SQL: `public` is not written there."""
    first = _FIRST_NAME.match(name)
    return name if first and first[2] else f"public.{name}"


def _digest_sql(number: int, table: SchemaObject, columns: list[str]) -> str:
    only = "" if "partition key" in table.attributes else "ONLY "
    texts = [f"d.{column}::text" for column in columns]
    each = "".join(f", count({text}), {_sum_of(text)}" for text in texts)
    whole = _sum_of(f"ROW({', '.join(texts)})::text")
    # Names come quoted from the catalogue snapshot.
    return (
        f"SELECT {number}, json_build_array(count(*), {whole}{each})::text"  # noqa: S608
        f" FROM {only}{qualified(table.name)} AS d"
    )


def _sum_of(text: str) -> str:
    """Return the sum of hashes: the same whatever the order of the rows."""
    return f'COALESCE(sum(hashtextextended({text} COLLATE "C", 0)::numeric), 0)::text'


def _table_digest(columns: list[str], value: str) -> TableDigest:
    count, whole, *rest = json.loads(value)
    pairs = zip(rest[::2], rest[1::2], strict=True)
    digests = {
        column: ColumnDigest(present, values)
        for column, (present, values) in zip(columns, pairs, strict=True)
    }
    return TableDigest(count, whole, digests)


def _table_differences(name: str, was: TableDigest, now: TableDigest, shared: bool) -> list[str]:
    if was.count != now.count:
        return [f'table "{name}": {was.count} {_rows(was.count)} before, {now.count} after']
    differing = [
        _column_difference(f"{name}.{column}", old, now.columns.get(column, ColumnDigest(0, "")))
        for column, old in was.columns.items()
        if now.columns.get(column) != old
        and (column in now.columns or (old.present and not shared))
    ]
    if differing or now.columns.keys() != was.columns.keys() or was.rows == now.rows:
        return differing
    return [f'table "{name}": the values of its columns are combined into other rows']


def _column_difference(name: str, was: ColumnDigest, now: ColumnDigest) -> str:
    lost = was.present - now.present
    if lost > 0:
        return f'column "{name}": the content of {lost} {_rows(lost)} is lost'
    if lost < 0:
        return f'column "{name}": {-lost} {_rows(-lost)} got content'
    return f'column "{name}": the content differs'


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"
