"""Takes revisions up, down and up again on a shadow with rows, and compares what came back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from replyx_db_agent.core.errors import EnvironmentProblem, InvalidInput
from replyx_db_agent.core.model import Direction
from replyx_db_agent.core.report import Outcome
from replyx_db_agent.core.rollback_plan import Command, commands
from replyx_db_agent.core.schema import Snapshot, trace_left
from replyx_db_agent.cycle.load import OpenProject
from replyx_db_agent.engines import catalog, rows
from replyx_db_agent.engines.project import (
    EmittedStatement,
    Loaded,
    RevisionInfo,
    Session,
    StepError,
    StepResult,
)
from replyx_db_agent.engines.rows import Digests
from replyx_db_agent.engines.writes import Watch, Write

ROWS = 20
"""How many rows each table gets: enough to cover every kind of value the generator knows."""

_DROPS = (
    "SELECT id, object_type, object_identity, original, query FROM replyx_trace.event "
    "WHERE event = 'sql_drop' ORDER BY id"
)

_GONE = ("server closed the connection", "connection was closed in the middle of operation")


FAILS_ON_ROWS = ("22", "23")
"""Classes of SQLSTATE by which rows are at fault: data exception, integrity constraint violation.
https://www.postgresql.org/docs/current/errcodes-appendix.html"""


@dataclass(frozen=True)
class Dropped:
    """One object that PostgreSQL saw go; `original` is false when CASCADE took it along."""

    kind: str
    identity: str
    original: bool
    query: str


@dataclass(frozen=True)
class Rehearsal:
    """What happened to one revision. `before` and `after` are the schema around its upgrade.

    `content` and `content_after` are the rows around it, `restored` the tables whose rows were the
    same again after the way back. `writes` is what PostgreSQL counted (see `engines.writes`).
    `adverse` is how the upgrade failed on rows made before it, when on fitting rows it does not.
    """

    revision: RevisionInfo
    outcome: Outcome
    differences: tuple[str, ...] = ()
    rows: str = "no rows were compared"
    rows_compared: bool = False
    content: Digests = field(default_factory=dict)
    content_after: Digests = field(default_factory=dict)
    restored: frozenset[str] = frozenset()
    writes: frozenset[Write] = frozenset()
    before: Snapshot | None = None
    after: Snapshot | None = None
    upgrade: tuple[EmittedStatement, ...] = ()
    downgrade: tuple[EmittedStatement, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    error: StepError | None = None
    adverse: StepError | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Climb:
    """A whole rehearsal: one `Rehearsal` a revision; `loaded` says what the worker read."""

    rehearsals: tuple[Rehearsal, ...]
    not_reached: tuple[str, ...]
    loaded: Loaded
    layers: tuple[str, ...]
    server_version_num: int
    started: float
    notes: tuple[str, ...] = ()


@dataclass
class _Course:
    """The climb as it grows."""

    found: list[Rehearsal] = field(default_factory=list)
    loaded: Loaded | None = None
    layers: tuple[str, ...] = ()
    notes: dict[str, None] = field(default_factory=dict)


def climb(project: OpenProject, revisions: Sequence[RevisionInfo], *, fill: int = ROWS) -> Climb:
    """Rehearse these revisions in order, whatever happens to one of them.

    After a revision that does not come back cleanly the climb goes on from a fresh shadow; only
    a revision that does not go up ends it. `fill` is the number of rows a table (0: none).
    """
    course, waiting, started = _Course(), list(revisions), time.time()
    while waiting:
        waiting = _climb_on_one_shadow(project, course, waiting, fill)
        _try_fitting_rows(project, course, fill)
        if course.found[-1].outcome == "fails-up":
            break
    assert course.loaded is not None
    return Climb(
        tuple(course.found),
        tuple(r.revision for r in waiting),
        course.loaded,
        course.layers,
        project.server.version_num,
        started,
        tuple(course.notes),
    )


def _try_fitting_rows(project: OpenProject, course: _Course, fill: int) -> None:
    """Rehearse a revision that failed on rows once more, over rows that it lets in.

    Rows made before a revision need not satisfy what it asks for (a unique index, a new check).
    So it goes up without rows, the rows are made there, and it goes down again before it starts.
    """
    failed = course.found[-1]
    state = (failed.error and failed.error.sqlstate) or ""
    if failed.outcome != "fails-up" or not fill or not state.startswith(FAILS_ON_ROWS):
        return
    name = failed.revision.revision
    with project.server.shadow() as database, project.rehearsal(database) as session:
        stand_at(project, session, project.ancestors(name))
        stair = _Stair(project, session, fill)
        if stair.make_fitting_rows(failed.revision):
            project.call.tell(f'Rehearsing "{name}" over rows that fit')
            again = stair.rehearse(failed.revision, rows_made=True)
            if again.outcome != "fails-up":
                course.found[-1] = replace(again, adverse=failed.error)
        course.loaded = session.finish()
        course.notes.update(dict.fromkeys((*stair.notes, *course.loaded.notes)))


def _climb_on_one_shadow(
    project: OpenProject, course: _Course, waiting: list[RevisionInfo], fill: int
) -> list[RevisionInfo]:
    """Climb until a revision leaves the shadow in doubt; return those that are still to come."""
    with project.server.shadow() as database, project.rehearsal(database) as session:
        stand_at(project, session, project.ancestors(waiting[0].revision))
        stair = _Stair(project, session, fill)
        while waiting:
            revision, waiting = waiting[0], waiting[1:]
            project.call.tell(f'Rehearsing "{revision.revision}": up, down, up')
            rehearsal = stair.rehearse(revision)
            _not_the_servers_end(rehearsal)
            course.found.append(rehearsal)
            if rehearsal.outcome not in ("clean", "loses-rows"):
                break
        course.loaded = session.finish()
        course.layers = session.layers
        course.notes.update(dict.fromkeys((*stair.notes, *course.loaded.notes)))
    return waiting


def _not_the_servers_end(rehearsal: Rehearsal) -> None:
    """Do not blame a revision for a server that was killed under it."""
    error = rehearsal.error
    if error and error.sqlstate is None and any(words in error.message for words in _GONE):
        raise EnvironmentProblem(
            f'The shadow server went away while "{rehearsal.revision.revision}" ran.',
            instead="Try again: PostgreSQL is started anew by itself. If it happens again, look at "
            "the machine's memory and at server.log in REPLYX_DB_AGENT_HOME.",
        )


def stand_at(project: OpenProject, session: Session, below: Sequence[RevisionInfo]) -> None:
    """Open the session and take these revisions up, without rows.

    Raises:
        InvalidInput: one of them does not go up, so nothing above it can be rehearsed.
    """
    session.open()
    for revision in below:
        result = session.step("upgrade", revision.revision)
        if result.error:
            raise InvalidInput(
                f'Revision "{revision.revision}" below does not go up: {where(result.error)}'
                f"{result.error.message}.",
                instead="Mend it first; what stands above it cannot be rehearsed.",
            )


def where(error: StepError) -> str:
    """Return `file:line: ` of an error, or nothing when it is not known."""
    return f"{error.file}:{error.line}: " if error.file else ""


@dataclass
class _Stair:
    """One shadow in the middle of a climb."""

    project: OpenProject
    session: Session
    fill: int
    notes: list[str] = field(default_factory=list)
    drops_seen: int = 0

    def rehearse(self, revision: RevisionInfo, *, rows_made: bool = False) -> Rehearsal:
        """Take one revision up, down and up again."""
        started = time.monotonic()
        before = self._snapshot()
        if not rows_made:
            self.make_rows()
        content = self._digest(before)
        self._drops()
        result = Rehearsal(revision, "fails-up", before=before, content=content)
        watch = Watch(self.session.query)
        up = self.session.step("upgrade", revision.revision, inspect=watch.look)
        result = replace(result, upgrade=up.statements, error=up.error)
        if not up.error:
            after = self._snapshot()
            result = replace(
                result,
                outcome="clean",
                after=after,
                content_after=self._digest(_common(before, after)),
                dropped=self._drops(),
                writes=watch.found,
            )
            result = self._come_back(result, content)
        return replace(result, seconds=round(time.monotonic() - started, 3))

    def _come_back(self, result: Rehearsal, content: Digests) -> Rehearsal:
        revision = result.revision
        done, error = self._way_back(revision)
        result = replace(result, downgrade=done)
        if error:
            outcome: Outcome = "irreversible" if _has_no_way_back(error) else "fails-down"
            return replace(result, outcome=outcome, error=error, differences=(error.message,))
        assert result.before is not None
        if left := trace_left(result.before, self._snapshot()):
            return replace(result, outcome="leaves-trace", differences=left)
        back = self._digest(result.before)
        lost = rows.compare(content, back)
        count = sum(table.count for table in content.values())
        result = replace(
            result,
            rows=f"{count} rows in {len(content)} tables compared by content",
            rows_compared=self.fill > 0,
            restored=frozenset(name for name, was in content.items() if back.get(name) == was),
        )
        if lost:
            result = replace(result, outcome="loses-rows", differences=lost)
        return self._up_again(result)

    def _up_again(self, result: Rehearsal) -> Rehearsal:
        again = self.session.step("upgrade", result.revision.revision)
        if again.error:
            return replace(
                result,
                outcome="fails-up-again",
                error=again.error,
                differences=(*result.differences, again.error.message),
            )
        assert result.after is not None
        if left := trace_left(result.after, self._snapshot()):
            return replace(
                result, outcome="fails-up-again", differences=(*result.differences, *left)
            )
        return result

    def _way_back(
        self, revision: RevisionInfo
    ) -> tuple[tuple[EmittedStatement, ...], StepError | None]:
        """Go back by the commands of the rollback plan in their order, or by the downgrade."""
        section = self.project.section(revision.revision)
        plan = commands(section) if section else ()
        if not any(c.kind == "downgrade" for c in plan):
            if plan or (section and section.rollback.strip()):
                self.notes.append(
                    f'The rollback plan of "{revision.revision}" names no `alembic downgrade`; '
                    "its downgrade was rehearsed, not the plan."
                )
            plan = (Command("downgrade", "alembic downgrade -1", "-1"),)
        done: list[EmittedStatement] = []
        for command in plan:
            result = self._run(command, revision)
            done.extend(result.statements)
            if result.error:
                return tuple(done), result.error
        return tuple(done), None

    def _run(self, command: Command, revision: RevisionInfo) -> StepResult:
        if command.kind == "sql":
            return self.session.execute(command.text)
        target = command.target or ""
        step = _step_for(command, revision)
        if step is None:
            return StepResult.failed(
                "NotRehearsed",
                f'the plan says "{command.text}", which is not this revision\'s own step '
                f"(its parent: {', '.join(revision.down_revisions) or 'base'}, not {target})",
            )
        try:
            return self.session.step(step, revision.revision)
        except InvalidInput as refusal:
            return StepResult.failed("NotRehearsed", f'"{command.text}": {refusal.problem}')

    def make_fitting_rows(self, revision: RevisionInfo) -> bool:
        """Make rows above the revision and take it down again; False where it does not let us."""
        below = _tables(self._snapshot())
        if self.session.step("upgrade", revision.revision).error:
            return False
        above = _tables(self._snapshot())
        self.make_rows()
        if self.session.step("downgrade", revision.revision).error:
            return False
        self.make_rows(sorted(below - above))
        return True

    def make_rows(self, tables: Sequence[str] | None = None) -> None:
        """Put rows into every empty table, or into these."""
        if not self.fill or tables == []:
            return
        report = rows.fill(
            self.session.query,
            self.session.run,
            rows=self.fill,
            tables=tables,
            version_table=self.project.history.version_table,
        )
        self.notes.extend(
            f'No rows could be made for "{table}": {reason}'
            for table, reason in report.skipped.items()
        )

    def _snapshot(self) -> Snapshot:
        return catalog.snapshot(
            self.session.query, version_table=self.project.history.version_table
        )

    def _digest(self, snapshot: Snapshot) -> rows.Digests:
        return rows.digest(self.session.query, snapshot)

    def _drops(self) -> tuple[Dropped, ...]:
        """Return what was dropped since the last call."""
        seen = [r for r in self.session.query(_DROPS) if int(r[0]) > self.drops_seen]
        self.drops_seen = max([self.drops_seen, *(int(r[0]) for r in seen)])
        return tuple(Dropped(str(r[1]), str(r[2]), bool(r[3]), str(r[4])) for r in seen)


def _step_for(command: Command, revision: RevisionInfo) -> Direction | None:
    if command.kind == "upgrade" and command.target in ("+1", "head", revision.revision):
        return "upgrade"
    if command.kind == "downgrade" and command.target in (
        "-1",
        *(revision.down_revisions or ("base",)),
    ):
        return "downgrade"
    return None


def _has_no_way_back(error: StepError) -> bool:
    """Say whether the downgrade is missing, or says by itself that there is none."""
    missing = error.type == "AttributeError" and "'downgrade'" in error.message
    return missing or error.type == "NotImplementedError"


def _tables(snapshot: Snapshot) -> set[str]:
    return {name for kind, name in snapshot.objects if kind == "table"}


def _common(before: Snapshot, after: Snapshot) -> Snapshot:
    """Return the tables and columns of `before` that still exist under the same name."""
    kept: Mapping[tuple[str, str], object] = after.objects
    return Snapshot({key: value for key, value in before.objects.items() if key in kept})
