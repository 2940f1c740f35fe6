"""SQL expressions for the values of fitting rows: one for each type of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

from replyx_db_agent.engines.quoting import quote_literal

_PRIMES = (7919, 104729, 15485863, 32452843, 86028121, 122949823)
_LONG_TEXT = 300
_POOL = 160
_DIMENSIONS = 3


@dataclass(frozen=True)
class Type:
    """A type as rows.sql describes it; names are quoted and carry their schema."""

    name: str
    schema: str
    word: str
    kind: str
    category: str
    modifier: int
    base: Type | None
    element: Type | None
    subtype: Type | None
    range: Type | None
    not_null: bool
    labels: tuple[str, ...]
    checks: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """Where a value stands: in row `row` (an SQL expression) of a column with this `salt`.

    `unique`: another row gives another value. `plain`: small, not empty, plain ASCII.
    """

    row: str
    salt: int
    modifier: int = -1
    unique: bool = False
    plain: bool = False

    def pick(self, count: int | str) -> str:
        """Return an expression from 0 to `count` - 1, scattered over the rows."""
        prime = _PRIMES[self.salt % len(_PRIMES)]
        return f"mod(({self.row}) * {prime} + {self.salt}, {count})"

    def turn(self, count: int) -> str:
        """Return an expression that goes from 0 to `count` - 1 and over again, row by row."""
        return f"mod(({self.row}) + {self.salt % count}, {count})"

    def number(self, count: int) -> str:
        """Return the row's own number for unique cells, any number below `count` for others."""
        return f"({self.row})" if self.unique else self.pick(count)


def types_of(descriptions: Sequence[Mapping[str, Any]]) -> dict[str, Type]:
    """Return the types that rows.sql described, by oid, each with those it is made of."""
    given = {str(d["oid"]): d for d in descriptions}

    @cache
    def made(oid: str) -> Type:
        d = given[oid]
        base, element, subtype, of_range = (
            made(d[part]) if d[part] is not None else None
            for part in ("base", "element", "subtype", "range")
        )
        return Type(
            name=d["name"],
            schema=d["schema"],
            word=d["word"],
            kind=d["kind"],
            category=d["category"],
            modifier=d["modifier"],
            base=base,
            element=element,
            subtype=subtype,
            range=of_range,
            not_null=d["not_null"],
            labels=tuple(d["labels"] or ()),
            checks=tuple(d["checks"] or ()),
        )

    return {oid: made(oid) for oid in given}


def value(of: Type, cell: Cell) -> str | None:
    """Return the expression of a value of this type, None if we know no values of it."""
    if of.base is not None and of.kind == "d":
        modifier = of.modifier if of.modifier >= 0 else cell.modifier
        return value(of.base, replace(cell, modifier=modifier))
    if of.kind == "e":
        return _enum(of, cell)
    if of.element is not None:
        return _array(of, of.element, cell)
    if of.kind in ("r", "m"):
        return _range(of, cell)
    make = _BY_WORD.get(of.word)
    return f"({make(cell, of)})::{cast_name(of, cell.modifier)}" if make else None


def cast_name(of: Type, modifier: int = -1) -> str:
    """Return the type's name for a cast; bit strings must be cast to their length at once."""
    if of.kind == "d" and of.base is not None:
        return cast_name(of.base, modifier)
    if of.word in ("bit", "varbit") and modifier >= 0:
        return f"{of.name}({modifier})"
    return of.name


def capacity(of: Type, modifier: int) -> int | None:
    """Return how many different values there are, None if there are more than rows."""
    while of.kind == "d" and of.base is not None:
        of, modifier = of.base, of.modifier
    if of.kind == "e":
        return len(of.labels)
    if of.word == "bool":
        return 2
    if of.word in ("int2", "char"):
        return 32767 if of.word == "int2" else 26
    limit = text_limit(of, modifier)
    return 16**limit if limit is not None and limit < 8 else None


def text_limit(of: Type, modifier: int) -> int | None:
    """Return the greatest length of a varchar(n) or char(n)."""
    return modifier - 4 if of.word in ("varchar", "bpchar") and modifier >= 4 else None


def _enum(of: Type, cell: Cell) -> str | None:
    labels = ", ".join(quote_literal(label) for label in of.labels)
    if not of.labels:
        return None
    return f"(ARRAY[{labels}])[1 + {cell.turn(len(of.labels))}]::{of.name}"


def _array(of: Type, element: Type, cell: Cell) -> str | None:
    first = value(element, replace(cell, plain=True))
    second = value(element, replace(cell, row=f"{cell.row} + 1", unique=False))
    if first is None or second is None:
        return None
    one = f"ARRAY[{first}]::{of.name}"
    if cell.unique or cell.plain:
        return one
    return (
        f"CASE {cell.turn(5)} WHEN 0 THEN ARRAY[]::{of.name}"
        f" WHEN 1 THEN ARRAY[{second}, {first}]::{of.name} ELSE {one} END"
    )


def _range(of: Type, cell: Cell) -> str | None:
    """Return a range that shares no point with any other row's, for exclusion constraints."""
    kind = of.range or of
    if kind.subtype is None:
        return None
    low = value(kind.subtype, replace(cell, row=f"({cell.row}) * 2", unique=True, plain=True))
    high = value(kind.subtype, replace(cell, row=f"({cell.row}) * 2 + 1", unique=True, plain=True))
    one = f"{kind.name}({low}, {high})"
    return one if of.kind == "r" else f"{of.name}({one})"


def _integer(greatest: int) -> Callable[[Cell, Type], str]:
    def make(cell: Cell, _: Type) -> str:
        if cell.unique:
            return cell.row
        if cell.plain:
            return f"1 + {cell.pick(9)}"
        common = cell.pick(10000)
        return f"CASE {cell.turn(7)} WHEN 0 THEN {greatest} - {common} ELSE {common} END"

    return make


def _numeric(cell: Cell, _: Type) -> str:
    if cell.modifier < 4:
        return f"{cell.number(1_000_000)} * 0.01"
    precision = (cell.modifier - 4) >> 16
    scale = ((cell.modifier - 4) & 0x7FF ^ 0x400) - 0x400
    unit = format(Decimal(10) ** -scale, "f")
    if cell.plain and not cell.unique and 0 <= scale < precision:
        return f"1 + {cell.pick(9)}"
    return f"{cell.number(10 ** min(precision, 9))} * {unit}"


def _text(cell: Cell, of: Type) -> str:
    limit = text_limit(of, cell.modifier)
    number = f"({cell.row})::text"
    if limit is not None and limit < 16:
        # Too short for words: hexadecimal digits keep unique values apart.
        number = f"lpad(to_hex(({cell.row})::bigint), {limit}, '0')"
        return number if cell.unique else _short_text(cell, limit)
    words = _plain_text(cell, number) or _varied_text(cell, number, limit or _LONG_TEXT)
    return words if limit is None else f"left({words}, {limit})"


def _plain_text(cell: Cell, number: str) -> str | None:
    if cell.unique:
        head = "'v'" if cell.plain else f"(ARRAY['имя ', '名前 🎈 ', 'name '])[1 + {cell.turn(3)}]"
        return f"{head} || {number}"
    return f"'v' || {number}" if cell.plain else None


def _varied_text(cell: Cell, number: str, longest: int) -> str:
    return (
        f"CASE {cell.turn(8)} WHEN 0 THEN '' WHEN 1 THEN 'Привет, мир ' || {number}"
        f" WHEN 2 THEN '日本語 🎈 ' || {number} WHEN 3 THEN repeat('x', {longest})"
        f" ELSE 'name ' || {number} END"
    )


def _short_text(cell: Cell, limit: int) -> str:
    letters = f"repeat(chr(97 + ({cell.pick(26)})::int), {limit})"
    if cell.plain:
        return letters
    return (
        f"CASE {cell.turn(6)} WHEN 0 THEN '' WHEN 1 THEN left('Жар-птица 🎈', {limit})"
        f" ELSE {letters} END"
    )


def _document(cell: Cell, of: Type) -> str:
    build = f"{of.word}_build_object"
    return f"{build}('id', {cell.row}, 'name', 'имя ' || {cell.row}, 'tags', ARRAY['a', 'b'])"


def _dense_vector(cell: Cell, of: Type) -> str:
    """Return the sum of two vectors of small pools: a whole vector for each row would be slow."""
    size = cell.modifier if cell.modifier > 0 else _DIMENSIONS
    pools = (
        _pool(of, size, f"p * 131 + d * 617 + {cell.salt % 97}"),
        _pool(of, size, f"p * 379 + d * 241 + {cell.salt % 89}"),
    )
    first = f"({pools[0]})[1 + mod({cell.row}, {_POOL})]"
    second = f"({pools[1]})[1 + mod(({cell.row}) / {_POOL}, {_POOL})]"
    return f"{first} OPERATOR({of.schema}.+) {second}"


def _pool(of: Type, size: int, number: str) -> str:
    # Numbers and a type's quoted name.
    return (
        f"ARRAY(SELECT (SELECT array_agg(((mod({number}, 997) + 1) / 997.0)::real ORDER BY d)"  # noqa: S608
        f" FROM generate_series(1, {size}) AS d)::{of.name} FROM generate_series(1, {_POOL}) AS p)"
    )


def _sparse_vector(cell: Cell, _: Type) -> str:
    size = cell.modifier if cell.modifier > 0 else _DIMENSIONS
    return f"'{{' || 1 + {cell.pick(size)} || ':' || 1 + {cell.number(997)} || '}}/{size}'"


def _since(start: str) -> Callable[[Cell, Type], str]:
    def make(cell: Cell, _: Type) -> str:
        return f"{start} + {cell.number(31_536_000)} * interval '1 second'"

    return make


_BY_WORD: dict[str, Callable[[Cell, Type], str]] = {
    "int2": _integer(32767),
    "int4": _integer(2147483647),
    "int8": _integer(9007199254740991),
    "oid": _integer(4294967295),
    "numeric": _numeric,
    "money": lambda c, _: f"({c.number(1_000_000)} * 0.01)::numeric",
    "float4": lambda c, _: f"{c.number(100_000)} / 8.0",
    "float8": lambda c, _: f"{c.number(100_000)} / 8.0",
    "text": _text,
    "varchar": _text,
    "bpchar": _text,
    "citext": _text,
    "name": lambda c, _: f"'v' || {c.row}",
    "char": lambda c, _: f"chr(97 + ({c.turn(26)})::int)",
    "bool": lambda c, _: f"{c.turn(2)} = 0",
    "date": lambda c, _: f"date '2024-01-01' + ({c.number(700)})::int",
    "timestamp": _since("timestamp '2024-01-01 00:00:00'"),
    "timestamptz": _since("timestamptz '2024-01-01 00:00:00+00'"),
    "time": _since("time '00:00'"),
    "timetz": lambda c, _: (
        f"(time '00:00' + {c.number(86_400)} * interval '1 second')::text || '+00'"
    ),
    "interval": lambda c, _: f"{c.number(1000)} * interval '1 minute'",
    "uuid": lambda c, _: f"md5('{c.salt}:' || ({c.row}))",
    "json": _document,
    "jsonb": _document,
    "jsonpath": lambda c, _: f"'$.a' || ({c.row})",
    "bytea": lambda c, _: f"decode(md5('{c.salt}:' || ({c.row})), 'hex')",
    "inet": lambda c, _: f"inet '10.0.0.0' + {c.number(100_000)}",
    "cidr": lambda c, _: f"inet '10.0.0.0' + {c.number(100_000)}",
    "macaddr": lambda c, _: f"lpad(to_hex(({c.number(100_000)})::bigint), 12, '0')",
    "macaddr8": lambda c, _: f"lpad(to_hex(({c.number(100_000)})::bigint), 16, '0')",
    "bit": lambda c, _: f"({c.number(100_000)})::int",
    "varbit": lambda c, _: (
        f"({c.number(100_000)})::int::bit({c.modifier if 0 < c.modifier < 32 else 32})"
    ),
    "tsvector": lambda c, _: f"to_tsvector('simple', 'word' || {c.turn(9)} || ' row' || ({c.row}))",
    "tsquery": lambda c, _: f"plainto_tsquery('simple', 'word' || ({c.row}))",
    "xml": lambda c, _: f"'<row>' || ({c.row}) || '</row>'",
    "hstore": lambda c, _: f"'\"row\"=>\"' || ({c.row}) || '\"'",
    "ltree": lambda c, _: f"'top.row' || ({c.row})",
    "point": lambda c, _: f"point({c.row}, {c.turn(9)})",
    "lseg": lambda c, _: f"lseg(point(0, 0), point({c.row}, 1))",
    "box": lambda c, _: f"box(point(0, 0), point({c.row}, 1))",
    "path": lambda c, _: f"path(polygon(box(point(0, 0), point({c.row}, 1))))",
    "polygon": lambda c, _: f"polygon(box(point(0, 0), point({c.row}, 1)))",
    "circle": lambda c, _: f"circle(point(0, 0), {c.row})",
    "pg_lsn": lambda c, _: f"'0/' || to_hex(({c.row})::bigint)",
    "vector": _dense_vector,
    "halfvec": _dense_vector,
    "sparsevec": _sparse_vector,
}
