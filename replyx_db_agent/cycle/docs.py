"""Renders docs/db of a project as it stands, and says which document is stale."""

from __future__ import annotations

from collections.abc import Sequence

from replyx_db_agent.core.docs_mapping import INDEXES, MIGRATIONS, ROLLBACK, SCHEMA
from replyx_db_agent.core.hot_query import HotQuery, read_hot_query
from replyx_db_agent.cycle.compare import snapshot_at_heads
from replyx_db_agent.cycle.documents import QueryRow, RevisionRow, render_documents
from replyx_db_agent.cycle.load import OpenProject
from replyx_db_agent.engines import sql

_FILES = (SCHEMA, MIGRATIONS, INDEXES, ROLLBACK)


def render_docs(project: OpenProject) -> dict[str, str]:
    """Return path -> full text of every document, from the schema at head."""
    with project.server.shadow() as database, project.rehearsal(database) as session:
        project.call.tell("Reading the schema at head")
        snapshot = snapshot_at_heads(project, session)
        session.finish()
    history = [
        RevisionRow(r.revision, r.path, r.doc, tuple(r.down_revisions))
        for r in reversed(project.history.revisions)
    ]
    existing = {path: project.workspace.read(path) or "" for path in _FILES}
    texts = render_documents(
        snapshot,
        history,
        project.settings.language,
        existing,
        queries=[_row(project, path) for path in query_files(project)],
    )
    return dict(texts)


def due(project: OpenProject, texts: dict[str, str]) -> tuple[str, ...]:
    """Return the documents whose text on disk is another one."""
    return tuple(path for path, text in texts.items() if project.workspace.read(path) != text)


def query_files(project: OpenProject) -> Sequence[str]:
    """Return the project's hot query files, project-relative and sorted."""
    root = project.settings.root
    found = sorted((root / project.settings.hot_queries).glob("*.sql"))
    return [path.relative_to(root).as_posix() for path in found]


def read_query(project: OpenProject, path: str) -> HotQuery:
    """Return the hot query of a project file."""
    stem = path.rpartition("/")[2].removesuffix(".sql")
    return read_hot_query(project.workspace.read(path) or "", stem)


def _row(project: OpenProject, path: str) -> QueryRow:
    query = read_query(project, path)
    return QueryRow(query.name, path, query.sla_ms, sql.tables_of(query.sql))
