"""The tables that rows are made for, as rows.sql describes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replyx_db_agent.engines.rows.hints import Hint, bound_hints
from replyx_db_agent.engines.rows.values import Type


@dataclass(frozen=True)
class Column:
    """A column: `fixed` may not be given a value, `own_value` has a sequence."""

    name: str
    type: Type
    modifier: int
    not_null: bool
    fixed: bool
    own_value: bool
    has_default: bool


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key; `parent` is the table's name for people, `relation` the one for SQL."""

    parent: str
    relation: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """A CHECK constraint's expression and the columns it speaks of."""

    text: str
    columns: frozenset[str]


@dataclass(frozen=True)
class Table:
    """A table as rows.sql describes it; `relation` is what to read, `target` what to write."""

    name: str
    relation: str
    target: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]
    foreign_keys: tuple[ForeignKey, ...]
    checks: tuple[Check, ...]
    bounds: Mapping[str, Sequence[Hint]]

    @property
    def nullable(self) -> frozenset[str]:
        """The names of the columns that may be NULL."""
        return frozenset(column.name for column in self.columns if not column.not_null)


def table_of(given: Mapping[str, Any], types: Mapping[str, Type]) -> Table:
    """Return the table that rows.sql described."""
    columns = tuple(_column_of(column, types) for column in given["columns"] or ())
    return Table(
        name=given["name"],
        relation=given["relation"],
        target=given["target"],
        columns=columns,
        keys=tuple(tuple(key) for key in given["keys"] or () if key),
        foreign_keys=tuple(
            ForeignKey(
                fk["parent"],
                fk["parent_relation"],
                tuple(fk["columns"]),
                tuple(fk["parent_columns"]),
            )
            for fk in given["foreign_keys"] or ()
        ),
        checks=(
            *(Check(c["text"], frozenset(c["columns"] or ())) for c in given["checks"] or ()),
            *(check for column in columns for check in _domain_checks(column)),
        ),
        bounds=_bounds(given["partitions"] or ()),
    )


def _column_of(given: Mapping[str, Any], types: Mapping[str, Type]) -> Column:
    of = types[given["type"]]
    return Column(
        name=given["name"],
        type=of,
        modifier=given["modifier"],
        not_null=given["not_null"] or of.not_null,
        fixed=given["fixed"],
        own_value=given["own_value"],
        has_default=given["has_default"],
    )


def _domain_checks(column: Column) -> list[Check]:
    found: list[Check] = []
    domain: Type | None = column.type
    while domain is not None and domain.kind == "d":
        found += [
            Check(re.sub(r"\bVALUE\b", lambda _: column.name, text), frozenset([column.name]))
            for text in domain.checks
        ]
        domain = domain.base
    return found


def _bounds(partitions: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[Hint]]:
    return {
        name: hints
        for level in partitions
        for position, name in enumerate(level["columns"])
        if name and (hints := bound_hints(level["strategy"], position, level["bounds"] or ()))
    }
