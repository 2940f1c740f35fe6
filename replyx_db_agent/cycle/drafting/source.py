"""Python source as formatters write it: double quotes, lines of at most 100 columns."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

MOST_COLUMNS = 100

_BIND = re.compile(r"(?<![:\w\\]):(?=\w)")
_STEP = "    "


def string(text: str) -> str:
    """Return a literal in double quotes, in single ones where that saves backslashes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    body = "".join(_escaped(letter, quote) for letter in text)
    return f"{quote}{body}{quote}"


def _escaped(letter: str, quote: str) -> str:
    if letter in (quote, "\\"):
        return f"\\{letter}"
    return letter if letter.isprintable() else ascii(letter)[1:-1]


def execute(sql: str) -> str:
    """Return code that runs this SQL."""
    return f"op.execute({sql_text(sql)})"


def sql_text(sql: str) -> str:
    """Return SQL as a literal for SQLAlchemy, in which a colon is no placeholder."""
    return string(_BIND.sub(r"\:", sql))


def with_arguments(call: str, arguments: str) -> str:
    """Add keyword arguments to a call."""
    body = call.rstrip().removesuffix(")").rstrip().removesuffix(",")
    return f"{body}, {arguments})"


def formatted(source: str) -> str:
    """Return the code with every statement laid out anew; comments between them stay."""
    lines = source.splitlines()
    for node in sorted(_statements(ast.parse(source)), key=lambda n: -n.lineno):
        indent = lines[node.lineno - 1][: node.col_offset]
        if isinstance(node, ast.If):
            lines[node.lineno - 1] = f"{indent}if {_code(node.test, indent, 4)}:"
        else:
            lines[node.lineno - 1 : node.end_lineno] = _statement(node, indent).split("\n")
    return "\n".join(lines) + "\n"


def _statements(tree: ast.Module) -> Iterator[ast.Expr | ast.Assign | ast.If]:
    for node in ast.walk(tree):
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.Expr | ast.Assign | ast.If) and not is_docstring:
            yield node


def _statement(node: ast.Expr | ast.Assign, indent: str) -> str:
    if isinstance(node, ast.Expr):
        return indent + _code(node.value, indent)
    target = f"{ast.unparse(node.targets[0])} = "
    return indent + target + _code(node.value, indent, len(target))


def _code(node: ast.expr, indent: str, used: int = 0, trailing: int = 0) -> str:
    """Return the expression on one line if it fits after `used` columns, else broken."""
    flat = _flat(node)
    if len(indent) + used + len(flat) + trailing <= MOST_COLUMNS:
        return flat
    return _broken(node, indent)


def _flat(node: ast.expr) -> str:
    match node:
        case ast.Constant(str(text)):
            return string(text)
        case ast.Call() | ast.List() | ast.Tuple() | ast.Dict():
            start, items, end = _bracketed(node)
            comma = "," if isinstance(node, ast.Tuple) and len(items) == 1 else ""
            return f"{start}{', '.join(name + _flat(item) for name, item in items)}{comma}{end}"
        case ast.Attribute():
            return f"{_flat(node.value)}.{node.attr}"
    return ast.unparse(node)


def _bracketed(
    node: ast.Call | ast.List | ast.Tuple | ast.Dict,
) -> tuple[str, list[tuple[str, ast.expr]], str]:
    """Return what stands before, between and after the brackets; items with what names them."""
    match node:
        case ast.Call():
            named = [(f"{k.arg}=" if k.arg else "**", k.value) for k in node.keywords]
            return f"{_flat(node.func)}(", [*(("", a) for a in node.args), *named], ")"
        case ast.Dict():
            keys = [f"{_flat(key)}: " if key else "**" for key in node.keys]
            return "{", list(zip(keys, node.values, strict=True)), "}"
        case ast.List():
            return "[", [("", item) for item in node.elts], "]"
    return "(", [("", item) for item in node.elts], ")"


def _broken(node: ast.expr, indent: str) -> str:
    match node:
        case ast.Call(ast.Attribute(ast.Call() as first, name), [], []):  # the end of a chain
            return f"{_broken(first, indent)}.{name}()"
    if not isinstance(node, ast.Call | ast.List | ast.Tuple | ast.Dict):
        return _flat(node)
    start, items, end = _bracketed(node)
    if len(items) == 1 and isinstance(only := items[0][1], ast.Constant) and not items[0][0]:
        return _alone(start, only, end, indent)
    inner = indent + _STEP
    body = "".join(
        f"\n{inner}{word}{_code(item, inner, len(word), trailing=1)}," for word, item in items
    )
    return f"{start}{body}\n{indent}{end}" if items else start + end


def _alone(start: str, only: ast.Constant, end: str, indent: str) -> str:
    """Break a call whose one argument is a text: a piece of it a line."""
    inner = indent + _STEP
    if not isinstance(only.value, str):
        return f"{start}{_flat(only)}{end}"
    pieces = _pieces(only.value, MOST_COLUMNS - len(inner))
    body = "".join(f"\n{inner}{string(piece)}" for piece in pieces)
    return f"{start}{body}\n{indent}{end}"


def _pieces(text: str, most: int) -> Sequence[str]:
    """Cut a text after spaces so that each piece fits a line as a literal."""
    pieces = [""]
    for word in re.findall(r"\S*\s*", text):
        if pieces[-1] and len(string(pieces[-1] + word)) > most:
            pieces.append("")
        pieces[-1] += word
    return pieces
