"""Tool: write the revision that takes the schema to the models, and prove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from replyx_db_agent.config import load
from replyx_db_agent.core.call import Call
from replyx_db_agent.core.docs_mapping import docs_due_for
from replyx_db_agent.core.errors import EnvironmentProblem, GuardrailRefusal, InvalidInput
from replyx_db_agent.core.guardrails import PLAN_FILE, DestructiveStep, may_draft_destructive
from replyx_db_agent.core.model import Risk
from replyx_db_agent.core.naming import short_name
from replyx_db_agent.core.report import (
    Answer,
    DraftedRevision,
    DraftReport,
    Phrase,
    Refusal,
    say,
)
from replyx_db_agent.core.rollback_plan import insert_section, skeleton
from replyx_db_agent.core.schema import Change, suggest_renames
from replyx_db_agent.cycle.answer import render
from replyx_db_agent.cycle.compare import (
    Comparison,
    changes_to_models,
    hazards_of,
    keeping_the_name,
    models_against_head,
    snapshot_at_heads,
    with_what_they_rest_on,
)
from replyx_db_agent.cycle.drafting.draft import DraftFile, by_key, draft_of, files_of
from replyx_db_agent.cycle.drafting.names import is_named, parts
from replyx_db_agent.cycle.drafting.parts import World
from replyx_db_agent.cycle.drafting.proof import Proof, rehearsed
from replyx_db_agent.cycle.judge import worst
from replyx_db_agent.cycle.load import OpenProject, open_project
from replyx_db_agent.rules import DESTRUCTIVE


@dataclass(frozen=True)
class _Wanted:
    """What this draft is about: the selected changes, and those left for another one."""

    comparison: Comparison
    changes: tuple[Change, ...]
    others: tuple[Change, ...]
    destructive: tuple[DestructiveStep, ...]


def draft_revision(
    call: Call, message: str, only: Sequence[str] = (), destructive: bool = False
) -> DraftReport:
    """Write the revision files that take the schema to the models, and prove them on a shadow.

    Locks are short: indexes are built CONCURRENTLY, foreign keys validated apart, each such step
    in a revision of its own. A destructive change is refused unless asked for; then the rows are
    kept in a copy and the section of docs/db/rollback_plan.md is opened, to be filled by you.
    Writes revision files (and that section). Runs the project's code.

    Args:
        message: What the change is for, in a few words; gives the file its short name.
        only: Tables, columns (`table.column`) or indexes to draft; default: every difference.
        destructive: Draft a step that drops or narrows. Lifts no guardrail.
    """
    short_name(message)
    project = open_project(call, load(call.root).settings())
    wanted = _select(models_against_head(project), tuple(only))
    language = project.settings.language
    if not wanted.changes:
        answer = Answer((say("summary.nothing_to_draft"),), Risk.LOW)
        return DraftReport((), proved=True, remaining=(), answer=render(answer, language))
    try:
        may_draft_destructive(wanted.destructive, asked=destructive)
    except GuardrailRefusal as error:
        refused = _with_renames(Refusal.of(error), wanted)
        answer = _refused(wanted, refused)
        return DraftReport(
            (),
            proved=False,
            remaining=tuple(c.detail for c in wanted.changes),
            risk=Risk.HIGH,
            answer=render(answer, language),
            refusal=refused,
        )
    return _draft(project, message, wanted)


def _with_renames(refusal: Refusal, wanted: _Wanted) -> Refusal:
    """Say what may be a rename: a draft would drop the one and add the other, empty."""
    told = "".join(
        f'If "{new}" is "{old}" renamed, keep the name in the database '
        f"({keeping_the_name(old, wanted.changes)} in the models): that needs no migration. "
        for old, new in suggest_renames(wanted.changes)
    )
    return replace(refusal, instead=told + refusal.instead)


def _select(comparison: Comparison, only: tuple[str, ...]) -> _Wanted:
    chosen = tuple(c for c in comparison.changes if not only or _is_about(c, only))
    if only and not chosen and comparison.changes:
        known = ", ".join(dict.fromkeys(c.object for c in comparison.changes))
        raise InvalidInput(
            f"No difference is about {', '.join(only)}.",
            instead=f"Name some of: {known}.",
        )
    chosen = with_what_they_rest_on(chosen, comparison.changes)
    others = tuple(c for c in comparison.changes if c not in chosen)
    steps = [
        DestructiveStep(h.rule, h.object)
        for change in chosen
        for h in hazards_of(change, comparison)
        if h.rule in DESTRUCTIVE
    ]
    return _Wanted(comparison, chosen, others, tuple(dict.fromkeys(steps)))


def _is_about(change: Change, only: Sequence[str]) -> bool:
    names = {change.object, change.table or "", change.object.removeprefix(f"{change.table}.")}
    return is_named(names, only)


def _draft(project: OpenProject, message: str, wanted: _Wanted) -> DraftReport:
    parent = project.head.revision if project.history.heads else None
    drafted = draft_of(wanted.changes, _world(project, wanted), parent, _taken(project))
    if not drafted:
        return DraftReport(
            (),
            proved=False,
            remaining=tuple(_unrendered(c) for c in wanted.changes),
            answer=render(
                Answer((say("summary.nothing_rendered"),), Risk.LOW), project.settings.language
            ),
        )
    written = _write(project, files_of(project, message, drafted, parent))
    try:
        proof, remaining = _prove(project, written, wanted)
        if wanted.destructive:
            _open_section(project, message, _main(written))
    except BaseException:
        for file in written:
            project.workspace.remove(file.path)
        raise
    return _report(project, wanted, written, proof, remaining)


def _taken(project: OpenProject) -> set[str]:
    return {r.revision for r in project.history.revisions}


def _main(written: Sequence[DraftFile]) -> str:
    """Return the revision that drops or narrows; the others only make way for it."""
    return next((f.revision for f in written if f.is_main), written[0].revision)


def _world(project: OpenProject, wanted: _Wanted) -> World:
    """Return both schemas, and autogenerate's operations from one to the other."""
    with project.server.shadow() as database, project.rehearsal(database) as session:
        project.call.tell("Rendering the operations")
        snapshot_at_heads(project, session)
        operations = session.autogenerate()
        session.finish()
    comparison = wanted.comparison
    narrowed = frozenset(
        parts(change.object)
        for change in wanted.changes
        if any(h.rule == "column-type-narrowed" for h in hazards_of(change, comparison))
    )
    return World(comparison.head, comparison.models, by_key(operations), narrowed)


def _unrendered(change: Change) -> str:
    return f"{change.detail}: write this step by hand, it was not rendered"


def _open_section(project: OpenProject, message: str, revision: str) -> None:
    """Add the empty section to the rollback plan."""
    before = project.workspace.read(PLAN_FILE) or ""
    section = skeleton(revision, short_name(message), project.settings.language)
    project.workspace.write(PLAN_FILE, insert_section(before, section))


def _write(project: OpenProject, drafted: Sequence[DraftFile]) -> tuple[DraftFile, ...]:
    for number, file in enumerate(drafted):
        if not project.workspace.create(file.path, file.text):
            for earlier in drafted[:number]:
                project.workspace.remove(earlier.path)
            raise EnvironmentProblem(
                f'"{file.path}" exists already.', instead="Ask again: the next minute is free."
            )
    return tuple(drafted)


def _prove(
    project: OpenProject, written: Sequence[DraftFile], wanted: _Wanted
) -> tuple[Proof, tuple[str, ...]]:
    """Rehearse the draft and compare its result with the models; return what is left."""
    again = open_project(project.call, project.settings)
    proof = rehearsed(again, [again.revision(file.revision) for file in written])
    left = [
        f"{r.revision.revision} {r.outcome}: {'; '.join(r.differences) or _error(r.error)}"
        for r in proof.rehearsals
        if r.outcome != "clean"
    ]
    after = proof.rehearsals[-1].after
    if after is not None:
        expected = {(c.object_kind, c.object) for c in wanted.others}
        left += [
            _unrendered(c)
            for c in changes_to_models(after, wanted.comparison.models)
            if (c.object_kind, c.object) not in expected
        ]
    return proof, tuple(left)


def _error(error: object) -> str:
    return str(getattr(error, "message", ""))


def _report(
    project: OpenProject,
    wanted: _Wanted,
    written: Sequence[DraftFile],
    proof: Proof,
    left: tuple[str, ...],
) -> DraftReport:
    hazards = proof.hazards
    risk = worst(hazards)
    ddl = tuple(s.sql for r in proof.rehearsals for s in r.upgrade)
    other = tuple(f"{c.detail} (another draft)" for c in wanted.others)
    return DraftReport(
        revisions=tuple(DraftedRevision(f.path, f.revision, "single") for f in written),
        proved=not left,
        remaining=(*left, *other),
        hazards=hazards,
        risk=risk,
        answer=render(
            _answer(project, wanted, written, left, ddl, risk), project.settings.language
        ),
        notes=(*_notes(wanted), *proof.notes),
    )


def _notes(wanted: _Wanted) -> tuple[str, ...]:
    tables = {c.table or c.object for c in wanted.changes if c.table or c.object_kind == "table"}
    if len(tables) < 2:
        return ()
    return (
        f"This draft touches {len(tables)} tables ({', '.join(sorted(tables))}). If they are not "
        "one feature, draft them apart with `only`.",
    )


def _answer(
    project: OpenProject,
    wanted: _Wanted,
    written: Sequence[DraftFile],
    left: Sequence[str],
    ddl: tuple[str, ...],
    risk: Risk,
) -> Answer:
    names = ", ".join(c.object for c in wanted.changes)
    key = "summary.drafted" if not left else "summary.drafted_unproved"
    parent = project.head.revision if project.history.heads else "base"
    last = written[-1].revision
    steps: list[Phrase] = []
    if wanted.destructive:
        steps.append(say("next.fill_plan", path=PLAN_FILE, revision=_main(written)))
    several = len(written) > 1 and parent != "base"
    steps.append(
        say("next.stairway_since", parent=parent)
        if several
        else say("next.stairway", revision=last)
    )
    steps.append(say("next.apply", revision=last))
    return Answer(
        summary=(say(key, names=names, count=len(written), left="; ".join(left)),),
        risk=risk,
        ddl=ddl,
        alembic=tuple(f"{f.path}" for f in written),
        docs=tuple(say("docs.due", path=path) for path in docs_due_for(wanted.changes)),
        perf=(say("perf.hot_queries", folder=project.settings.hot_queries),),
        rollback=(say("rollback.downgrade", parent=parent),),
        next_steps=tuple(steps),
    )


def _refused(wanted: _Wanted, refusal: Refusal) -> Answer:
    return Answer(
        summary=(
            say(
                "summary.refused",
                names=", ".join(c.object for c in wanted.changes),
                guardrail=refusal.guardrail,
                problem=refusal.problem,
            ),
        ),
        risk=Risk.HIGH,
        next_steps=(say("next.instead", text=refusal.instead),),
    )
