"""SQL text -> operations of the domain. The only module that imports the parser.

The parser is imported when the first statement is read: start-up time is measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from typing import Any

from replyx_db_agent.core.model import Operation, Unknown
from replyx_db_agent.engines.sql.statements import statement
from replyx_db_agent.engines.sql.tree import Node, named, tables_read, unwrap

_COMMENT = r"--[^\n]*|/\*.*?\*/"
_QUOTED = (
    r"\b[eE]'(?:[^'\\]|\\.|'')*'"
    r"|'(?:[^']|'')*'"
    r'|"(?:[^"]|"")*"'
    r"|(?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag)"
)
_PLACEHOLDER = r"(?P<placeholder>%\(\w+\)s|%s\b)|(?P<percent>%%)"
_TEXT = re.compile(f"(?P<comment>{_COMMENT})|(?P<quoted>{_QUOTED})|{_PLACEHOLDER}", re.DOTALL)
_END = re.compile(f"(?P<opaque>{_COMMENT}|{_QUOTED})|(?P<semicolon>;)", re.DOTALL)
_SPACE_OR_COMMENT = re.compile(f"(?P<quoted>{_QUOTED})|(?:\\s|{_COMMENT})+", re.DOTALL)
_NUMBERED = re.compile(r"\$\d+")


@lru_cache(maxsize=4096)
def operations(sql: str) -> tuple[Operation, ...]:
    """Return what an emitted text does: the operations of each of its statements, in order.

    Never raises for SQL: what cannot be read is an `Unknown` that says why.
    """
    tree, problem = _parse(sql)
    if tree is not None:
        return tuple(op for item in tree.stmts for op in statement(item.stmt, _deparse))
    parts = _cut(sql)
    if len(parts) > 1:
        return tuple(op for part in parts for op in operations(part))
    return (Unknown(problem),)


def split(sql: str) -> tuple[str, ...]:
    """Cut a script into its statements, without the semicolons."""
    import postgast

    try:
        parts = postgast.split(sql)
    except (postgast.PgQueryError, ValueError):
        return _cut(sql)
    return tuple(text for part in parts if (text := part.strip()))


def is_single_select(sql: str) -> bool:
    """Say whether it is exactly one query that neither changes nor locks rows nor makes a table.

    The functions that it calls are not judged here: `operations` names them.
    """
    tree, _ = _parse(sql)
    if tree is None or len(tree.stmts) != 1:
        return False
    query = unwrap(tree.stmts[0].stmt)
    writes = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "LockingClause", "IntoClause")
    return query.DESCRIPTOR.name == "SelectStmt" and not any(
        next(named(query, kind), None) for kind in writes
    )


def normalise(sql: str) -> str:
    """Fold white space and leave out comments and a final semicolon; quoted text stays as it is."""
    return _SPACE_OR_COMMENT.sub(lambda m: m["quoted"] or " ", sql).strip("; ")


def tables_of(sql: str) -> tuple[str, ...]:
    """Return the tables a statement names, its own WITH queries apart; none if it is unreadable."""
    tree, _ = _parse(sql)
    if tree is None:
        return ()
    names = (name for item in tree.stmts for name in tables_read(item.stmt))
    return tuple(dict.fromkeys(names))


def _parse(sql: str) -> tuple[Any, str]:
    """Return the parser's tree, or None and the reason.

    A placeholder stands where the grammar may want an expression, NULL or a string: each is tried.
    """
    problem = ""
    for text in _readings(sql):
        tree, problem_here = _try(text)
        if tree is not None:
            return tree, ""
        problem = problem or problem_here
    return None, problem


def _readings(sql: str) -> Iterator[str]:
    """Yield the text with its placeholders as parameters, then as NULL, then as a string."""
    text = _numbered(sql)
    yield text
    if _NUMBERED.search(text):
        yield _NUMBERED.sub("NULL", text)
        yield _NUMBERED.sub("'1'", text)


def _numbered(sql: str) -> str:
    """Write SQLAlchemy's placeholders as `$1`, `$2`, ... and `%%` as `%`, outside of quotes."""
    numbers = count(1)

    def replace(match: re.Match[str]) -> str:
        if match["placeholder"]:
            return f"${next(numbers)}"
        return "%" if match["percent"] else match[0]

    return _TEXT.sub(replace, sql)


def _try(sql: str) -> tuple[Any, str]:
    """Parse; return the tree, or None and the parser's reason."""
    import postgast
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    if "\0" in sql:
        return None, "the text holds a NUL character, where PostgreSQL stops to read"
    try:
        return postgast.parse(sql), ""
    except postgast.PgQueryError as error:
        return None, f"PostgreSQL's parser: {error}"
    except DecodeError:
        return None, "the statement is nested too deeply to be read"
    except ValueError as error:
        return None, f"the text is no SQL: {error}"


def _deparse(expression: Node) -> str:
    """Write an expression back as SQL."""
    import postgast

    tree = postgast.pg_query_pb2.ParseResult()
    target = tree.stmts.add().stmt.select_stmt.target_list.add().res_target
    holder = target.val
    if expression.DESCRIPTOR.name == "Node":
        holder.CopyFrom(expression)
    try:
        return str(postgast.deparse(tree)).removeprefix("SELECT ")
    except postgast.PgQueryError:
        return "?"


def _cut(sql: str) -> tuple[str, ...]:
    """Cut at semicolons outside of quotes and comments: for text the parser refuses."""
    parts = [""]
    position = 0
    for match in _END.finditer(sql):
        parts[-1] += sql[position : match.start()]
        position = match.end()
        if match["semicolon"]:
            parts.append("")
        else:
            parts[-1] += match[0]
    parts[-1] += sql[position:]
    return tuple(text for part in parts if (text := part.strip()))
