"""The models of the project: their tables made, and Alembic's own view of what changed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from alembic.autogenerate import produce_migrations
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import render_op_text
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, Enum, ForeignKeyConstraint, MetaData
from sqlalchemy.schema import CreateSchema
from sqlalchemy.types import TypeDecorator

from replyx_db_agent.worker.problems import Problem

OUR_SCHEMAS = ("replyx_db_agent", "replyx_trace")
NAMES = ("index_name", "constraint_name", "column_name", "table_name")


def metadata_of(context: MigrationContext) -> list[MetaData]:
    """Return what env.py gives as target_metadata, as a list."""
    given = context.opts.get("target_metadata")
    if given is None:
        raise Problem(
            "env.py gives no target_metadata, so there are no models to look at.",
            instead="Import the models' metadata in env.py (target_metadata = Base.metadata) and "
            "pass it: context.configure(..., target_metadata=target_metadata).",
        )
    return list(given) if isinstance(given, (list, tuple)) else [given]


def create_models(context: MigrationContext) -> list[str]:
    """Create every table of the models and return their names."""
    names: list[str] = []
    with context.begin_transaction(_per_migration=True):
        for metadata in metadata_of(context):
            for schema in _schemas(metadata):
                context.connection.execute(CreateSchema(schema, if_not_exists=True))  # type: ignore[union-attr]
            metadata.create_all(context.connection)  # type: ignore[arg-type]
            names.extend(table.fullname for table in metadata.sorted_tables)
    return names


def _schemas(metadata: MetaData) -> list[str]:
    """Return the schemas that the tables and types lie in."""
    names = {table.schema for table in metadata.tables.values()}
    types = (column.type for table in metadata.tables.values() for column in table.columns)
    names |= {getattr(one, "schema", None) for one in types}
    return sorted(name for name in names if name)


def autogenerate(context: MigrationContext) -> list[dict[str, Any]]:
    """Return Alembic's operations, from the database as it is to the models, rendered."""
    given = metadata_of(context)
    with suppress(ImportError):
        importlib.import_module("pgvector.sqlalchemy")  # its types are reflected once it is loaded
    options = context.opts
    context.opts = {
        **options,
        "include_schemas": True,
        "include_name": _but_our_schemas(options.get("include_name")),
    }
    try:
        script = produce_migrations(context, given if len(given) > 1 else given[0])  # type: ignore[arg-type]
    finally:
        context.opts = options
    operations: list[Any] = [
        one for container in script.upgrade_ops_list for one in _leaves(container)
    ]
    for one in operations:
        if isinstance(one, ops.CreateTableOp):
            one.columns = [*one.columns, *_checks_of_columns(one)]
    return [_rendered(one, context) for one in _without_circles(operations)]


def _checks_of_columns(create: ops.CreateTableOp) -> Iterator[CheckConstraint]:
    """Yield what columns were given as their own CHECK, which is not rendered with them."""
    for column in create.columns:
        for check in getattr(column, "constraints", ()):
            if isinstance(check, CheckConstraint):
                yield CheckConstraint(check.sqltext, name=check.name)


def _but_our_schemas(theirs: Any) -> Any:
    """Return the project's own filter, which need not know of what we put beside its tables."""

    def include_name(name: Any, kind: str, parents: Any) -> bool:
        ours = kind == "schema" and name in OUR_SCHEMAS
        return not ours and (theirs is None or theirs(name, kind, parents))

    return include_name


def _without_circles(operations: list[Any]) -> list[Any]:
    """Move keys to tables that are created later out of CREATE TABLE, behind the last one."""
    creates: list[Any] = [one for one in operations if isinstance(one, ops.CreateTableOp)]
    waiting = {(one.schema, one.table_name) for one in creates}
    later = []
    for one in creates:
        keys = [
            key
            for key in one.to_table().foreign_key_constraints
            if _target(key) in waiting - {(one.schema, one.table_name)}
        ]
        waiting.discard((one.schema, one.table_name))
        later += [_apart(one, key) for key in keys]
    place = max((operations.index(one) for one in creates), default=-1) + 1
    return [*operations[:place], *later, *operations[place:]]


def _target(key: ForeignKeyConstraint) -> tuple[str | None, str]:
    schema, _, table = key.elements[0].target_fullname.rpartition(".")[0].rpartition(".")
    return schema or None, table


def _apart(create: Any, key: ForeignKeyConstraint) -> ops.MigrateOperation:
    """Take the key out of the table that is created and return it as an operation."""
    columns = [element.parent.name for element in key.elements]
    create.columns = [
        one
        for one in create.columns
        if not isinstance(one, ForeignKeyConstraint) or [*one.column_keys] != columns
    ]
    operation: Any = ops.CreateForeignKeyOp.from_constraint(key)
    if operation.constraint_name is None:  # PostgreSQL's own choice
        operation.constraint_name = "_".join((create.table_name, *columns, "fkey"))
    return operation  # type: ignore[no-any-return]


def _leaves(container: Any) -> Iterator[ops.MigrateOperation]:
    for operation in container.ops:
        if isinstance(operation, ops.OpContainer):
            yield from _leaves(operation)
        else:
            yield operation


def _rendered(operation: Any, context: MigrationContext) -> dict[str, Any]:
    autogen = AutogenContext(context, opts=_options(context.opts), autogenerate=False)
    upgrade = render_op_text(autogen, operation)
    downgrade = ""
    with suppress(NotImplementedError, ValueError):
        downgrade = render_op_text(autogen, operation.reverse())
    column = getattr(operation, "column", None)
    column_name = getattr(operation, "column_name", None) or getattr(column, "name", None)
    names = (getattr(operation, name, None) for name in NAMES)
    keywords = getattr(operation, "kw", {})
    return {
        "kind": type(operation).__name__,
        "table": getattr(operation, "table_name", None) or getattr(operation, "source_table", None),
        "name": next((str(name) for name in names if name), column_name),
        "column": column_name,
        "schema": getattr(operation, "schema", None) or keywords.get("source_schema"),
        "upgrade": upgrade,
        "downgrade": downgrade,
        "imports": sorted(autogen.imports),
    }


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Return env.py's options with types rendered so that the file can be imported."""
    theirs = given.get("render_item")

    def render_item(kind: str, item: Any, autogen: AutogenContext) -> Any:
        found = theirs(kind, item, autogen) if theirs else False
        if found is not False or kind != "type":
            return found
        return _type(item, autogen)

    return {**given, "render_item": render_item}


def _type(item: Any, autogen: AutogenContext) -> Any:
    """Render pgvector's types by their usual names; give other packages' types their import.

    A column never creates its enumerated type: a table that did would not drop it again.
    """
    enum = item.impl_instance if isinstance(item, TypeDecorator) else item
    if isinstance(enum, Enum) and enum.native_enum and enum.name:
        return _enum(enum, autogen)
    module = type(item).__module__
    if module.startswith("pgvector.sqlalchemy"):
        name = "Vector" if type(item).__name__ == "VECTOR" else type(item).__name__
        autogen.imports.add(f"from pgvector.sqlalchemy import {name}")
        size = getattr(item, "dim", None) or getattr(item, "length", None)
        return f"{name}({size or ''})"
    if not module.startswith("sqlalchemy.") and autogen.opts.get("user_module_prefix") is None:
        autogen.imports.add(f"import {module}")
    return False


def _enum(enum: Enum, autogen: AutogenContext) -> str:
    autogen.imports.add("from sqlalchemy.dialects import postgresql")
    labels = "".join(f"{label!r}, " for label in enum.enums)
    schema = f", schema={enum.schema!r}" if enum.schema else ""
    return f"postgresql.ENUM({labels}name={str(enum.name)!r}{schema}, create_type=False)"
