"""The definition of done: what still lacks before a change may be called finished."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from replyx_db_agent.core import naming
from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.core.guardrails import STATE_FOLDER, EnvironmentKind
from replyx_db_agent.core.model import Hazard, HazardKind
from replyx_db_agent.core.report import Phrase, say
from replyx_db_agent.cycle.docs import due, query_files, read_query, render_docs
from replyx_db_agent.cycle.judge import findings
from replyx_db_agent.cycle.load import OpenProject
from replyx_db_agent.cycle.prove import recall, staleness
from replyx_db_agent.engines import sql
from replyx_db_agent.engines.project import RevisionInfo

_CI_FILES = (".github/workflows", ".gitlab-ci.yml", ".circleci", "Jenkinsfile", ".ci")
_BLOCKING = (HazardKind.BLOCKS_READS, HazardKind.BLOCKS_WRITES, HazardKind.REWRITES_TABLE)


def missing(
    project: OpenProject,
    revisions: Sequence[RevisionInfo],
    hazards: Sequence[Hazard],
    tables: set[str],
    environments: Mapping[str, EnvironmentKind],
) -> tuple[Phrase, ...]:
    """Return what the definition of done still lacks for these revisions; empty: it holds.

    `tables` are those that the revisions touch; `environments` maps each configured one to its
    kind. Every line rests on evidence of exactly these files.
    """
    return (
        *_names(revisions),
        *_rehearsed(project, revisions),
        *_released(project, revisions, environments),
        *_documented(project),
        *_measured(project, revisions, tables),
        *_window(hazards),
        *_ci(project),
    )


def _names(revisions: Sequence[RevisionInfo]) -> Iterator[Phrase]:
    for revision in revisions:
        name = PurePosixPath(revision.path).name
        if not naming.follows_policy(revision.revision, name):
            yield say("missing.name", name=name)


def _rehearsed(project: OpenProject, revisions: Sequence[RevisionInfo]) -> Iterator[Phrase]:
    for revision in revisions:
        evidence = recall(project, revision.revision)
        if evidence is None or staleness(project, evidence):
            yield say("missing.rehearsal", revision=revision.revision)
        elif evidence.outcome != "clean":
            yield say("missing.way_back", revision=revision.revision, outcome=evidence.outcome)


def _released(
    project: OpenProject,
    revisions: Sequence[RevisionInfo],
    environments: Mapping[str, EnvironmentKind],
) -> Iterator[Phrase]:
    """Local and staging must have taken these very files, where such environments exist."""
    releases = tuple(_stored(project, "releases"))
    hashes = project.workspace.hashes([r.path for r in revisions])
    for name, kind in environments.items():
        taken = [r for r in releases if r.get("environment") == name and r.get("verified")]
        files = {path: value for r in taken for path, value in dict(r["files"]).items()}
        if kind != "production" and any(files.get(p) != h for p, h in hashes.items()):
            yield say("missing.release", environment=name)


def _stored(project: OpenProject, folder: str) -> Iterator[dict[str, Any]]:
    for path in sorted((project.settings.root / STATE_FOLDER / folder).glob("*.json")):
        try:
            found = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            yield found


def _documented(project: OpenProject) -> Iterator[Phrase]:
    try:
        texts = render_docs(project)
    except InvalidInput as error:  # a revision does not go up: there is no schema at head
        yield say("missing.schema", problem=error.problem.rstrip("."))
        return
    for path in due(project, texts):
        yield say("missing.docs", path=path)


def _measured(
    project: OpenProject, revisions: Sequence[RevisionInfo], tables: set[str]
) -> Iterator[Phrase]:
    """Queries that read a touched table must have been measured around one of these revisions."""
    measured: set[str] = set()
    for found in _stored(project, "measurements"):
        files = dict(found.get("file", {}))
        is_ours = found.get("revision") in {r.revision for r in revisions}
        if is_ours and files and project.workspace.hashes(list(files)) == files:
            measured |= {q["name"] for q in found.get("queries", [])}
    for path in query_files(project):
        query = read_query(project, path)
        if set(sql.tables_of(query.sql)) & tables and query.name not in measured:
            yield say("missing.measurement", query=query.name)


def _window(hazards: Sequence[Hazard]) -> Iterator[Phrase]:
    blocking = [h for h in findings(hazards) if h.kind in _BLOCKING]
    if blocking:
        names = ", ".join(dict.fromkeys(h.rule for h in blocking))
        yield say("missing.window", rules=names)


def _ci(project: OpenProject) -> Iterator[Phrase]:
    if any((project.settings.root / name).exists() for name in _CI_FILES):
        yield say("missing.ci")
