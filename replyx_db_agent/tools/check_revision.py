"""Tool: judge what a revision will really do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replyx_db_agent.config import load
from replyx_db_agent.core.call import Call
from replyx_db_agent.core.errors import GuardrailRefusal
from replyx_db_agent.core.guardrails import PLAN_FILE
from replyx_db_agent.core.model import Hazard
from replyx_db_agent.core.report import Answer, CheckReport, Phrase, Refusal, Verdict, say
from replyx_db_agent.cycle.answer import render
from replyx_db_agent.cycle.judge import Judgement, findings, judge_rehearsal, shown_ddl, worst
from replyx_db_agent.cycle.load import OpenProject, open_project
from replyx_db_agent.cycle.prove import may_go
from replyx_db_agent.cycle.rehearse import Climb, Rehearsal, climb


@dataclass(frozen=True)
class _Judged:
    rehearsal: Rehearsal
    judgement: Judgement
    refusal: GuardrailRefusal | None


def check_revision(call: Call, revision: str = "head", since: str | None = None) -> CheckReport:
    """Judge what a revision will really do, up and down, and refuse an unproved destructive one.

    The revision runs on a shadow PostgreSQL with rows in its tables; the rules judge the SQL it
    emits and what PostgreSQL did. Runs the project's code; changes nothing.

    Args:
        revision: Revision id, its file's path, or "head".
        since: Judge every revision after this id, up to `revision`.
    """
    project = open_project(call, load(call.root).settings())
    target = project.revision(revision)
    line = project.after(since, target) if since else (target,)
    climbed = climb(project, line)
    judged = [_judge(project, climbed, r) for r in climbed.rehearsals]
    hazards = tuple(h for one in judged for h in one.judgement.hazards)
    refused = next((one.refusal for one in judged if one.refusal), None)
    return CheckReport(
        verdict=_verdict(hazards, refused),
        hazards=hazards,
        revisions=tuple(one.rehearsal.revision.revision for one in judged),
        risk=worst(hazards),
        answer=render(_answer(project, judged), project.settings.language),
        refusal=Refusal.of(refused) if refused else None,
        notes=(*climbed.notes, *_not_reached(climbed)),
    )


def _judge(project: OpenProject, climbed: Climb, rehearsal: Rehearsal) -> _Judged:
    judgement = judge_rehearsal(rehearsal, climbed.server_version_num)
    try:
        may_go(project, rehearsal, judgement.destructive)
    except GuardrailRefusal as refusal:
        return _Judged(rehearsal, judgement, refusal)
    return _Judged(rehearsal, judgement, None)


def _verdict(hazards: Sequence[Hazard], refused: GuardrailRefusal | None) -> Verdict:
    if refused:
        return "refused"
    return "findings" if findings(hazards) else "clean"


def _not_reached(climbed: Climb) -> tuple[str, ...]:
    return tuple(f'Revision "{name}" was not reached.' for name in climbed.not_reached)


def _answer(project: OpenProject, judged: Sequence[_Judged]) -> Answer:
    hazards = tuple(h for one in judged for h in one.judgement.hazards)
    refused = [one for one in judged if one.refusal]
    found = findings(hazards)
    names = ", ".join(one.rehearsal.revision.revision for one in judged)
    return Answer(
        summary=(_summary(names, len(found), refused),),
        risk=worst(hazards),
        ddl=shown_ddl(s.sql for one in judged for s in one.rehearsal.upgrade),
        alembic=tuple(one.rehearsal.revision.path for one in judged),
        docs=(say("docs.plan", path=PLAN_FILE),) if refused else (),
        perf=(say("perf.hot_queries", folder=project.settings.hot_queries),),
        rollback=tuple(_rollback(one.rehearsal) for one in reversed(judged)),
        next_steps=_next(judged, refused, found),
    )


def _summary(names: str, count: int, refused: Sequence[_Judged]) -> Phrase:
    if refused and (why := refused[0].refusal):
        return say("summary.refused", names=names, guardrail=why.guardrail, problem=why.problem)
    if count:
        return say("summary.findings", names=names, count=count)
    return say("summary.clean", names=names)


def _rollback(rehearsal: Rehearsal) -> Phrase:
    parent = next(iter(rehearsal.revision.down_revisions), "base")
    return say(
        f"rollback.{rehearsal.outcome}",
        revision=rehearsal.revision.revision,
        parent=parent,
        details="; ".join(rehearsal.differences[:3]),
    )


def _next(
    judged: Sequence[_Judged], refused: Sequence[_Judged], found: Sequence[Hazard]
) -> tuple[Phrase, ...]:
    last = judged[-1].rehearsal.revision.revision
    mends = tuple(say("next.mend", rule=h.rule, instead=h.instead) for h in found[:5])
    if refused and (why := refused[0].refusal):
        return (say("next.instead", text=why.instead), *mends)
    if mends:
        return mends
    return (say("next.stairway", revision=last), say("next.apply", revision=last))
