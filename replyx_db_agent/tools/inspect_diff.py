"""Tool: what differs between the models and the revisions at head."""

from __future__ import annotations

from collections.abc import Sequence

from replyx_db_agent.config import load
from replyx_db_agent.core.call import Call
from replyx_db_agent.core.docs_mapping import docs_due_for
from replyx_db_agent.core.model import Hazard, HazardKind, Risk
from replyx_db_agent.core.report import Answer, DiffItem, DiffReport, say
from replyx_db_agent.core.schema import Change
from replyx_db_agent.cycle.answer import render
from replyx_db_agent.cycle.compare import (
    Comparison,
    hazards_of,
    models_against_head,
)
from replyx_db_agent.cycle.drafting.planned import planned_ddl
from replyx_db_agent.cycle.judge import findings, worst
from replyx_db_agent.cycle.load import OpenProject, open_project


def inspect_diff(call: Call) -> DiffReport:
    """Compare the models with the revisions at head and say what differs and how risky it is.

    Both sides are built as real databases on a shadow PostgreSQL and their catalogues compared,
    so it sees what autogenerate does not. Runs the project's env.py and models; changes nothing.
    """
    project = open_project(call, load(call.root).settings())
    comparison = models_against_head(project)
    judged = [(change, hazards_of(change, comparison)) for change in comparison.changes]
    items = tuple(_item(change, hazards) for change, hazards in judged)
    risk = worst(h for _, hazards in judged for h in hazards)
    return DiffReport(
        changes=items,
        suggested_renames=comparison.renames,
        docs_due=docs_due_for(comparison.changes),
        heads=tuple(project.history.heads),
        risk=risk,
        answer=render(_answer(project, comparison, risk), project.settings.language),
        notes=_notes(project),
    )


def _item(change: Change, hazards: Sequence[Hazard]) -> DiffItem:
    kinds = [h.kind for h in findings(hazards)]
    if change.change == "removed" and HazardKind.LOSES_DATA in kinds:
        kinds.append(HazardKind.BREAKS_RUNNING_CODE)  # code that names it fails with its values
    return DiffItem(
        change.object,
        change.object_kind,
        change.change,
        change.detail,
        tuple(dict.fromkeys(map(str, kinds))),
        worst(hazards),
    )


def _notes(project: OpenProject) -> tuple[str, ...]:
    heads = project.history.heads
    if len(heads) < 2:
        return ()
    return (f"The revisions have {len(heads)} heads ({', '.join(heads)}); all were taken.",)


def _answer(project: OpenProject, comparison: Comparison, risk: Risk) -> Answer:
    changes = comparison.changes
    head = ", ".join(project.history.heads) or "base"
    if not changes:
        return Answer((say("summary.no_difference", head=head),), Risk.LOW)
    names = ", ".join(dict.fromkeys(c.object for c in changes))
    renames = [say("next.rename", old=old, new=new) for old, new in comparison.renames]
    return Answer(
        summary=(say("summary.difference", count=len(changes), names=names, head=head),),
        risk=risk,
        ddl=tuple(line for change in changes for line in planned_ddl(change)),
        docs=tuple(say("docs.due", path=path) for path in docs_due_for(changes)),
        perf=(say("perf.hot_queries", folder=project.settings.hot_queries),)
        if any(c.object_kind in ("index", "column", "table") for c in changes)
        else (),
        rollback=(say("rollback.by_draft"),),
        next_steps=(*renames, say("next.draft")),
    )
