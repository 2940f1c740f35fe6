"""Tool: leave the task record, from evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from replyx_db_agent.config import Config, load
from replyx_db_agent.core.call import Call
from replyx_db_agent.core.errors import GuardrailRefusal, InvalidInput
from replyx_db_agent.core.guardrails import may_be_destructive
from replyx_db_agent.core.model import ChangeRows, HazardKind, InsertRows, Risk
from replyx_db_agent.core.record import TaskRecord, file_name
from replyx_db_agent.core.record import render as render_record
from replyx_db_agent.core.report import Answer, RecordReport, say
from replyx_db_agent.core.schema import Change, diff
from replyx_db_agent.cycle.answer import render, words
from replyx_db_agent.cycle.done import missing
from replyx_db_agent.cycle.judge import (
    Judgement,
    findings,
    judge_rehearsal,
    shown_ddl,
    statements,
    worst,
)
from replyx_db_agent.cycle.load import OpenProject, open_project
from replyx_db_agent.cycle.prove import recall, staleness, standing
from replyx_db_agent.cycle.rehearse import Climb, climb
from replyx_db_agent.engines.project import RevisionInfo

_VECTOR = re.compile(r"\b(vector|halfvec|sparsevec|hnsw|ivfflat)\b")
_GRAVE = (HazardKind.LOSES_DATA, HazardKind.BREAKS_RUNNING_CODE)
_MOST_FILES = 5_000


def record_task(call: Call, task: str, revisions: Sequence[str] = ("head",)) -> RecordReport:
    """Write the task record (task_YYYYMMDD_HHMMSS.data) of these revisions, from evidence.

    Its status is "finished" only when the definition of done holds; otherwise it says what is
    missing. Never overwrites a record. Runs the project's code; writes one file in the record
    folder.

    Args:
        task: What was asked for, in one sentence.
        revisions: The revisions of this task (ids, paths or "head").
    """
    if not task.strip():
        raise InvalidInput(
            "The task is not described.", instead="Say in one sentence what was asked for."
        )
    config = load(call.root)
    project = open_project(call, config.settings())
    infos = [project.revision(name) for name in revisions or ("head",)]
    wanted = {info.revision for info in infos}
    order = [r for r in project.since(None, _last(project, wanted)) if r.revision in wanted]
    climbed = climb(project, order)
    judged = tuple(judge_rehearsal(r, climbed.server_version_num) for r in climbed.rehearsals)
    changes = _changes(climbed)
    status = _status(project, config, order, climbed, judged, changes)
    record = _record(project, task, status, order, climbed, judged, changes)
    path = _write(project, record)
    answer = _answer(project, path, status, judged, climbed)
    return RecordReport(path, status, path, answer=render(answer, project.settings.language))


def _last(project: OpenProject, wanted: set[str]) -> RevisionInfo:
    """Return the revision that stands above all the others."""
    for name in wanted:
        if wanted <= {r.revision for r in project.ancestors(name)} | {name}:
            return project.revision(name)
    raise InvalidInput(
        "These revisions are not on one line.", instead="Write one record for each branch."
    )


def _changes(climbed: Climb) -> tuple[Change, ...]:
    found: list[Change] = []
    for rehearsal in climbed.rehearsals:
        if rehearsal.before is not None and rehearsal.after is not None:
            found += diff(rehearsal.before, rehearsal.after)
    return tuple(found)


def _status(
    project: OpenProject,
    config: Config,
    order: Sequence[RevisionInfo],
    climbed: Climb,
    judged: Sequence[Judgement],
    changes: Sequence[Change],
) -> str:
    language = project.settings.language
    for rehearsal, judgement in zip(climbed.rehearsals, judged, strict=True):
        try:
            may_be_destructive(
                judgement.destructive, standing(project, rehearsal.revision.revision)
            )
        except GuardrailRefusal as refusal:
            return words(
                say(
                    "status.refused",
                    guardrail=refusal.guardrail,
                    problem=refusal.problem.rstrip("."),
                ),
                language,
            )
    lacking = missing(
        project,
        order,
        [h for judgement in judged for h in judgement.hazards],
        {c.table or c.object for c in changes},
        {name: environment.kind for name, environment in config.environments.items()},
    )
    if not lacking:
        return words(say("status.done"), language)
    return words(
        say("status.partly", missing="; ".join(words(p, language) for p in lacking)), language
    )


def _record(
    project: OpenProject,
    task: str,
    status: str,
    order: Sequence[RevisionInfo],
    climbed: Climb,
    judged: Sequence[Judgement],
    changes: Sequence[Change],
) -> TaskRecord:
    tables = sorted({c.table or c.object for c in changes if c.table or c.object_kind == "table"})
    hazards = [h for judgement in judged for h in judgement.hazards]
    users = tuple(_files_naming(project, tables))
    return TaskRecord(
        date=datetime.now(),
        status=status,
        task=task,
        migrations=tuple((r.path, r.doc) for r in order),
        models=tuple((p, ", ".join(tables)) for p in _models(project, climbed, tables)),
        new_tables=_details(changes, "table", "added"),
        changed_columns=_details(changes, "column"),
        indexes=_details(changes, "index"),
        relations=_details(changes, "constraint"),
        breaking=tuple(h.message for h in findings(hazards) if h.kind in _GRAVE),
        rollback=tuple(_rollback(project, climbed)),
        data_migration=tuple(_data(climbed)),
        api_schemas=tuple(p for p in users if p.endswith(".py")),
        frontend_types=tuple(p for p in users if not p.endswith(".py")),
        embeddings=tuple(c.detail for c in changes if _is_about_vectors(c)),
        next_api_contract=tuple(
            words(say("record.api_contract", object=c.object), project.settings.language)
            for c in changes
            if c.object_kind in ("table", "column")
        ),
        next_rad=(words(say("record.rad"), project.settings.language),) if changes else (),
    )


def _is_about_vectors(change: Change) -> bool:
    return any(_VECTOR.search(v or "") for v in (*change.before.values(), *change.after.values()))


def _details(changes: Sequence[Change], kind: str, verb: str | None = None) -> tuple[str, ...]:
    return tuple(
        c.detail for c in changes if c.object_kind == kind and (verb is None or c.change == verb)
    )


def _models(project: OpenProject, climbed: Climb, tables: Sequence[str]) -> Iterator[str]:
    """Yield the loaded files that declare a touched table (they name it in quotes)."""
    names = "|".join(re.escape(t.rpartition(".")[2].strip('"')) for t in tables)
    declared = re.compile(rf"""(["'])(?:{names})\1""")
    revisions = {r.path for r in project.history.revisions}
    for path in climbed.loaded.files:
        text = project.workspace.read(path) if path.endswith(".py") else None
        if tables and text and path not in revisions and declared.search(text):
            yield path


def _rollback(project: OpenProject, climbed: Climb) -> Iterator[str]:
    language = project.settings.language
    for rehearsal in reversed(climbed.rehearsals):
        info = rehearsal.revision
        evidence = recall(project, info.revision)
        fresh = evidence is not None and not staleness(project, evidence)
        yield words(
            say(
                "record.rollback" if fresh else "record.rollback_unproved",
                parent=next(iter(info.down_revisions), "base"),
                outcome=evidence.outcome if evidence else "",
            ),
            language,
        )


def _data(climbed: Climb) -> Iterator[str]:
    for rehearsal in climbed.rehearsals:
        for statement in statements(rehearsal.upgrade):
            if any(isinstance(o, InsertRows | ChangeRows) for o in statement.operations):
                yield f"{rehearsal.revision.path}:{statement.line}"


_SOURCES = (".py", ".ts", ".tsx", ".js", ".jsx", ".vue")
_SKIPPED = {".venv", "venv", "node_modules", "__pycache__", ".git", ".replyx-db-agent"}


def _files_naming(project: OpenProject, tables: Sequence[str]) -> Iterator[str]:
    """Yield the source files, revisions and models apart, that name a touched table."""
    if not tables:
        return
    word = re.compile(rf"\b({'|'.join(re.escape(t) for t in tables)})\b")
    versions = tuple(f"{folder}/" for folder in project.history.versions)
    for path in _sources(project):
        if path.startswith(versions) or PurePosixPath(path).name == "models.py":
            continue
        text = (project.settings.root / path).read_text("utf-8", errors="replace")
        if word.search(text):
            yield path


def _sources(project: OpenProject) -> Iterator[str]:
    root, waiting, seen = project.settings.root, [project.settings.root], 0
    while waiting and seen < _MOST_FILES:
        for path in sorted(waiting.pop().iterdir()):
            if path.is_symlink() or path.name in _SKIPPED:
                continue
            if path.is_dir():
                waiting.append(path)
            elif path.suffix in _SOURCES:
                seen += 1
                yield path.relative_to(root).as_posix()


def _write(project: OpenProject, record: TaskRecord) -> str:
    """Write the record under its second; a second that is taken gives way to the next free one."""
    while True:
        path = f"{project.settings.record_folder}/{file_name(record.date)}"
        text = render_record(record, project.settings.language)
        if project.workspace.create(path, text):
            return path
        record = replace(record, date=record.date + timedelta(seconds=1))


def _answer(
    project: OpenProject, path: str, status: str, judged: Sequence[Judgement], climbed: Climb
) -> Answer:
    return Answer(
        summary=(say("summary.recorded", status=status),),
        risk=worst((h for judgement in judged for h in judgement.hazards), Risk.LOW),
        ddl=shown_ddl(s.sql for r in climbed.rehearsals for s in r.upgrade),
        alembic=tuple(r.revision.path for r in climbed.rehearsals),
        docs=(say("docs.record", path=path),),
        rollback=tuple(
            say("rollback.command", command=f"alembic downgrade {parent}")
            for r in reversed(climbed.rehearsals)
            for parent in (next(iter(r.revision.down_revisions), "base"),)
        ),
        next_steps=(say("next.hand_over", path=path),),
    )
