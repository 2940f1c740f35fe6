"""Tool: measure hot queries, before and after a revision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from replyx_db_agent.config import Config, load
from replyx_db_agent.core.call import Call
from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.core.guardrails import STATE_FOLDER
from replyx_db_agent.core.hot_query import HotQuery, read_hot_query
from replyx_db_agent.core.model import Risk
from replyx_db_agent.core.report import Answer, ExplainReport, Phrase, PlanFigures, QueryResult, say
from replyx_db_agent.core.schema import diff
from replyx_db_agent.cycle.answer import render
from replyx_db_agent.cycle.load import OpenProject, open_project, shared_server
from replyx_db_agent.cycle.measure import Target, measure, only_reads, verdict
from replyx_db_agent.cycle.rehearse import climb, stand_at
from replyx_db_agent.cycle.release import is_local
from replyx_db_agent.engines import postgres
from replyx_db_agent.engines import rows as row_engine
from replyx_db_agent.engines import sql as engine
from replyx_db_agent.engines.project import RevisionInfo
from replyx_db_agent.engines.shadow import ShadowDatabase

PARENTS = 40
"""Rows of a table that is only referred to, as a part of the others': parents are few."""

MOST_ROWS = 1_000_000

_Figures = dict[str, PlanFigures]


def explain_query(
    call: Call,
    sql: str = "",
    files: Sequence[str] = (),
    revision: str = "",
    environment: str = "",
    rows: int = 20_000,
) -> ExplainReport:
    """Measure queries with EXPLAIN (ANALYZE, BUFFERS): medians, buffers, plans, against the SLA.

    With `revision`, on a shadow PostgreSQL with generated rows, before and after that revision.
    With `environment`, read-only on that database (where it is not local: the plan alone, the
    query is not run). On the shadow the project's code runs; changes nothing.

    Args:
        sql: One SELECT.
        files: Query files of the project (header: `-- name:`, `-- sla_ms:`, `-- params:`);
            default, without `sql`: those of scripts/hot_queries that read what the revision
            touches (on an environment: all of them).
        revision: Compare before and after this revision (id, path or "head").
        environment: A configured environment, measured as it is now.
        rows: Generated rows a table on the shadow.
    """
    _one_of(sql=sql.strip(), files=files)
    _one_of(revision=revision, environment=environment)
    if not 1 <= rows <= MOST_ROWS:
        raise InvalidInput(f"rows = {rows} is out of range.", instead=f"Pass 1 to {MOST_ROWS}.")
    config = load(call.root)
    queries = _queries(config, sql, files)
    for query in queries:
        only_reads(query)
    if environment:
        return _on_environment(call, config, queries, environment)
    project = open_project(call, config.settings())
    target = project.revision(revision or "head")
    left_out: list[HotQuery] = []
    if not sql.strip() and not files:
        queries, left_out = _concerned(project, target, queries)
    return _around(project, queries, left_out, target, rows)


def _one_of(**given: object) -> None:
    """Refuse both of two arguments of which one would be ignored."""
    if all(given.values()):
        first, second = given
        raise InvalidInput(
            f"`{first}` and `{second}` exclude each other.", instead="Pass one of them."
        )


def _queries(config: Config, text: str, files: Sequence[str]) -> list[HotQuery]:
    if text.strip():
        return [read_hot_query(text, "query")]
    paths = [config.root / f for f in files] or sorted(
        (config.root / config.hot_queries).glob("*.sql")
    )
    if not paths:
        raise InvalidInput(
            f'There is no query to measure: "{config.hot_queries}" holds no .sql file.',
            instead="Pass one SELECT as `sql`, or files.",
        )
    return [_read(config, path) for path in paths]


def _read(config: Config, path: Path) -> HotQuery:
    resolved = path.resolve()
    if not resolved.is_relative_to(config.root) or not resolved.is_file():
        raise InvalidInput(
            f'"{path.name}" is not a file of this project.',
            instead=f"Pass a path below the project, for example {config.hot_queries}/x.sql.",
        )
    return read_hot_query(resolved.read_text("utf-8", errors="replace"), path.stem)


def _on_environment(
    call: Call, config: Config, queries: Sequence[HotQuery], name: str
) -> ExplainReport:
    environment = config.environment(name)
    url = environment.url()
    shared_server(call)  # it may be the very server that the URL names
    with postgres.connect(url, name=environment.url_env) as connection:
        local = is_local(call, environment.kind, postgres.identity(connection))
    target = Target(url, f'environment "{name}"', analyze=local)
    found: _Figures = {}
    for query in queries:
        call.tell(f'Measuring "{query.name}" on {name}')
        found[query.name] = measure(query, target)
    results = tuple(
        QueryResult(q.name, found[q.name], None, verdict(q, found[q.name], None)) for q in queries
    )
    note = () if local else (f'"{name}" is not local: the queries were planned, not run.',)
    return ExplainReport(
        results, answer=render(_answer(results, name), config.language), notes=note
    )


def _concerned(
    project: OpenProject, revision: RevisionInfo, queries: Sequence[HotQuery]
) -> tuple[list[HotQuery], list[HotQuery]]:
    """Split the queries: those that read a table the revision touches, and the others."""
    rehearsal = climb(project, (revision,), fill=0).rehearsals[0]
    if rehearsal.before is None or rehearsal.after is None:
        return list(queries), []
    touched = {c.table or c.object for c in diff(rehearsal.before, rehearsal.after)}
    concerned = [q for q in queries if touched & set(engine.tables_of(q.sql))]
    if not concerned:
        return list(queries), []
    return concerned, [q for q in queries if q not in concerned]


def _around(
    project: OpenProject,
    queries: Sequence[HotQuery],
    left_out: Sequence[HotQuery],
    revision: RevisionInfo,
    count: int,
) -> ExplainReport:
    """Measure on a shadow, below the revision and then above it, over the same rows."""
    with project.server.shadow() as database:
        target = Target(database.url, f"shadow with {count} rows a table", analyze=True)
        skipped = _build(project, database, revision, queries, count)
        before = _all(project, queries, target)
        with project.rehearsal(database) as session:
            session.open()
            result = session.step("upgrade", revision.revision)
            if result.error:
                raise InvalidInput(
                    f'Revision "{revision.revision}" does not go up over these rows: '
                    f"{result.error.message}.",
                    instead="Check it first with check_revision.",
                )
            session.finish()
        _analyse(project, database)
        after = _all(project, queries, target, before)
    results = tuple(_result(q, before.get(q.name), after.get(q.name)) for q in queries)
    _keep(project, revision, results)
    answer = render(_answer(results, revision.revision), project.settings.language)
    apart = (
        (f"Not measured, as they read no touched table: {', '.join(q.name for q in left_out)}.",)
        if left_out
        else ()
    )
    return ExplainReport(results, answer=answer, notes=(*skipped, *apart))


def _build(
    project: OpenProject,
    database: ShadowDatabase,
    revision: RevisionInfo,
    queries: Sequence[HotQuery],
    count: int,
) -> tuple[str, ...]:
    with project.rehearsal(database) as session:
        stand_at(project, session, project.ancestors(revision.revision))
        project.call.tell(f"Making {count} rows a table")
        read = {table for q in queries for table in engine.tables_of(q.sql)}
        report = row_engine.fill(
            session.query,
            session.run,
            tables=sorted(read),
            rows=count,
            parent_rows=max(1, count // PARENTS),
            version_table=project.history.version_table,
        )
        session.finish()
    _analyse(project, database)
    return tuple(f'No rows for "{table}": {why}' for table, why in report.skipped.items())


def _analyse(project: OpenProject, database: ShadowDatabase) -> None:
    with project.server.admin(database.name) as connection:
        connection.execute("VACUUM ANALYZE")


def _all(
    project: OpenProject,
    queries: Sequence[HotQuery],
    target: Target,
    before: _Figures | None = None,
) -> _Figures:
    """Measure the queries; after the revision with the samples that were slowest before it."""
    found: _Figures = {}
    when = "before" if before is None else "after"
    for query in queries:
        project.call.tell(f'Measuring "{query.name}" {when}')
        try:
            same = (before or {}).get(query.name)
            found[query.name] = measure(query, target, same.sample if same else None)
        except InvalidInput:
            # A query may be valid only on one side of the revision (it reads the new column).
            if when == "after":
                raise
    return found


def _result(query: HotQuery, before: PlanFigures | None, after: PlanFigures | None) -> QueryResult:
    return QueryResult(query.name, before, after, verdict(query, before, after))


def _keep(project: OpenProject, revision: RevisionInfo, results: Sequence[QueryResult]) -> None:
    """Remember that this very file was measured; the record and the checklist name it."""
    hashes = project.workspace.hashes([revision.path])
    text = json.dumps(
        {
            "revision": revision.revision,
            "file": hashes,
            "queries": [asdict(result) for result in results],
        },
        indent=1,
        ensure_ascii=False,
    )
    project.workspace.write(f"{STATE_FOLDER}/measurements/{revision.revision}.json", text + "\n")


def _answer(results: Sequence[QueryResult], where: str) -> Answer:
    over = [r.name for r in results if "OVER" in r.verdict]
    return Answer(
        summary=(
            say(_summary(results, over), count=len(results), where=where, names=", ".join(over)),
        ),
        risk=Risk.MEDIUM if over else Risk.LOW,
        perf=tuple(_figures(result) for result in results),
        next_steps=(say("next.index_by_measure") if over else say("next.docs"),),
    )


def _figures(result: QueryResult) -> Phrase:
    """Return the query's figures as a line of the answer."""
    before, after = result.before, result.after
    now = after or before
    if now is None or now.milliseconds is None:
        return say("perf.planned", name=result.name)
    if before is None or after is None:
        return say("perf.measured", name=result.name, ms=now.milliseconds, buffers=now.buffers)
    return say(
        "perf.compared",
        name=result.name,
        old_ms=before.milliseconds,
        ms=after.milliseconds,
        old_buffers=before.buffers,
        buffers=after.buffers,
    )


def _summary(results: Sequence[QueryResult], over: Sequence[str]) -> str:
    if over:
        return "summary.explained_over"
    judged = any("SLA" in r.verdict for r in results)
    return "summary.explained" if judged else "summary.explained_without_sla"
