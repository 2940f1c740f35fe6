"""Reading the parser's tree: names, types, words. Knows its shape, never imports the parser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Node = Any
Deparse = Callable[[Node], str]
"""Turns an expression's node back into SQL."""

_ALIASES = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "varchar": "character varying",
    "char": '"char"',
    "varbit": "bit varying",
    "decimal": "numeric",
    "serial4": "serial",
    "serial8": "bigserial",
    "serial2": "smallserial",
}
_ZONED = {
    "timestamp": ("timestamp", "without time zone"),
    "timestamptz": ("timestamp", "with time zone"),
    "time": ("time", "without time zone"),
    "timetz": ("time", "with time zone"),
}
_OBJECTS = {
    "matview": "materialized view",
    "tabconstraint": "constraint",
    "statistic ext": "statistics",
    "fdw": "foreign data wrapper",
    "foreign server": "server",
    "opclass": "operator class",
    "opfamily": "operator family",
    "tsconfiguration": "text search configuration",
    "tsdictionary": "text search dictionary",
    "tsparser": "text search parser",
    "tstemplate": "text search template",
}


def unwrap(node: Node) -> Node:
    """Return what a Node wrapper holds, or the message itself."""
    if node.DESCRIPTOR.name != "Node":
        return node
    kind = node.WhichOneof("node")
    return getattr(node, kind) if kind else None


def word(message: Node, field: str) -> str:
    """Return the name of an enumeration field's value."""
    values = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    return str(values[getattr(message, field)].name)


def object_kind(message: Node, field: str) -> str:
    """Return an ObjectType field as PostgreSQL's words in lower case: `materialized view`."""
    plain = word(message, field).removeprefix("OBJECT_").lower().replace("_", " ")
    return _OBJECTS.get(plain, plain)


def cascades(message: Node) -> bool:
    """Say whether the statement ends with CASCADE."""
    return word(message, "behavior") == "DROP_CASCADE"


def relation(range_var: Node) -> str:
    """Return the table's name, qualified unless its schema is public or not said."""
    return qualified((range_var.schemaname, range_var.relname))


def qualified(parts: Iterable[str]) -> str:
    """Join the parts of a name; `public` is left out."""
    kept = [part for part in parts if part]
    return ".".join(kept[1:] if len(kept) > 1 and kept[0] == "public" else kept)


def strings(nodes: Iterable[Node]) -> list[str]:
    """Return the texts of String nodes."""
    return [node.string.sval for node in nodes]


def name_of(node: Node) -> str:
    """Return the name in any node that names an object."""
    thing = unwrap(node)
    if thing is None:
        return ""
    reader = _NAME_READERS.get(thing.DESCRIPTOR.name)
    return reader(thing) if reader else ""


_NAME_READERS: dict[str, Callable[[Node], str]] = {
    "String": lambda thing: str(thing.sval),
    "List": lambda thing: qualified(name_of(item) for item in thing.items),
    "TypeName": lambda thing: type_name(thing),
    "ObjectWithArgs": lambda thing: qualified(strings(thing.objname)),
    "RangeVar": relation,
    "RoleSpec": lambda thing: str(thing.rolename),
}


def constant(node: Node) -> str | None:
    """Return a constant's value as text; None for anything else."""
    thing = unwrap(node)
    if thing is None:
        return None
    if thing.DESCRIPTOR.name == "TypeCast":
        return constant(thing.arg)
    if thing.DESCRIPTOR.name == "A_Const":
        return _literal(thing)
    return _bare(thing)


def _literal(const: Node) -> str | None:
    """Return the value of an A_Const."""
    kind = const.WhichOneof("val")
    if kind is None or const.isnull:
        return None
    return _bare(getattr(const, kind))


def _bare(value: Node) -> str | None:
    """Return the value of Integer, Float, Boolean, String, BitString."""
    for field in ("ival", "fval", "sval", "bsval"):
        if field in value.DESCRIPTOR.fields_by_name:
            return str(getattr(value, field))
    if value.DESCRIPTOR.name == "Boolean":
        return "true" if value.boolval else "false"
    return None


def type_name(node: Node) -> str:
    """Return a type as PostgreSQL's format_type prints it, as far as the text tells."""
    *schema, name = strings(node.names)
    modifiers = [value for item in node.typmods if (value := constant(item)) is not None]
    known = not schema or schema == ["pg_catalog"]
    text = _plain_type(name, modifiers) if known else _foreign_type(schema, name, modifiers)
    return text + ("[]" if node.array_bounds else "")


def _plain_type(name: str, modifiers: list[str]) -> str:
    """Print a type of pg_catalog, or one without a schema."""
    if name in _ZONED:
        first, zone = _ZONED[name]
        return f"{first}{_modifiers(modifiers)} {zone}"
    if name == "interval":
        return "interval"
    if name == "bpchar":
        return f"character{_modifiers(modifiers)}" if modifiers else "bpchar"
    if name == "numeric" and len(modifiers) == 1:
        modifiers = [*modifiers, "0"]
    return _ALIASES.get(name, _quoted(name)) + _modifiers(modifiers)


def _foreign_type(schema: list[str], name: str, modifiers: list[str]) -> str:
    """Print a type of a named schema."""
    return qualified([*map(_quoted, schema), _quoted(name)]) + _modifiers(modifiers)


def _modifiers(modifiers: list[str]) -> str:
    return f"({','.join(modifiers)})" if modifiers else ""


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) else f'"{name}"'


def walk(message: Node) -> Iterator[Node]:
    """Yield every message of a tree, the root first, Node wrappers left out."""
    stack = [unwrap(message)]
    while stack:
        current = stack.pop()
        if current is None:
            continue
        yield current
        stack.extend(unwrap(child) for child in _children(current))


def _children(message: Node) -> Iterator[Node]:
    """Yield the messages directly below one message."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if hasattr(value, "DESCRIPTOR"):
            yield value
        else:
            yield from value


def named(tree: Node, kind: str) -> Iterator[Node]:
    """Yield the messages of one kind (`RangeVar`, `FuncCall`) in a tree."""
    return (message for message in walk(tree) if message.DESCRIPTOR.name == kind)


def tables_read(tree: Node) -> tuple[str, ...]:
    """Return the tables a tree names, without its own WITH queries, each once, in order."""
    own = {cte.ctename for cte in named(tree, "CommonTableExpr")}
    ranges = sorted(named(tree, "RangeVar"), key=lambda item: int(item.location))
    names = (relation(item) for item in ranges if item.schemaname or item.relname not in own)
    return tuple(dict.fromkeys(names))
