"""Keeps what a rehearsal proved, and says whether it still speaks of what is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.core.evidence import Evidence, Present, digest, is_sound, stale
from replyx_db_agent.core.guardrails import (
    STATE_FOLDER,
    DestructiveStep,
    Standing,
    may_be_destructive,
)
from replyx_db_agent.core.text import fold
from replyx_db_agent.cycle import seen
from replyx_db_agent.cycle.load import OpenProject
from replyx_db_agent.cycle.rehearse import Climb, Rehearsal
from replyx_db_agent.engines.project import EmittedStatement, RevisionInfo


def keep(project: OpenProject, climb: Climb) -> None:
    """Write the evidence of every revision of this climb into the state folder."""
    for rehearsal in climb.rehearsals:
        evidence = _evidence(project, climb, rehearsal)
        text = json.dumps(asdict(evidence), indent=1, ensure_ascii=False, sort_keys=True)
        project.workspace.write(_path(evidence.revision), text + "\n")


def _path(revision: str) -> str:
    return f"{STATE_FOLDER}/evidence/{digest(revision.encode())[:16]}.json"


def _evidence(project: OpenProject, climb: Climb, rehearsal: Rehearsal) -> Evidence:
    revision = rehearsal.revision
    files = _files(project, climb, revision.revision)
    _unchanged_meanwhile(project, climb, files)
    return Evidence(
        revision=revision.revision,
        path=revision.path,
        outcome=rehearsal.outcome,
        rows_compared=rehearsal.rows_compared,
        differences=rehearsal.differences,
        files=project.workspace.hashes(files),
        section=_section_hash(project, revision.revision),
        worker=project.settings.worker_hash,
        upgrade=normalised(rehearsal.upgrade),
        downgrade=normalised(rehearsal.downgrade),
        dropped=tuple(d.identity for d in rehearsal.dropped),
        without_content=seen.without_content(rehearsal),
        versions={
            **climb.loaded.versions,
            "postgresql": str(climb.server_version_num),
            "pgvector": project.server.pgvector_version,
        },
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def normalised(statements: Sequence[EmittedStatement]) -> tuple[str, ...]:
    """Return the statements as evidence and plans compare them."""
    return tuple(fold(s.sql) for s in statements)


def _files(project: OpenProject, climb: Climb, revision: str) -> list[str]:
    """Return what this revision's outcome rests on: all that was read but later revisions."""
    mine = {r.path for r in project.ancestors(revision)}
    others = {r.path for r in project.history.revisions} - mine
    others -= {r.path for r in project.history.revisions if r.revision == revision}
    return [path for path in climb.loaded.files if path not in others]


def _unchanged_meanwhile(project: OpenProject, climb: Climb, files: Sequence[str]) -> None:
    for path in files:
        target = project.settings.root / path
        if target.exists() and target.stat().st_mtime > climb.started:
            raise InvalidInput(
                f'"{path}" changed while it was being rehearsed.',
                instead="Rehearse again: nothing was kept of this run.",
            )


def _section_hash(project: OpenProject, revision: str) -> str:
    section = project.section(revision)
    return digest(section.text.encode()) if section else ""


def recall(project: OpenProject, revision: str) -> Evidence | None:
    """Return the stored evidence of a revision; None when there is none that can be read."""
    text = project.workspace.read(_path(revision))
    if text is None:
        return None
    try:
        evidence = _read(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return evidence if evidence.revision == revision else None


_LISTS = ("differences", "upgrade", "downgrade", "dropped", "without_content")


def _read(raw: dict[str, Any]) -> Evidence:
    values: Any = {k: tuple(v) if k in _LISTS else v for k, v in raw.items()}
    evidence = Evidence(**values)
    if not is_sound(evidence):
        raise ValueError("not the evidence of a revision")
    return evidence


def staleness(project: OpenProject, evidence: Evidence) -> tuple[str, ...]:
    """Return why the evidence no longer counts; empty when it does."""
    info = project.revision(evidence.revision)
    present = Present(
        revision=info.revision,
        path=info.path,
        required=_required(project, info),
        files=project.workspace.hashes(list(evidence.files)),
        section=_section_hash(project, info.revision),
        worker=project.settings.worker_hash,
    )
    return stale(evidence, present)


def _required(project: OpenProject, info: RevisionInfo) -> tuple[str, ...]:
    """Return what every rehearsal of this revision reads, as far as it exists."""
    below = (r.path for r in project.ancestors(info.revision))
    files = (info.path, *below, f"{project.history.script_location}/env.py")
    files += (project.settings.alembic_ini,)
    return tuple(path for path in files if (project.settings.root / path).is_file())


def standing(project: OpenProject, revision: str) -> Standing:
    """Return what G1 and G2 ask of a revision: its plan, its rehearsal, whether that is fresh."""
    evidence = recall(project, revision)
    info = project.revision(revision)
    return Standing(
        revision=revision,
        parents=tuple(info.down_revisions),
        section=project.section(revision),
        evidence=evidence,
        stale=staleness(project, evidence) if evidence else (),
    )


def may_go(project: OpenProject, rehearsal: Rehearsal, steps: Sequence[DestructiveStep]) -> None:
    """G1 and G2, of the stored evidence *and* of the rehearsal that was made just now."""
    known = standing(project, rehearsal.revision.revision)
    evidence = known.evidence
    other: tuple[str, ...] = ()
    if evidence and evidence.upgrade != normalised(rehearsal.upgrade):
        other = ("the revision emits other statements than when it was rehearsed",)
    may_be_destructive(steps, replace(known, stale=(*known.stale, *other), now=rehearsal.outcome))
