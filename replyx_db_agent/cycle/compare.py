"""Compares the models with the revisions at head, as catalogue snapshots of real databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from replyx_db_agent.core.model import Facts, Hazard, Statement
from replyx_db_agent.core.schema import Change, Snapshot, diff, suggest_renames
from replyx_db_agent.cycle.load import OpenProject
from replyx_db_agent.cycle.rehearse import stand_at
from replyx_db_agent.engines import catalog, sql
from replyx_db_agent.engines.project import RevisionInfo, Session
from replyx_db_agent.engines.shadow import ShadowDatabase
from replyx_db_agent.rules import judge

MODELS_KNOW = frozenset(
    {"schema", "table", "column", "constraint", "index", "enum", "domain", "sequence"}
)
"""Kinds that SQLAlchemy metadata declares. Of any other kind (view, function, trigger, policy,
extension ...) the models say nothing, so its absence from them is no difference."""

_VECTOR_TYPES = ("vector(", "halfvec(", "sparsevec(", "vector", "halfvec", "sparsevec")


@dataclass(frozen=True)
class Comparison:
    """What differs: `changes` lead from the revisions at head to the models."""

    head: Snapshot
    models: Snapshot
    changes: tuple[Change, ...]

    @property
    def renames(self) -> tuple[tuple[str, str], ...]:
        """Pairs (old, new) that look like a rename; never assumed."""
        return suggest_renames(self.changes)


def models_against_head(project: OpenProject) -> Comparison:
    """Build both sides on shadows and compare them."""
    with project.server.shadow() as at_head, project.rehearsal(at_head) as session:
        project.call.tell("Taking the revisions up to head on a shadow")
        head = snapshot_at_heads(project, session)
        session.finish()
    models = snapshot_of_models(project, head)
    return Comparison(head, models, changes_to_models(head, models))


def snapshot_at_heads(project: OpenProject, session: Session) -> Snapshot:
    """Take a fresh session up to every head and read the schema."""
    stand_at(project, session, _line(project))
    return catalog.snapshot(session.query, version_table=project.history.version_table)


def _line(project: OpenProject) -> list[RevisionInfo]:
    ordered: dict[str, RevisionInfo] = {}
    for head in project.history.heads:
        for revision in (*project.ancestors(head), project.revision(head)):
            ordered[revision.revision] = revision
    return list(ordered.values())


def snapshot_of_models(project: OpenProject, head: Snapshot) -> Snapshot:
    """Create the models' tables in an empty shadow and read the schema."""
    with project.server.shadow() as database:
        _prepare(project, database, head)
        with project.rehearsal(database) as session:
            project.call.tell("Creating the models on a shadow")
            session.create_models()
            session.finish()
        with project.server.admin(database.name) as connection:
            return catalog.snapshot(
                lambda text: [list(row) for row in connection.execute(text).fetchall()],
                version_table=project.history.version_table,
            )


def _prepare(project: OpenProject, database: ShadowDatabase, head: Snapshot) -> None:
    """Give the models what they take for granted: the extensions and schemas of head."""
    names = {n for kind, n in head.objects if kind == "extension"} | {"vector"}
    schemas = {n for kind, n in head.objects if kind == "schema"}
    with project.server.admin(database.name) as connection:
        for name in sorted(names):
            connection.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")
        for name in sorted(schemas):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name} AUTHORIZATION {database.role}")


def changes_to_models(head: Snapshot, models: Snapshot) -> tuple[Change, ...]:
    """Return the changes that lead to the models, of the kinds that models can declare."""
    changes = diff(head, models)
    vector_is_new = ("extension", "vector") not in head.objects and _uses_vectors(models)
    return tuple(
        c
        for c in changes
        if c.object_kind in MODELS_KNOW
        or (c.change == "changed" and c.object_kind != "extension")
        or (c.object == "vector" and c.change == "added" and vector_is_new)
    )


def _uses_vectors(snapshot: Snapshot) -> bool:
    types = (o.attributes.get("type") or "" for o in snapshot.objects.values())
    return any(t.startswith(_VECTOR_TYPES) for t in types)


def planned_ddl(change: Change) -> tuple[str, ...]:
    """Return the DDL that makes this change in the form a draft gives it, for the rules to judge.

    Indexes are built and dropped CONCURRENTLY, foreign keys validated apart.
    """
    form: Callable[[Change], Iterable[str]] = _DDL.get((change.object_kind, change.change), _no_ddl)
    return tuple(form(change))


def hazards_of(change: Change, comparison: Comparison) -> tuple[Hazard, ...]:
    """Return what the change does in the form a draft gives it, a statement a transaction."""
    statements = [
        Statement(
            text,
            sql.operations(text),
            autocommit="CONCURRENTLY" in text,
            transaction=number,
        )
        for number, text in enumerate(planned_ddl(change))
    ]
    facts = Facts(column_types=catalog.types(comparison.head))
    return judge(statements, facts)


def _no_ddl(change: Change) -> Iterable[str]:
    return ()


def _local(change: Change) -> str:
    return change.object.removeprefix(f"{change.table}.")


def _add_column(change: Change) -> Iterable[str]:
    a = change.after
    parts = [f"ALTER TABLE {change.table} ADD COLUMN {_local(change)} {a['type']}"]
    if a.get("default"):
        parts.append(f"DEFAULT {a['default']}")
    if a.get("null") == "forbidden":
        parts.append("NOT NULL")
    yield " ".join(parts)


def _change_column(change: Change) -> Iterable[str]:
    start = f"ALTER TABLE {change.table} ALTER COLUMN {_local(change)}"
    if "type" in change.after:
        yield f"{start} TYPE {change.after['type']}"
    if "null" in change.after:
        yield f"{start} {'SET' if change.after['null'] == 'forbidden' else 'DROP'} NOT NULL"
    if "default" in change.after:
        default = change.after["default"]
        yield f"{start} SET DEFAULT {default}" if default else f"{start} DROP DEFAULT"


def _add_constraint(change: Change) -> Iterable[str]:
    definition = change.after.get("definition") or ""
    add = f"ALTER TABLE {change.table} ADD CONSTRAINT {_local(change)} {definition}"
    if not definition.startswith(("FOREIGN KEY", "CHECK")):
        yield add
        return
    yield add if definition.endswith("NOT VALID") else f"{add} NOT VALID"
    yield f"ALTER TABLE {change.table} VALIDATE CONSTRAINT {_local(change)}"


def _replace_index(change: Change) -> Iterable[str]:
    yield f"DROP INDEX CONCURRENTLY {change.object}"
    yield from _add_index(change)


def _add_index(change: Change) -> Iterable[str]:
    if definition := change.after.get("definition"):
        yield definition.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)


def _add_table(change: Change) -> Sequence[str]:
    columns = [
        f"{key.removeprefix('column ')} {str(value).removeprefix('type ').split(',')[0]}"
        for key, value in change.after.items()
        if key.startswith("column ")
    ]
    return (f"CREATE TABLE {change.object} ({', '.join(columns)})",)


_DDL: dict[tuple[str, str], Callable[[Change], Iterable[str]]] = {
    ("table", "added"): _add_table,
    ("table", "removed"): lambda c: (f"DROP TABLE {c.object}",),
    ("column", "added"): _add_column,
    ("column", "removed"): lambda c: (f"ALTER TABLE {c.table} DROP COLUMN {_local(c)}",),
    ("column", "changed"): _change_column,
    ("constraint", "added"): _add_constraint,
    ("constraint", "removed"): lambda c: (f"ALTER TABLE {c.table} DROP CONSTRAINT {_local(c)}",),
    ("index", "added"): _add_index,
    ("index", "changed"): _replace_index,
    ("index", "removed"): lambda c: (f"DROP INDEX CONCURRENTLY {c.object}",),
    ("schema", "removed"): lambda c: (f"DROP SCHEMA {c.object}",),
    ("enum", "removed"): lambda c: (f"DROP TYPE {c.object}",),
}
