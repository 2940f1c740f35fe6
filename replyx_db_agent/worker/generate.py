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
from sqlalchemy import MetaData

from replyx_db_agent.worker.problems import Problem

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
            metadata.create_all(context.connection)  # type: ignore[arg-type]
            names.extend(table.fullname for table in metadata.sorted_tables)
    return names


def autogenerate(context: MigrationContext) -> list[dict[str, Any]]:
    """Return Alembic's operations, from the database as it is to the models, rendered."""
    given = metadata_of(context)
    with suppress(ImportError):
        importlib.import_module("pgvector.sqlalchemy")  # its types are reflected once it is loaded
    script = produce_migrations(context, given if len(given) > 1 else given[0])  # type: ignore[arg-type]
    return [
        _rendered(operation, context)
        for container in script.upgrade_ops_list
        for operation in _leaves(container)
    ]


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
    return {
        "kind": type(operation).__name__,
        "table": getattr(operation, "table_name", None) or getattr(operation, "source_table", None),
        "name": next((str(name) for name in names if name), column_name),
        "column": column_name,
        "schema": getattr(operation, "schema", None),
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
    """Render pgvector's types by their usual names; give other packages' types their import."""
    module = type(item).__module__
    if module.startswith("pgvector.sqlalchemy"):
        name = "Vector" if type(item).__name__ == "VECTOR" else type(item).__name__
        autogen.imports.add(f"from pgvector.sqlalchemy import {name}")
        size = getattr(item, "dim", None) or getattr(item, "length", None)
        return f"{name}({size or ''})"
    if not module.startswith("sqlalchemy.") and autogen.opts.get("user_module_prefix") is None:
        autogen.imports.add(f"import {module}")
    return False
