"""Tool: write docs/db from the schema at head."""

from __future__ import annotations

from collections.abc import Sequence

from replyx_db_agent.config import load
from replyx_db_agent.core.call import Call
from replyx_db_agent.core.model import Risk
from replyx_db_agent.core.report import Answer, DocsReport, say
from replyx_db_agent.cycle.answer import render
from replyx_db_agent.cycle.docs import due, render_docs
from replyx_db_agent.cycle.load import open_project


def write_docs(call: Call, check: bool = False) -> DocsReport:
    """Write docs/db: schema.md (with its diagram), migrations.md, indexes.md, rollback_plan.md.

    The schema is read from a shadow PostgreSQL at head. What people wrote outside of the marked
    blocks is kept. Runs the project's code; writes only below docs/db.

    Args:
        check: Write nothing; name the documents that are stale.
    """
    project = open_project(call, load(call.root).settings())
    texts = render_docs(project)
    stale = due(project, texts)
    if not check:
        for path in stale:
            project.workspace.write(path, texts[path])
    unchanged = tuple(path for path in texts if path not in stale)
    word = "docs.stale" if check else "docs.written"
    answer = Answer(
        summary=(say(_summary(stale, check), count=len(stale), total=len(texts)),),
        risk=Risk.LOW,
        docs=(
            *(say(word, path=path) for path in stale),
            *(say("docs.fresh", path=path) for path in unchanged),
        ),
        next_steps=(say("next.docs") if check and stale else say("next.record"),),
    )
    return DocsReport(
        written=() if check else stale,
        unchanged=unchanged,
        stale=stale if check else (),
        answer=render(answer, project.settings.language),
    )


def _summary(stale: Sequence[str], check: bool) -> str:
    if not stale:
        return "summary.docs_fresh"
    return "summary.docs_stale" if check else "summary.docs"
