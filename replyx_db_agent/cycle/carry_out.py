"""Carries out a release plan: what was rehearsed and nothing else, and looks before it commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from replyx_db_agent.core.errors import (
    Cancelled,
    DbAgentError,
    EnvironmentProblem,
    GuardrailRefusal,
)
from replyx_db_agent.core.model import ChangeRows, InsertRows
from replyx_db_agent.core.plan import PlannedRevision
from replyx_db_agent.core.schema import Snapshot, diff
from replyx_db_agent.cycle import seen
from replyx_db_agent.cycle.judge import statements
from replyx_db_agent.cycle.load import OpenProject
from replyx_db_agent.cycle.rehearse import Rehearsal
from replyx_db_agent.cycle.release import Prepared
from replyx_db_agent.engines import catalog, postgres
from replyx_db_agent.engines.project import Session
from replyx_db_agent.engines.writes import Watch

LOCK_TIMEOUT = 5.0
"""Seconds a statement may wait for a lock, where the revision does not set its own limit."""

LOCK = 0x7265706C79780001
"""The advisory lock that one apply holds on the environment's database ("replyx", 1)."""


@dataclass
class Carried:
    """What an apply has done: `steps` that stay, what stopped it, where the database stands."""

    steps: tuple[str, ...] = ()
    stopped: str | None = None
    at: tuple[str, ...] = ()
    done: list[tuple[str, str]] = field(default_factory=list)


def carry_out(project: OpenProject, prepared: Prepared) -> Carried:
    """Send exactly the planned statements (G10), one apply at a time.

    Raises:
        GuardrailRefusal: the database has moved since the plan was made.
        EnvironmentProblem: another apply is under way.
    """
    carried = Carried()
    with _alone(project, prepared):
        try:
            _climb(project, prepared, carried)
        except Cancelled:
            raise
        except DbAgentError as error:
            carried.stopped = str(error)
        carried.at = _position(project, prepared)
    known = {r.revision for r in project.history.revisions}
    below = {r.revision for v in carried.at if v in known for r in project.ancestors(v)}
    carried.steps = tuple(t for name, t in carried.done if name in below | set(carried.at))
    return carried


@contextmanager
def _alone(project: OpenProject, prepared: Prepared) -> Iterator[None]:
    """Hold the lock for the length of the apply, on a connection of our own."""
    site = prepared.site
    with postgres.connect(site.url, name=site.url_env, autocommit=False) as connection:
        # In a transaction, so that a pooler keeps the connection; without a snapshot, so that
        # CREATE INDEX CONCURRENTLY does not wait for it.
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK]).fetchone()
        if not row or not row[0]:
            raise EnvironmentProblem(
                f'Another apply to "{site.name}" is under way.',
                instead="Wait until it has ended, then look at what it did and apply again.",
            )
        at = catalog.versions(postgres.rows_of(connection), project.history.version_table)
        if at != prepared.plan.start:
            raise GuardrailRefusal(
                "G10",
                f'"{site.name}" stood at {", ".join(prepared.plan.start) or "base"} when the plan '
                f"was made and stands at {', '.join(at) or 'base'} now.",
                instead="Apply again: a new plan is made from where it stands.",
            )
        yield


def _position(project: OpenProject, prepared: Prepared) -> tuple[str, ...]:
    with postgres.connect(prepared.site.url, name=prepared.site.url_env) as connection:
        return catalog.versions(postgres.rows_of(connection), project.history.version_table)


def _climb(project: OpenProject, prepared: Prepared, carried: Carried) -> None:
    rehearsals = prepared.climbed.rehearsals if prepared.climbed else ()
    with project.worker.session(
        project.project,
        prepared.site.url,
        purpose="apply",
        lock_timeout=LOCK_TIMEOUT,
        env_url_names=project.settings.secret_names,
        cancel=project.call.cancel,
    ) as session:
        session.open()
        for planned, rehearsal in zip(prepared.plan.revisions, rehearsals, strict=True):
            project.call.tell(f'Applying "{planned.revision}" to {prepared.site.name}')
            if stopped := _step(project, session, planned, rehearsal, carried):
                carried.stopped = f'"{planned.revision}": {stopped}'
                return
        session.finish()


def _step(
    project: OpenProject,
    session: Session,
    planned: PlannedRevision,
    rehearsal: Rehearsal,
    carried: Carried,
) -> str | None:
    look = _Look(project, session, rehearsal)
    result = session.step(
        "upgrade",
        planned.revision,
        allowed=list(zip(planned.statements, planned.values, strict=True)),
        inspect=look.problem,
    )
    if result.error:
        return result.error.message
    text = f"{planned.revision}: {len(result.statements)} statements in {result.seconds:.2f} s"
    carried.done.append((planned.revision, text))
    return None


class _Look:
    """Compares what a revision did with what its rehearsal did, before it commits."""

    def __init__(self, project: OpenProject, session: Session, rehearsal: Rehearsal) -> None:
        self._session, self._rehearsal = session, rehearsal
        self._version_table = project.history.version_table
        self._before = self._snapshot()
        self._watch = Watch(session.query)

    def _snapshot(self) -> Snapshot:
        return catalog.snapshot(self._session.query, version_table=self._version_table)

    def problem(self) -> str | None:
        """Return what was dropped, changed, deleted or overwritten that no rehearsal showed."""
        self._watch.look()
        found = [*self._schema(), *self._rows()]
        if not found:
            return None
        outside = any(s.autocommit for s in self._rehearsal.upgrade)
        rest = (
            "What ran inside a transaction was rolled back; what ran outside of one stays"
            if outside
            else "It was rolled back"
        )
        return f"It did what its rehearsal did not: {'; '.join(found[:6])}. {rest} (G10)."

    def _schema(self) -> Iterator[str]:
        before, after = self._rehearsal.before, self._rehearsal.after
        if before is None or after is None:
            return
        known = {(c.object_kind, c.object, c.change) for c in diff(before, after)}
        for change in diff(self._before, self._snapshot()):
            key = (change.object_kind, change.object, change.change)
            if change.change != "added" and key not in known:
                yield f'{change.object_kind} "{change.object}" was {change.change}'

    def _rows(self) -> Iterator[str]:
        words = {"delete": "deleted", "update": "overwritten", "new file": "rewritten or emptied"}
        known = {(seen.plain(w.table), w.verb) for w in self._rehearsal.writes} | set(self._told())
        for write in sorted(self._watch.found, key=lambda w: (w.table, w.verb)):
            if (seen.plain(write.table), write.verb) not in known:
                yield f'rows of "{write.table}" were {words[write.verb]}'

    def _told(self) -> Iterator[tuple[str, str]]:
        """Yield the changes of rows that the texts announce, whether or not rows matched then."""
        for operation in (o for s in statements(self._rehearsal.upgrade) for o in s.operations):
            if isinstance(operation, InsertRows):
                yield seen.plain(operation.table), "update"
            elif isinstance(operation, ChangeRows):
                verbs = ("delete", "update") if operation.verb == "MERGE" else (operation.verb,)
                yield from ((seen.plain(operation.table), verb.lower()) for verb in verbs)


def verify(project: OpenProject, prepared: Prepared) -> tuple[str, ...]:
    """Return how the environment differs from the rehearsal's outcome; empty: it does not."""
    with postgres.connect(prepared.site.url, name=prepared.site.url_env) as connection:
        query, version_table = postgres.rows_of(connection), project.history.version_table
        at = catalog.versions(query, version_table)
        now = catalog.snapshot(query, version_table)
    wrong = []
    if prepared.revisions and prepared.revisions[-1].revision not in at:
        wrong.append(f"the database stands at {', '.join(at) or 'base'}")
    return (*wrong, *_touched_differ(prepared, now))


def _touched_differ(prepared: Prepared, now: Snapshot) -> list[str]:
    done = prepared.climbed.rehearsals if prepared.climbed else ()
    if not done or done[0].before is None or done[-1].after is None:
        return []
    touched = {(c.object_kind, c.object) for c in diff(done[0].before, done[-1].after)}
    return [
        f"after the release: {change.detail}"
        for change in diff(done[-1].after, now)
        if (change.object_kind, change.object) in touched
    ]
