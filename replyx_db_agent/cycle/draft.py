"""Turns the operations autogenerate renders into revisions that are safe to run."""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files

from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.core.naming import next_revision_id, short_name
from replyx_db_agent.core.schema import Snapshot
from replyx_db_agent.cycle.judge import ARCHIVE_SCHEMA
from replyx_db_agent.cycle.load import OpenProject
from replyx_db_agent.engines.project import RenderedOperation

MOST_COLUMNS = 100

LOCK_TIMEOUT = "5s"
"""How long a step may wait for its lock, and so how long it may make others queue behind it."""


@dataclass(frozen=True)
class Step:
    """One operation as code: how it goes up, how it comes back, what it imports."""

    up: str
    down: str
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """What becomes one revision: transactional steps, or one step that commits by itself."""

    suffix: str
    why: str
    steps: tuple[Step, ...]
    autocommit: bool = False


@dataclass(frozen=True)
class DraftFile:
    """A revision file that is still to be written; `path` is relative to the project."""

    path: str
    revision: str
    text: str


def parts_of(operations: Sequence[RenderedOperation], head: Snapshot, revision: str) -> list[Part]:
    """Split the operations into revisions: what one transaction may hold, then each long step."""
    new = {o.table for o in operations if o.kind == "CreateTableOp"}
    losing = {o.table for o in operations if o.kind in ("DropTableOp", "DropColumnOp")}
    together: list[Step] = []
    apart: list[Part] = []
    for operation in operations:
        form = _FORMS.get(operation.kind, _plain)
        if operation.table in new or (
            operation.kind == "DropIndexOp" and operation.table in losing
        ):
            form = _plain
        step, later = form(operation, head, revision)
        together += [step] if step else []
        apart += [later] if later else []
    return ([Part("", "", tuple(together))] if together else []) + apart


_Form = tuple[Step | None, Part | None]


def _plain(operation: RenderedOperation, head: Snapshot, revision: str) -> _Form:
    return Step(operation.upgrade, operation.downgrade, operation.imports), None


def _index_created(operation: RenderedOperation, head: Snapshot, revision: str) -> _Form:
    step = Step(
        _concurrent_create(operation.name, operation.upgrade),
        _concurrent_drop(operation.downgrade),
        operation.imports,
    )
    why = (
        f"Index {operation.name} is built CONCURRENTLY, so writes go on meanwhile; "
        "that needs a revision of its own, outside a transaction."
    )
    return None, Part("_index", why, (step,), autocommit=True)


def _index_dropped(operation: RenderedOperation, head: Snapshot, revision: str) -> _Form:
    step = Step(
        _concurrent_drop(operation.upgrade),
        _concurrent_create(operation.name, operation.downgrade),
        operation.imports,
    )
    why = (
        f"Index {operation.name} is dropped CONCURRENTLY, so nobody queues behind its lock; "
        "that needs a revision of its own, outside a transaction."
    )
    return None, Part("_drop_index", why, (step,), autocommit=True)


def _with_arguments(call: str, arguments: str) -> str:
    """Add keyword arguments to a rendered call."""
    body = call.rstrip().removesuffix(")").rstrip().removesuffix(",")
    return f"{body}, {arguments})"


def _concurrent_create(name: str, call: str) -> str:
    """Return code that builds the index and can be run again after it was cut short."""
    create = _with_arguments(call, "postgresql_concurrently=True, if_not_exists=True")
    return (
        "# A build that was cut short leaves an INVALID index under this name: remove it first.\n"
        "invalid = sa.text(\n"
        '    "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"\n'
        ")\n"
        f'if op.get_bind().execute(invalid, {{"name": {_literal(name)}}}).scalar():\n'
        f"    op.execute({_literal(f'DROP INDEX CONCURRENTLY IF EXISTS {_quoted(name)}')})\n"
        f"{create}"
    )


def _concurrent_drop(call: str) -> str:
    return _with_arguments(call, "postgresql_concurrently=True, if_exists=True")


def _foreign_key(operation: RenderedOperation, head: Snapshot, revision: str) -> _Form:
    unvalidated = _with_arguments(operation.upgrade, "postgresql_not_valid=True")
    table, name = _quoted(operation.table), _quoted(operation.name)
    validate = Step(
        f"op.execute({_literal(f'ALTER TABLE {table} VALIDATE CONSTRAINT {name}')})",
        f"{operation.downgrade}\n{unvalidated}",
        operation.imports,
    )
    why = (
        f"Constraint {operation.name} was added NOT VALID; validating it here scans the table "
        "without blocking writes."
    )
    return (
        Step(unvalidated, operation.downgrade, operation.imports),
        Part("_validate", why, (validate,)),
    )


def _column_dropped(operation: RenderedOperation, head: Snapshot, revision: str) -> _Form:
    return _archived_column(operation, head, revision), None


def _archived_column(operation: RenderedOperation, head: Snapshot, revision: str) -> Step:
    """Keep the column's values beside the table's key; the way back puts them in again."""
    table, column = operation.table, _quoted(operation.column)
    keys = _primary_key(head, table)
    copy = f"{ARCHIVE_SCHEMA}.{_quoted(f'{revision}_{table}_{operation.column}'[:63])}"
    source = _quoted(table)
    matched = " AND ".join(f"{source}.{key} = kept.{key}" for key in keys)
    keep = (
        f"CREATE TABLE {copy} AS SELECT {', '.join(keys)}, {column} FROM {source} "
        f"WHERE {column} IS NOT NULL"
    )
    restore = f"UPDATE {source} SET {column} = kept.{column} FROM {copy} AS kept WHERE {matched}"
    back, required = _nullable_first(operation)
    return Step(
        "\n".join([*_keep(source, keep), operation.upgrade]),
        "\n".join([back, f"op.execute({_literal(restore)})", *required, *_forget(copy)]),
        operation.imports,
    )


def _nullable_first(operation: RenderedOperation) -> tuple[str, list[str]]:
    """A column that was NOT NULL comes back nullable, gets its values, and is required again."""
    if operation.kind != "DropColumnOp" or "nullable=False" not in operation.downgrade:
        return operation.downgrade, []
    required = (
        f"op.alter_column({_literal(operation.table)}, {_literal(operation.column)}, "
        "nullable=False)"
    )
    return operation.downgrade.replace("nullable=False", "nullable=True"), [required]


def _table_dropped(operation: RenderedOperation, head: Snapshot, revision: str) -> _Form:
    source = _quoted(operation.table)
    copy = f"{ARCHIVE_SCHEMA}.{_quoted(f'{revision}_{operation.table}'[:63])}"
    columns = [o for o in _columns(head, operation.table) if not o[1].get("generated")]
    names = ", ".join(_quoted(name) for name, _ in columns)
    keep = f"CREATE TABLE {copy} AS SELECT {names} FROM {source}"
    restore = f"INSERT INTO {source} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {copy}"
    counters = [_counter(operation.table, name) for name, a in columns if _counts(a)]
    back = [
        operation.downgrade,
        f"op.execute({_literal(restore)})",
        *counters,
        *_forget(copy),
    ]
    return Step("\n".join([*_keep(source, keep), operation.upgrade]), "\n".join(back)), None


def _counts(attributes: dict[str, str | None]) -> bool:
    return bool(attributes.get("identity")) or "nextval(" in (attributes.get("default") or "")


def _counter(table: str, column: str) -> str:
    query = (
        f"SELECT setval(pg_get_serial_sequence('{_quoted(table)}', '{column}'), "
        f"coalesce((SELECT max({_quoted(column)}) FROM {_quoted(table)}), 0) + 1, false)"
    )
    return f"op.execute({_literal(query)})"


def _keep(source: str, copy: str) -> list[str]:
    """Return code that copies rows while nobody can write new ones into what goes away."""
    return [
        "# The rows are kept: the downgrade restores them from this copy.",
        f'op.execute("CREATE SCHEMA IF NOT EXISTS {ARCHIVE_SCHEMA}")',
        f"op.execute({_literal(f'LOCK TABLE {source} IN SHARE MODE')})",
        f"op.execute({_literal(copy)})",
    ]


def _forget(copy: str) -> list[str]:
    return [f"op.execute({_literal(f'DROP TABLE {copy}')})"]


def _column_altered(operation: RenderedOperation, head: Snapshot, revision: str) -> _Form:
    if operation.narrows:
        return _archived_column(operation, head, revision), None
    return _plain(operation, head, revision)


_FORMS: dict[str, Callable[[RenderedOperation, Snapshot, str], _Form]] = {
    "CreateIndexOp": _index_created,
    "DropIndexOp": _index_dropped,
    "CreateForeignKeyOp": _foreign_key,
    "DropColumnOp": _column_dropped,
    "DropTableOp": _table_dropped,
    "AlterColumnOp": _column_altered,
}


def _columns(head: Snapshot, table: str) -> list[tuple[str, dict[str, str | None]]]:
    return [
        (o.local_name.strip('"'), dict(o.attributes))
        for (kind, _), o in head.objects.items()
        if kind == "column" and o.table == table
    ]


def _primary_key(head: Snapshot, table: str) -> tuple[str, ...]:
    for (kind, _), found in head.objects.items():
        definition = found.attributes.get("definition") or ""
        if kind == "constraint" and found.table == table and definition.startswith("PRIMARY KEY"):
            inside = definition.partition("(")[2].partition(")")[0]
            return tuple(key.strip() for key in inside.split(","))
    raise InvalidInput(
        f'Table "{table}" has no primary key, so the rows of a dropped column cannot be put back.',
        instead="Give the table a primary key first, or write this revision by hand.",
    )


def _quoted(name: str) -> str:
    """Return an identifier (or schema.table) as SQL writes it."""
    parts = name.split(".")
    return ".".join(
        p if re.fullmatch(r"[a-z_][a-z0-9_]*", p) else '"' + p.strip('"').replace('"', '""') + '"'
        for p in parts
    )


def _literal(text: str) -> str:
    """Return a Python literal in double quotes, broken over lines when it is long."""
    if len(text) <= 80:
        return _string(text)
    lines, line = [], ""
    for word in text.split(" "):
        if len(line) + len(word) > 76:
            lines.append(line)
            line = ""
        line += word + " "
    lines.append(line.rstrip(" "))
    inside = "\n".join(f"    {_string(part)}" for part in lines if part)
    return f"\n{inside}\n"


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if '"' not in text or "'" in text else f"'{text}'"


def files_of(
    project: OpenProject,
    message: str,
    parts: Sequence[Part],
    first: str,
    parent: str | None,
) -> tuple[DraftFile, ...]:
    """Return the files of these parts, one after the other from `first` on."""
    taken = {r.revision for r in project.history.revisions}
    drafted: list[DraftFile] = []
    revision = first
    for part in parts:
        drafted.append(_file(project, message, part, revision, parent, several=len(parts) > 1))
        taken.add(revision)
        parent, revision = revision, next_revision_id(datetime.now(UTC), taken, revision)
    return tuple(drafted)


def _file(
    project: OpenProject,
    message: str,
    part: Part,
    revision: str,
    parent: str | None,
    *,
    several: bool,
) -> DraftFile:
    from jinja2 import Environment, StrictUndefined

    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(
        files("replyx_db_agent").joinpath("templates/revision.py.j2").read_text("utf-8")
    )
    upgrade = _body([s.up for s in part.steps], autocommit=part.autocommit)
    downgrade = _body([s.down for s in reversed(part.steps)], autocommit=part.autocommit)
    why = "\n\n".join(filter(None, [_sentence(message), textwrap.fill(part.why, 88)]))
    text = template.render(
        doc=why.replace("\\", "\\\\").replace('"', "'"),
        revision=revision,
        parent=parent,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        imports=_imports(part, upgrade + downgrade),
        upgrade=upgrade,
        downgrade=downgrade,
    )
    name = f"{revision}_{short_name(message)}{part.suffix if several else ''}.py"
    return DraftFile(f"{project.history.versions[0]}/{name}", revision, formatted(text))


def _sentence(message: str) -> str:
    text = " ".join(message.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _body(code: Sequence[str], *, autocommit: bool) -> str:
    lines = "\n".join(code)
    if not autocommit:
        return f"op.execute(\"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'\")\n{lines}"
    inside = (
        f"op.execute(\"SET lock_timeout = '{LOCK_TIMEOUT}'\")\n{lines}\n"
        'op.execute("RESET lock_timeout")'
    )
    indented = "\n".join(f"    {line}" if line else line for line in inside.splitlines())
    return f"with op.get_context().autocommit_block():\n{indented}"


def _imports(part: Part, code: str) -> list[str]:
    lines = {line for step in part.steps for line in step.imports}
    lines.discard("from alembic import op")
    lines.discard("import sqlalchemy as sa")
    if re.search(r"\bsa\.", code):
        lines.add("import sqlalchemy as sa")
    lines.add("from alembic import op")
    return sorted(lines, key=lambda line: (line.startswith("from"), line))


def _double_quoted(source: str) -> str:
    """Return the code with its plain strings in double quotes, as formatters write them."""
    tokens = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string
        if token.type == tokenize.STRING and re.fullmatch(r"'[^'\"\\]*'", text):
            token = token._replace(string=f'"{text[1:-1]}"')
        tokens.append(token)
    return tokenize.untokenize(tokens)


def formatted(source: str) -> str:
    """Return the code in double quotes, calls too long for a line with an argument a line."""
    source = _double_quoted(source)
    lines = source.splitlines()
    calls = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr | ast.If) and len(lines[node.lineno - 1]) > MOST_COLUMNS
    ]
    for node in sorted(calls, key=lambda n: -n.lineno):
        call = node.value if isinstance(node, ast.Expr) else node.test
        if isinstance(call, ast.Call) and call.lineno == call.end_lineno:
            line = lines[call.lineno - 1]
            indent = " " * (len(line) - len(line.lstrip()))
            before, after = line[: call.col_offset], line[call.end_col_offset :]
            lines[call.lineno - 1] = before + _broken(call, source, indent) + after
    return "\n".join(lines) + "\n"


def _broken(call: ast.Call, source: str, indent: str) -> str:
    """Return a call with an argument a line."""
    name = ast.get_source_segment(source, call.func) or ""
    if not call.args and not call.keywords and isinstance(call.func, ast.Attribute):
        inner = call.func.value
        if isinstance(inner, ast.Call):
            return f"{_broken(inner, source, indent)}.{call.func.attr}()"
    given = [ast.get_source_segment(source, a) or "" for a in call.args]
    given += [f"{k.arg}={ast.get_source_segment(source, k.value)}" for k in call.keywords]
    inside = "".join(f"\n{indent}    {argument}," for argument in given)
    return f"{name}({inside}\n{indent})"


def with_narrowing(
    operations: Sequence[RenderedOperation], narrowed: frozenset[tuple[str, str]]
) -> list[RenderedOperation]:
    """Mark the type changes by which values can be lost."""
    return [replace(o, narrows=(o.table, o.column) in narrowed) for o in operations]
