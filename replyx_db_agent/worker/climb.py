"""One run of env.py, in which the host leads Alembic from step to step."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from replyx_db_agent.worker.problems import Problem, sqlstate_of
from replyx_db_agent.worker.recorder import Recorder, is_autocommit

ACTIVE_SQL_TRANSACTION = "25001"


def environment(config: Config, script: ScriptDirectory, **words: Any) -> EnvironmentContext:
    """Return Alembic's environment, comparing types and defaults whatever env.py leaves out.

    It cannot be a subclass: Alembic fills `alembic.context` for the exact class only.
    """
    context = EnvironmentContext(config, script, **words)
    inherited = context.configure

    def configure(*arguments: Any, **options: Any) -> None:
        for name in ("compare_type", "compare_server_default"):
            options[name] = options.get(name) or True
        inherited(*arguments, **options)

    context.configure = configure  # type: ignore[method-assign]
    return context


def run_environment(
    config: Config,
    script: ScriptDirectory,
    work: Callable[[tuple[str, ...], MigrationContext], Iterator[RevisionStep]],
    *,
    dont_mutate: bool,
) -> None:
    """Run env.py once, with `work` where Alembic's commands put theirs."""
    calls = 0

    def once(heads: tuple[str, ...], context: MigrationContext) -> Iterator[RevisionStep]:
        nonlocal calls
        calls += 1
        if calls == 1:
            yield from work(heads, context)
        else:
            print(f"env.py called run_migrations() {calls} times; only the first was answered.")  # noqa: T201 - a note

    words = {
        "as_sql": False,
        "starting_rev": None,
        "destination_rev": "head",
        "tag": None,
        "dont_mutate": dont_mutate,
    }
    with environment(config, script, fn=once, **words):
        script.run_env()
    if not calls:
        raise Problem(
            f"'{os.path.relpath(script.env_py_location)}' ended without calling "
            "context.run_migrations().",
            instead="Let it call context.configure(connection=...) and then "
            "context.run_migrations() whenever it is loaded, under no condition of its own.",
        )


class Climb:
    """What the host may ask between two steps, on env.py's own connection."""

    def __init__(self, context: MigrationContext, script: ScriptDirectory) -> None:
        self.context = context
        self._script = script
        heads = self.heads()
        self.applied = set(self._with_ancestors(heads))
        self.opened = {
            "heads": heads,
            "version_table": context.version_table,
            "version_table_schema": context.version_table_schema,
            "transaction": self._transaction(),
        }

    def _transaction(self) -> str:
        if self.context._in_external_transaction:
            return "env.py"
        return "step" if self.context._transaction_per_migration else "run"

    @contextmanager
    def between_steps(self) -> Iterator[Any]:
        """Give the connection, in a transaction that leaves Alembic's own as it was."""
        connection: Any = self.context.connection
        with self.context.begin_transaction(_per_migration=True) as ours:
            if ours is not None or is_autocommit(connection):
                yield connection
            else:
                with connection.begin_nested():
                    yield connection

    def heads(self) -> list[str]:
        """Return the revisions in the version table."""
        with self.between_steps():
            return sorted(self.context.get_current_heads())

    def query(self, sql: str, parameters: list[Any], *, rows: bool) -> list[list[Any]] | None:
        """Run one statement of the host, written with %s for its parameters."""
        with self.between_steps() as connection:
            if parameters:
                style = connection.dialect.paramstyle
                result = connection.exec_driver_sql(_placed(sql, style), tuple(parameters))
            else:
                options = {"no_parameters": True}
                result = connection.exec_driver_sql(sql, execution_options=options)
            return [[plain(value) for value in row] for row in result] if rows else None

    def look(self, sql: str) -> list[list[Any]]:
        """Run one query of the host in the very transaction of the step that is under way."""
        connection: Any = self.context.connection
        options = {"no_parameters": True}

        def rows() -> list[list[Any]]:
            result = connection.exec_driver_sql(sql, execution_options=options)
            return [[plain(value) for value in row] for row in result]

        if is_autocommit(connection):
            return rows()
        with connection.begin_nested():
            return rows()

    def execute(self, sql: str, recorder: Recorder) -> None:
        """Run one statement of the host; outside a transaction where PostgreSQL insists on it."""

        def send(connection: Any) -> None:
            connection.exec_driver_sql(sql, execution_options={"no_parameters": True})

        recorder.prepare(None)
        try:
            with self.between_steps() as connection:
                recorder.around(send)(connection)
        except DBAPIError as error:
            if sqlstate_of(error) != ACTIVE_SQL_TRANSACTION or not self._may_leave_transaction():
                raise
            recorder.prepare(None)
            with self.context.autocommit_block():
                recorder.around(send)(self.context.connection)

    def _may_leave_transaction(self) -> bool:
        return not self.context._in_external_transaction

    def step(self, direction: str, name: str) -> RevisionStep:
        """Return Alembic's own step for one revision, if it is the turn of that revision."""
        revision: Any = self._script.get_revision(name)
        if revision is None:
            raise Problem(
                f"There is no revision '{name}' in this project.",
                instead="Name one that `history` lists.",
            )
        self._check_turn(direction, revision)
        if not callable(getattr(revision.module, direction, None)):
            raise Problem(
                f"Revision '{revision.revision}' has no function {direction}().",
                instead="Write it; one that cannot be undone raises an exception saying so.",
            )
        make = MigrationStep.upgrade_from_script
        if direction == "downgrade":
            make = MigrationStep.downgrade_from_script
        return make(self._script.revision_map, revision)

    def _check_turn(self, direction: str, revision: Any) -> None:
        name = revision.revision
        if direction == "upgrade":
            missing = sorted(set(revision._all_down_revisions) - self.applied)
            if name in self.applied or missing:
                why = f"needs {', '.join(missing)} first" if missing else "is applied already"
                raise Problem(
                    f"Revision '{name}' {why}.", instead="Step through the revisions in order."
                )
            return
        above = sorted(set(revision._all_nextrev) & self.applied)
        if name not in self.applied or above:
            why = f"lies under {', '.join(above)}" if above else "is not applied"
            raise Problem(
                f"Revision '{name}' {why}.", instead="Step down from the heads, one at a time."
            )

    def stepped(self, direction: str, name: str) -> None:
        """Remember that a step is done."""
        if direction == "upgrade":
            self.applied.add(name)
        else:
            self.applied.discard(name)

    def _with_ancestors(self, heads: list[str]) -> Iterator[str]:
        waiting = [one for one in self._script.get_revisions(tuple(heads)) if one is not None]
        seen: set[str] = set()
        while waiting:
            one: Any = waiting.pop()
            if one.revision not in seen:
                seen.add(one.revision)
                yield one.revision
                waiting.extend(self._script.get_revision(name) for name in one._all_down_revisions)


def _placed(sql: str, style: str) -> str:
    """Return the statement with the driver's own placeholders instead of %s."""
    if not style.startswith("numeric"):
        return sql
    mark = "$" if style == "numeric_dollar" else ":"
    numbers = iter(range(1, sql.count("%s") + 1))

    def place(found: re.Match[str]) -> str:
        return "%" if found.group() == "%%" else f"{mark}{next(numbers)}"

    return re.sub(r"%s|%%", place, sql)


def plain(value: Any) -> Any:
    """Return a value as JSON can carry it; what it has no word for becomes text."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return str(value)
