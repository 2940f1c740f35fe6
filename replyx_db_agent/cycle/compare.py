"""Compares the models with the revisions at head, as catalogue snapshots of real databases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from replyx_db_agent.core.model import Facts, Hazard, Statement
from replyx_db_agent.core.schema import Change, Snapshot, diff, suggest_renames
from replyx_db_agent.cycle.drafting.names import parts
from replyx_db_agent.cycle.drafting.planned import planned_ddl
from replyx_db_agent.cycle.load import OpenProject
from replyx_db_agent.cycle.rehearse import stand_at
from replyx_db_agent.engines import catalog, postgres, sql
from replyx_db_agent.engines.project import RevisionInfo, Session
from replyx_db_agent.engines.shadow import ShadowDatabase
from replyx_db_agent.rules import judge

MODELS_KNOW = frozenset(
    {"schema", "table", "column", "constraint", "index", "enum", "domain", "sequence"}
)
"""Kinds that SQLAlchemy metadata declares. Of any other kind (view, function, trigger, policy,
extension ...) the models say nothing, so its absence from them is no difference."""

NO_MODEL_SAYS = frozenset(
    {"row security", "replica identity", "clustered", "storage", "compression", "statistics"}
)
"""Attributes that metadata cannot declare: what revisions made of them is no difference either."""

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
                postgres.rows_of(connection), version_table=project.history.version_table
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
    changes = diff(_as_models_can_say(head), _as_models_can_say(models))
    vector_is_new = ("extension", "vector") not in head.objects and _uses_vectors(models)
    return tuple(
        c
        for c in changes
        if c.object_kind in MODELS_KNOW
        or (c.change == "changed" and c.object_kind != "extension")
        or (c.object == "vector" and c.change == "added" and vector_is_new)
    )


def _as_models_can_say(snapshot: Snapshot) -> Snapshot:
    told = {}
    for key, thing in snapshot.objects.items():
        kept = {k: v for k, v in thing.attributes.items() if k not in NO_MODEL_SAYS}
        told[key] = thing if len(kept) == len(thing.attributes) else replace(thing, attributes=kept)
    return Snapshot(told)


def keeping_the_name(old: str, changes: Sequence[Change]) -> str:
    """Return what a model says to be called anew and keep its name in the database."""
    change = next(c for c in changes if c.object == old)
    name = parts(old)[-1]
    return f'__tablename__ = "{name}"' if change.table is None else f'mapped_column("{name}")'


def with_what_they_rest_on(
    chosen: tuple[Change, ...], changes: tuple[Change, ...]
) -> tuple[Change, ...]:
    """Add the types, schemas and extensions that the chosen changes need, or no longer need."""
    told = ((c.object, *c.before.values(), *c.after.values()) for c in chosen)
    text = " ".join(str(one) for these in told for one in these)
    needed = [
        c
        for c in changes
        if c.object_kind in ("schema", "extension", "enum", "domain", "sequence")
        and re.search(rf"(?<![\w\"]){re.escape(c.object)}(?![\w\"])", text)
    ]
    return tuple(c for c in changes if c in chosen or c in needed)


def _uses_vectors(snapshot: Snapshot) -> bool:
    types = (o.attributes.get("type") or "" for o in snapshot.objects.values())
    return any(t.startswith(_VECTOR_TYPES) for t in types)


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
