"""The INSERT statement that makes fitting rows for one table."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from replyx_db_agent.engines.rows.hints import Hint, check_hints
from replyx_db_agent.engines.rows.tables import Check, Column, ForeignKey, Table
from replyx_db_agent.engines.rows.values import Cell, capacity, cast_name, value

Manner = Literal["varied", "plain", "least", "unfiltered"]
"""How much is dared: all kinds of values, harmless ones, required columns only, the same with
CHECK constraints left to PostgreSQL, whose message then names the one that cannot be met."""

_FEW = 100
_VARIANTS = 255
_ROW = "_row"
_VARIANT = "_variant"


class NoValues(Exception):
    """No rows can be made for this table; the text says why."""


def insert_statement(
    table: Table, rows: int, seed: int, counts: Mapping[str, int], manner: Manner
) -> str:
    """Return the statement; `counts` says how many rows each parent relation has by now."""
    return _Insert(table, rows, seed, counts, manner).statement()


@dataclass
class _Insert:
    """One statement in the making."""

    table: Table
    rows: int
    seed: int
    counts: Mapping[str, int]
    manner: Manner
    unique: set[str] = field(default_factory=set)
    digits: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)
    copies: dict[str, str] = field(default_factory=dict)

    def statement(self) -> str:
        """Put the statement together."""
        usable = [fk for fk in self.table.foreign_keys if self._is_usable(fk)]
        for key in self.table.keys:
            self._honour(key, usable)
        for number, fk in enumerate(usable):
            self._join(number, fk)
        made = self._made_columns()
        for column, parent_column in self.copies.items():
            if parent_column not in made:
                raise NoValues(f"column {column} must name a row of the table itself")
            made[column] = made[parent_column]
        return self._assembled(made)

    def _assembled(self, made: Mapping[str, str]) -> str:
        checks = [
            check
            for check in self.table.checks
            if check.columns <= made.keys() and self.manner != "unfiltered"
        ]
        groups = _groups(made, checks)
        fitting = [
            _first_fitting(number, {name: made[name] for name in names}, checks)
            for number, names in enumerate(groups)
        ]
        place = {name: number for number, names in enumerate(groups) for name in names}
        sources = f"WITH {', '.join(self.sources)} " if self.sources else ""
        names = f" ({', '.join(made)})" if made else ""
        values = ", ".join(f"_group{place[name]}.{name}" for name in made)
        # Names come quoted from PostgreSQL, values from rows_values.
        return (
            f"{sources}INSERT INTO {self.table.target}{names} SELECT {values}"  # noqa: S608
            f" FROM generate_series(1::bigint, {self.rows}) AS _numbered({_ROW})"
            f" {' '.join([*self.joins, *fitting])} ORDER BY {_ROW} ON CONFLICT DO NOTHING"
        )

    # Foreign keys

    def _is_usable(self, fk: ForeignKey) -> bool:
        """Leave a foreign key NULL when its parent has no rows yet."""
        if fk.relation != self.table.target and self.counts.get(fk.relation):
            return True
        open_columns = self.table.nullable & set(fk.columns)
        if not open_columns and fk.relation == self.table.target:
            self.copies.update(zip(fk.columns, fk.parent_columns, strict=True))
            return False
        if not open_columns:
            raise NoValues(f'"{fk.parent}", which {", ".join(fk.columns)} must name, is empty')
        self.given.update(dict.fromkeys(open_columns, "NULL"))
        return False

    def _join(self, number: int, fk: ForeignKey) -> None:
        """Join the parent's keys, numbered, so that each row picks one."""
        pairs = list(zip(fk.columns, fk.parent_columns, strict=True))
        fresh = [pair for pair in pairs if pair[0] not in self.given]
        shared = [pair for pair in pairs if pair[0] in self.given]
        if not fresh or any(self.given[column] == "NULL" for column, _ in shared):
            return
        name = f"_parent{number}"
        kind = "LEFT JOIN" if any(c in self.table.nullable for c, _ in fresh) else "JOIN"
        self.sources.append(_numbered_keys(name, fk, [parent for _, parent in shared]))
        if shared:
            self.joins += self._joins_in_group(kind, name, fk, shared)
        else:
            self.joins.append(f"{kind} {name} ON {name}._number = {self._parent_number(name, fk)}")
        self.given.update({column: f"{name}.{parent}" for column, parent in fresh})

    def _joins_in_group(
        self, kind: str, name: str, fk: ForeignKey, shared: Sequence[tuple[str, str]]
    ) -> list[str]:
        """Join a parent among those that agree with the columns another key has given."""
        keys = ", ".join(parent for _, parent in shared)
        agree = [f"{{0}}.{parent} = {self.given[column]}" for column, parent in shared]
        groups, cell = f"{name}_groups", self._cell(" ".join(fk.columns))
        self.sources.append(
            f"{groups} AS (SELECT {keys}, count(*) AS _count FROM {name} GROUP BY {keys})"  # noqa: S608
        )
        first = " AND ".join(agree).format(groups)
        second = " AND ".join(agree).format(name)
        return [
            f"{kind} {groups} ON {first}",
            f"{kind} {name} ON {second} AND {name}._number = {cell.pick(f'{groups}._count')}",
        ]

    def _parent_number(self, name: str, fk: ForeignKey) -> str:
        """Return which parent a row has; among many rows a few parents have many."""
        if digit := self.digits.get(" ".join(fk.columns)):
            return digit
        cell = self._cell(" ".join(fk.columns))
        count = f"(SELECT count(*) FROM {name})"  # noqa: S608 - our own name
        if self.rows <= _FEW:
            return f"mod({_ROW} + {cell.salt % 1000}, {count})"
        part = f"({cell.pick(1_000_003)} / 1000003.0::float8)"
        return f"floor({count} * {part} * {part} * {part})::bigint"

    # Keys

    def _honour(self, key: Sequence[str], usable: Sequence[ForeignKey]) -> None:
        """See to it that rows differ in the columns of a primary key or unique index."""
        columns = [column for column in self.table.columns if column.name in key]
        referring = [fk for fk in usable if set(fk.columns) & set(key)]
        bound = {name for fk in referring for name in fk.columns}
        if any(c.name in self.unique or (_is_counted(c) and c.name not in bound) for c in columns):
            return
        free = [c for c in columns if c.name not in bound and c.name not in self.table.bounds]
        endless = [c for c in free if (capacity(c.type, c.modifier) or self.rows) >= self.rows]
        if endless:
            self.unique.add(endless[0].name)
            return
        sizes = {" ".join(fk.columns): self.counts[fk.relation] for fk in referring}
        sizes |= {c.name: capacity(c.type, c.modifier) or 1 for c in free}
        self._count_in_digits(sizes)

    def _count_in_digits(self, sizes: Mapping[str, int]) -> None:
        """Give every combination once: the row's number in a numeral system of mixed radix."""
        product = 1
        for name, size in sizes.items():
            number = f"({_ROW} - 1)"
            digit = f"mod(mod({number}, {product}) + {number} / {product}, {size})"
            self.digits.setdefault(name, digit)
            product *= size
        self.rows = min(self.rows, product)

    # Values

    def _made_columns(self) -> dict[str, str]:
        made: dict[str, str] = {}
        names = [column.name for column in self.table.columns]
        free = set(names).difference(*(check.columns for check in self.table.checks))
        tied = [group for group in _groups(names, self.table.checks) if not free & set(group)]
        places = {name: place for group in tied for place, name in enumerate(group)}
        for column in self.table.columns:
            if column.fixed or (column.own_value and column.name not in self.given):
                continue
            expression = self._expression(column, places.get(column.name))
            if expression is not None:
                made[column.name] = expression
        return made

    def _expression(self, column: Column, place: int | None) -> str | None:
        if self.given.get(column.name) == "NULL":
            return None
        needed = column.not_null and not column.has_default
        asked_for = needed or column.name in self.given or column.name in self.digits
        if self.manner in ("least", "unfiltered") and not asked_for:
            return None
        tried = self._tried(column, place)
        if tried is None and needed:
            word = column.type.word
            raise NoValues(f"column {column.name} has type {word}, of which no values are known")
        return tried

    def _tried(self, column: Column, place: int | None) -> str | None:
        """Return the expression: one value, or with CHECK constraints one for each variant."""
        varied, plain = self._varied(column, place), self._plain(column)
        if plain is None or varied is None:
            return None
        if place is None or column.name in self.table.bounds:
            return plain if self.manner != "varied" else varied
        hinted = self._hinted(column) or plain
        choices = [varied, hinted, plain, "NULL" if not column.not_null else plain]
        if column.name in self.unique:
            # One sort of values for all rows: another sort could repeat one of them.
            choices[:2] = [hinted, varied]
        if self.manner != "varied":
            choices[choices.index(varied)] = plain
        # Three columns meet in all 64 ways, further ones in other ways each round.
        turn = f"{_VARIANT} / {4 ** (place % 3)} + {_VARIANT} / 64 * {place // 3}"
        digit = f"mod({turn}, 4)"
        branches = " ".join(f"WHEN {at} THEN {choice}" for at, choice in enumerate(choices))
        return f"CASE {digit} {branches} END"

    def _varied(self, column: Column, place: int | None) -> str | None:
        cell = self._cell(column.name, column)
        if place is not None and not cell.unique:
            cell = replace(cell, row=f"{cell.row} + 977 * {_VARIANT}")
        expression = self._fixed_value(column) or value(column.type, cell)
        may_be_null = not column.not_null and not cell.unique and column.name not in self.digits
        if expression is None or not may_be_null or column.name in self.table.bounds:
            return expression
        return f"CASE WHEN {cell.turn(5)} = 3 THEN NULL ELSE {expression} END"

    def _plain(self, column: Column) -> str | None:
        cell = replace(self._cell(column.name, column), plain=True)
        return self._fixed_value(column) or value(column.type, cell)

    def _fixed_value(self, column: Column) -> str | None:
        """Return the value that a foreign key, a partition or a key of few values demands."""
        if column.name in self.given:
            return self.given[column.name]
        if hints := self.table.bounds.get(column.name):
            return self._one_of(hints, Cell(_ROW, 0), column)
        if digit := self.digits.get(column.name):
            return value(column.type, Cell(digit, 0, column.modifier, unique=True))
        return None

    def _hinted(self, column: Column) -> str | None:
        if column.name in self.given or column.name in self.digits:
            return None
        cell = self._cell(column.name, column)
        texts = [check.text for check in self.table.checks if column.name in check.columns]
        hints = check_hints(texts, column.type, cell)
        fitting = [hint for hint in hints if hint.unique or not cell.unique]
        row = "" if cell.unique else f"{cell.row} + "
        moving = Cell(f"{row}{_VARIANT} / 4", 0)
        return self._one_of(fitting, moving, column) if fitting else None

    def _one_of(self, hints: Sequence[Hint], cell: Cell, column: Column) -> str:
        branches = " ".join(f"WHEN {at} THEN {hint.text}" for at, hint in enumerate(hints))
        chosen = f"CASE {cell.turn(len(hints))} {branches} END"
        return f"({chosen})::{cast_name(column.type, column.modifier)}"

    def _cell(self, name: str, column: Column | None = None) -> Cell:
        salt = zlib.crc32(f"{self.seed}:{self.table.name}:{name}".encode()) % 1_000_000
        modifier = column.modifier if column else -1
        return Cell(_ROW, salt, modifier, unique=name in self.unique)


def _groups(names: Iterable[str], checks: Sequence[Check]) -> list[list[str]]:
    """Return the names in groups that no CHECK constraint ties together."""
    groups: list[frozenset[str]] = []
    for check in checks:
        tied = [group for group in groups if group & check.columns]
        groups = [group for group in groups if group not in tied]
        groups.append(check.columns.union(*tied))
    order = list(names)
    free = frozenset(order).difference(*groups)
    return [[name for name in order if name in group] for group in (free, *groups) if group]


def _first_fitting(number: int, made: Mapping[str, str], checks: Sequence[Check]) -> str:
    """Return the join that gives a row the first variant of these columns that fits."""
    binding = [f"(({check.text}) IS NOT FALSE)" for check in checks if check.columns & made.keys()]
    values = ", ".join(f"{expression} AS {name}" for name, expression in made.items())
    # Names come quoted from PostgreSQL, values from rows_values.
    return (
        f"CROSS JOIN LATERAL (SELECT tried.*"  # noqa: S608
        f" FROM generate_series(0, {_VARIANTS if binding else 0}) AS variants({_VARIANT})"
        f" CROSS JOIN LATERAL (SELECT {values}) AS tried"
        f" WHERE {' AND '.join(binding) or 'true'} LIMIT 1) AS _group{number}"
    )


def _is_counted(column: Column) -> bool:
    return column.own_value or column.fixed


def _numbered_keys(name: str, fk: ForeignKey, shared: Sequence[str]) -> str:
    keys = ", ".join(fk.parent_columns)
    group = f"PARTITION BY {', '.join(shared)} " if shared else ""
    present = " AND ".join(f"{column} IS NOT NULL" for column in fk.parent_columns)
    return (
        f"{name} AS MATERIALIZED (SELECT row_number() OVER ({group}ORDER BY {keys}) - 1 AS _number,"  # noqa: S608
        f" {keys} FROM {fk.relation} WHERE {present})"
    )
