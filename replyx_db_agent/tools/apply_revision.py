"""Tool: apply revisions to an environment of the configuration, exactly as rehearsed."""

from __future__ import annotations

from replyx_db_agent.config import Config, load
from replyx_db_agent.core.call import Call
from replyx_db_agent.core.errors import GuardrailRefusal
from replyx_db_agent.core.guardrails import may_apply
from replyx_db_agent.core.model import Risk
from replyx_db_agent.core.report import Answer, ApplyReport, Refusal, say
from replyx_db_agent.cycle.answer import render
from replyx_db_agent.cycle.carry_out import carry_out, verify
from replyx_db_agent.cycle.judge import shown_ddl, worst
from replyx_db_agent.cycle.load import OpenProject, open_project
from replyx_db_agent.cycle.release import (
    Prepared,
    Site,
    note_release,
    prepare,
    question,
)

G3_NOT_CHECKED = (
    "G3 was not checked: whether the code that is running still uses what this takes away."
)


def question_for(call: Call, environment: str, revision: str = "head") -> tuple[str, str] | None:
    """Return the plan's hash and what the person is to be asked; None when nobody is asked.

    Nobody is asked about a local database, nor about a plan that a guardrail refuses anyway.
    """
    project, site = _open(call, environment)
    try:
        prepared = prepare(project, site, project.revision(revision))
    except GuardrailRefusal:
        return None
    if prepared.local or not prepared.plan.revisions:
        return None
    return prepared.plan.hash, question(prepared)


def apply_revision(
    call: Call,
    environment: str,
    revision: str = "head",
    approved_plan: str = "",
    by_person: bool = False,
) -> ApplyReport:
    """Apply pending revisions to a configured environment: only what was rehearsed, as rehearsed.

    Rehearses first, makes the plan, and sends no statement that is not the plan's next. A
    destructive revision needs its filled rollback plan and a fresh rehearsal; any environment
    that is not local needs its user's approval of the plan, asked for by the client. Runs the
    project's code, on a shadow first and then on the environment.

    Args:
        environment: Name of a configured environment, for example "local".
        revision: Apply up to this revision (id, path or "head").
    """
    project, site = _open(call, environment)
    try:
        prepared = prepare(project, site, project.revision(revision))
        approved = bool(approved_plan) and approved_plan == prepared.plan.hash
        if prepared.plan.revisions:
            may_apply(
                environment=environment,
                kind=site.kind,
                is_local=prepared.local,
                approved=approved,
                needs=site.approval,
                plan=prepared.plan.hash,
                by_person=by_person,
            )
        return _apply(project, prepared, approved=approved)
    except GuardrailRefusal as refusal:
        return _refused(project, environment, refusal)


def _open(call: Call, environment: str) -> tuple[OpenProject, Site]:
    config: Config = load(call.root)
    found = config.environment(environment)
    site = Site(
        name=found.name,
        kind=found.kind,
        approval=found.approval,
        configuration_hash=config.environments_hash,
        url=found.url(),
        url_env=found.url_env,
    )
    return open_project(call, config.settings()), site


def _apply(project: OpenProject, prepared: Prepared, *, approved: bool) -> ApplyReport:
    plan, language = prepared.plan, project.settings.language
    where = plan.environment
    if not plan.revisions:
        answer = Answer((say("summary.nothing_to_apply", environment=where),), Risk.LOW)
        return ApplyReport(
            done=True,
            steps=(),
            verified=True,
            environment=where,
            answer=render(answer, language),
        )
    carried = carry_out(project, prepared)
    stopped = carried.stopped
    wrong = (stopped,) if stopped else verify(project, prepared)
    stands = f'"{where}" stands at {", ".join(carried.at) or "base"} now.'
    note_release(project, prepared, verified=not wrong, approved=approved)
    return ApplyReport(
        done=stopped is None,
        steps=carried.steps,
        verified=not wrong,
        plan=plan.hash,
        environment=where,
        answer=render(_answer(project, prepared, wrong), language),
        notes=(
            *wrong,
            *((stands,) if stopped else ()),
            *(() if prepared.local else (G3_NOT_CHECKED,)),
        ),
    )


def _answer(project: OpenProject, prepared: Prepared, wrong: tuple[str, ...]) -> Answer:
    plan = prepared.plan
    hazards = (h for judgement in prepared.judgements for h in judgement.hazards)
    key = "summary.apply_stopped" if wrong else "summary.applied"
    start = ", ".join(plan.start) or "base"
    rollback = [
        say("rollback.command", command=command)
        for revision in reversed(plan.revisions)
        for command in revision.way_back
    ]
    last = plan.revisions[-1].revision
    return Answer(
        summary=(
            say(
                key,
                environment=plan.environment,
                count=len(plan.revisions),
                head=last,
                details="; ".join(wrong),
                plan=plan.hash[:12],
            ),
        ),
        risk=worst(hazards),
        ddl=shown_ddl(s for r in plan.revisions for s in r.statements),
        alembic=tuple(r.path for r in plan.revisions),
        perf=(say("perf.on_environment", environment=plan.environment),),
        rollback=tuple(rollback) or (say("rollback.downgrade", parent=start),),
        next_steps=(say("next.stopped"),)
        if wrong
        else (say("next.healthz", head=last), say("next.docs"), say("next.record")),
    )


def _refused(project: OpenProject, environment: str, refusal: GuardrailRefusal) -> ApplyReport:
    answer = Answer(
        summary=(
            say(
                "summary.refused",
                names=environment,
                guardrail=refusal.guardrail,
                problem=refusal.problem,
            ),
        ),
        risk=Risk.HIGH,
        next_steps=(say("next.instead", text=refusal.instead),),
    )
    return ApplyReport(
        done=False,
        steps=(),
        verified=False,
        environment=environment,
        answer=render(answer, project.settings.language),
        refusal=Refusal.of(refusal),
    )
