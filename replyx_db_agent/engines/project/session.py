"""One job of a worker as the host sees it: commands, answers, and every way it can end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from replyx_db_agent.core.cancel import Cancel
from replyx_db_agent.core.errors import Cancelled, DbAgentError, EnvironmentProblem, InvalidInput
from replyx_db_agent.core.model import Direction
from replyx_db_agent.engines.project.answers import (
    History,
    Loaded,
    Opened,
    RenderedOperation,
    StepResult,
    to_history,
    to_opened,
    to_operation,
    to_step,
)
from replyx_db_agent.engines.project.pipes import Lines, Output
from replyx_db_agent.engines.redact import redact

GRACE = 1.0
LAYERS = ("environment", "sqlalchemy", "drivers")
_PROCEED = {"do": "proceed"}
Planned = str | tuple[str, str | None]
"""A statement's text, or that and the digest of the values that must be bound to it."""


class Session:
    """A forked process that has one project and one database in reach.

    `layers` names what keeps it there. Every method may raise InvalidInput (the project's files or
    settings are at fault), EnvironmentProblem (limits, the database) or Cancelled. A session is
    used by one thread at a time.
    """

    def __init__(
        self,
        lines: Lines,
        output: Output,
        pid: int,
        reap: Callable[[int], int | None],
        *,
        root: Path,
        time_limit: float,
        secrets: Sequence[str],
        versions: Mapping[str, str],
        cancel: Cancel | None,
    ) -> None:
        self.layers = LAYERS
        self.versions = versions
        self._lines = lines
        self._output = output
        self._pid = pid
        self._reap_in_parent = reap
        self._root = root
        self._time_limit = time_limit
        self._secrets = secrets
        self._cancel = cancel or Cancel()
        self._lock = threading.Lock()
        self._reaped = False
        self._status: int | None = None
        self._over: str | None = None
        self._open = False
        self._failed = False
        self._unregister = self._cancel.on_cancel(self._kill)

    def history(self) -> History:
        """Return every revision without running env.py."""
        return to_history(self._ask({"do": "history"}))

    def open(self) -> Opened:
        """Run env.py up to its run_migrations(); it waits there for steps and questions."""
        opened = to_opened(self._ask({"do": "open"}))
        self._open = True
        return opened

    def step(
        self,
        direction: Direction,
        revision: str,
        *,
        allowed: Sequence[Planned] | None = None,
        inspect: Callable[[], str | None] | None = None,
        time_limit: float | None = None,
    ) -> StepResult:
        """Carry out one revision; with `allowed`, exactly these statements or none after them.

        `inspect` is called when the revision is done and not committed yet; `query` then reads in
        its transaction. What it returns is the reason to roll the revision back, None is none.
        A result with an error means: Alembic rolled back, env.py has ended, the session is over.
        """
        command = {
            "do": "step",
            "direction": direction,
            "revision": revision,
            "allowed": None if allowed is None else list(allowed),
            "inspect": inspect is not None,
        }
        answer = self._ask(command, time_limit)
        if inspect and "paused" in answer:
            problem = inspect()
            answer = self._ask({"do": "stop", "problem": problem} if problem else _PROCEED)
        result = to_step(answer)
        if result.error is not None:
            self._over = f"revision '{revision}' failed in it ({self._clean(result.error.message)})"
            self._open, self._failed = False, True
        return result

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[list[Any]]:
        """Return rows read on env.py's own connection between steps (%s for parameters)."""
        command = {"do": "query", "sql": sql, "parameters": list(params), "rows": True}
        rows: list[list[Any]] = self._ask(command)
        return rows

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Run a statement that returns nothing on env.py's own connection between steps."""
        self._ask({"do": "query", "sql": sql, "parameters": list(params), "rows": False})

    def execute(self, sql: str) -> StepResult:
        """Run one statement like a step of its own; an error in the result ends nothing.

        What PostgreSQL refuses inside a transaction runs outside of one, as psql would run it.
        """
        return to_step(self._ask({"do": "execute", "sql": sql}))

    def current(self) -> tuple[str, ...]:
        """Return the revisions in the version table."""
        return tuple(self._ask({"do": "current"}))

    def autogenerate(self) -> list[RenderedOperation]:
        """Return Alembic's operations from the database as it stands to the models."""
        return [to_operation(one) for one in self._ask({"do": "autogenerate"})]

    def create_models(self) -> list[str]:
        """Create the models' tables in the database, committed, and return their names."""
        names: list[str] = self._ask({"do": "create_models"})
        return names

    def finish(self) -> Loaded:
        """Let env.py end as it would after `alembic upgrade`: it commits. The session is over.

        After a step that failed there is nothing left to commit, and this only tells what was read.
        """
        self._over = None if self._failed else self._over
        answer = self._ask({"do": "finish" if self._open else "loaded"})
        self._open = False
        files = tuple(answer["files"])
        self._end()
        out, err = self.notes()
        return Loaded(out, err, files, self.versions)

    def notes(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what the project printed so far: lines of stdout and of stderr, no passwords."""
        kept = (self._output.stdout, self._output.stderr)
        out, err = (tuple(self._clean(line) for line in one.lines()) for one in kept)
        return out, err

    def close(self) -> None:
        """End the process and everything it started; an open transaction is rolled back."""
        self._unregister()
        self._end()

    def _ask(self, command: dict[str, Any], time_limit: float | None = None) -> Any:
        self._cancel.check()
        if self._over:
            raise InvalidInput(
                f"This session is over: {self._over}.", instead="Begin a new session."
            )
        limit = time_limit or self._time_limit
        try:
            self._lines.send(command, limit)
            answer = self._lines.receive(limit)
        except TimeoutError:
            raise self._timed_out(command["do"], limit) from None
        except OSError:
            answer = None
        if answer is None:
            raise self._ended(command["do"])
        if "problem" in answer:
            raise self._worded(answer["problem"])
        return answer["ok"]

    def _worded(self, problem: Mapping[str, str]) -> DbAgentError:
        kind = EnvironmentProblem if problem["kind"] == "environment" else InvalidInput
        return kind(self._clean(problem["problem"]), instead=self._clean(problem["instead"]))

    def _timed_out(self, doing: str, limit: float) -> EnvironmentProblem:
        place = self._where()
        self._over = "it ran into its time limit"
        self._kill()
        self._end()
        return EnvironmentProblem(
            f"The project did not answer within {limit:g} s ({_words(doing)}).{place}",
            instead="Look for an endless loop or a wait for a lock there; raise time_limit in "
            "[worker] if it needs longer.",
        )

    def _where(self) -> str:
        """Ask the process for its stack: the first line inside the project says where it hangs."""
        before = len(self._output.stderr.lines())
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGUSR1)
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            for line in self._output.stderr.lines()[before:]:
                if f'File "{self._root}' in line and "site-packages" not in line:
                    return f" It was at: {self._clean(line.strip())}."
            time.sleep(0.02)
        return ""

    def _ended(self, doing: str) -> DbAgentError:
        self._over = "its process ended"
        self._end()
        if self._cancel.is_set():
            raise Cancelled("The call was withdrawn; the project's process was ended.")
        how, instead = _how_it_ended(self._status)
        last = self.notes()[1][-1:]
        said = f" Its last words: {last[0]}" if last else ""
        return EnvironmentProblem(
            f"The project's process {how} ({_words(doing)}).{said}", instead=instead
        )

    def _kill(self) -> None:
        with self._lock:
            if not self._reaped:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._pid, signal.SIGKILL)

    def _end(self) -> None:
        """Hang up, give the process a moment to roll back, and take it away."""
        with self._lock:
            if self._reaped:
                return
            self._over = self._over or "it was closed"
            with suppress(OSError):
                self._lines.hang_up(GRACE)
            self._status = self._reap_in_parent(self._pid)
            self._reaped = True
            self._lines.close()
            self._output.stop()

    def _clean(self, text: str) -> str:
        return redact(text, self._secrets)


def _words(doing: str) -> str:
    words = {
        "history": "reading the revisions",
        "open": "running env.py",
        "step": "running a revision",
        "proceed": "at the end of a revision",
        "finish": "at the end of env.py",
        "create_models": "creating the models' tables",
        "autogenerate": "comparing the models",
    }
    return words.get(doing, "answering a question")


def _how_it_ended(status: int | None) -> tuple[str, str]:
    look = "Look for os._exit, or for a library that crashes, in what env.py imports."
    if status is None:
        return "is gone", "Try again; a new process is started by itself."
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name
        if number == signal.SIGKILL:
            look = "Somebody killed it, or the machine ran out of memory; try again."
        return f"was ended by signal {number} ({name})", look
    return f"ended with code {os.WEXITSTATUS(status)} in the middle of its work", look
