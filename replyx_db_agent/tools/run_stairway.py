"""Tool: rehearse revisions up, down and up again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from replyx_db_agent.config import load
from replyx_db_agent.core.call import Call
from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.core.model import Hazard, Risk
from replyx_db_agent.core.report import Answer, Phrase, RevisionOutcome, StairwayReport, say
from replyx_db_agent.cycle.answer import render
from replyx_db_agent.cycle.judge import Judgement, judge_rehearsal, shown_ddl, worst
from replyx_db_agent.cycle.load import open_project
from replyx_db_agent.cycle.prove import keep
from replyx_db_agent.cycle.rehearse import ROWS, Climb, Rehearsal, climb


def run_stairway(
    call: Call, revision: str | None = None, since: str | None = None, rows: int = ROWS
) -> StairwayReport:
    """Take revisions up, down and up again on a shadow PostgreSQL, with rows in their tables.

    Says of each whether its way back restores the schema and the rows, and keeps that as evidence
    in the project's state folder. A revision's rollback plan is rehearsed command by command.
    Runs the project's code; changes no file or database of the user.

    Args:
        revision: Only this revision (id, path or "head"); default: every revision.
        since: Only the revisions after this id.
        rows: Rows made in every table before each revision; 0 compares the schema alone.
    """
    if not 0 <= rows <= 100_000:
        raise InvalidInput(f"rows = {rows} is out of range.", instead="Pass 0 to 100000.")
    project = open_project(call, load(call.root).settings())
    target = project.revision(revision or "head")
    if since:
        line = project.after(since, target)
    else:
        line = (target,) if revision else project.since(None, target)
    climbed = climb(project, line, fill=rows)
    if rows:
        keep(project, climbed)
    judged = [(r, judge_rehearsal(r, climbed.server_version_num)) for r in climbed.rehearsals]
    clean = all(r.outcome == "clean" for r in climbed.rehearsals)
    return StairwayReport(
        clean=clean,
        revisions=tuple(_outcome(r, j) for r, j in judged),
        layers=climbed.layers,
        answer=render(_answer(climbed, clean, worst(_hazards(judged))), project.settings.language),
        notes=(
            *climbed.notes,
            *(f'Revision "{name}" was not reached.' for name in climbed.not_reached),
        ),
    )


def _outcome(rehearsal: Rehearsal, judgement: Judgement) -> RevisionOutcome:
    error = rehearsal.error
    differences = rehearsal.differences
    if error and not differences:
        differences = (error.message,)
    return RevisionOutcome(
        revision=rehearsal.revision.revision,
        path=rehearsal.revision.path,
        outcome=rehearsal.outcome,
        differences=differences,
        rows=_rows(rehearsal),
        hazards=judgement.hazards,
        seconds=rehearsal.seconds,
    )


def _rows(rehearsal: Rehearsal) -> str:
    return rehearsal.rows if rehearsal.rows_compared else "no rows were compared"


def _hazards(judged: Sequence[tuple[Rehearsal, Judgement]]) -> Iterator[Hazard]:
    for _, judgement in judged:
        yield from judgement.hazards


def _answer(climbed: Climb, clean: bool, risk: Risk) -> Answer:
    done = climbed.rehearsals
    bad = [r for r in done if r.outcome != "clean"]
    summary = (
        say(
            "summary.stairway_clean" if done[-1].rows_compared else "summary.stairway_clean_schema",
            count=len(done),
        )
        if clean
        else say(
            "summary.stairway_bad",
            bad=len(bad),
            count=len(done),
            revision=bad[0].revision.revision,
            outcome=bad[0].outcome,
        )
    )
    return Answer(
        summary=(summary,),
        risk=risk,
        ddl=shown_ddl(s.sql for s in done[-1].upgrade) if len(done) == 1 else (),
        alembic=tuple(f"{r.revision.path}: {r.outcome}" for r in done),
        rollback=tuple(
            say(
                f"rollback.{r.outcome}",
                revision=r.revision.revision,
                parent=next(iter(r.revision.down_revisions), "base"),
                details="; ".join(r.differences[:3]),
            )
            for r in (bad or done[-1:])
        ),
        next_steps=tuple(map(_next, bad[:5])) or (_check(done[-1]),),
    )


def _next(rehearsal: Rehearsal) -> Phrase:
    if rehearsal.outcome == "fails-up":
        return _check(rehearsal)
    return say("next.mend_downgrade", path=rehearsal.revision.path)


def _check(rehearsal: Rehearsal) -> Phrase:
    return say("next.check", revision=rehearsal.revision.revision)
