"""Records the statements a migration function emits, and stops those that are not planned."""

from __future__ import annotations

import functools
import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from replyx_db_agent.worker.paths import ProjectRoot
from replyx_db_agent.worker.problems import NotPlanned


class Recorder:
    """Listens on every engine; takes down statements only while a migration function runs."""

    def __init__(self, root: ProjectRoot) -> None:
        self._root = root
        self._allowed: list[tuple[str, str | None]] | None = None
        self.active = False
        self._started = 0.0
        self._refusal: NotPlanned | None = None
        self.statements: list[dict[str, Any]] = []
        self.failing: int | None = None
        self.seconds = 0.0
        self.error: BaseException | None = None

    def listen(self) -> None:
        """Begin to hear every statement of every engine of this process."""
        event.listen(Engine, "before_cursor_execute", self._before)
        event.listen(Engine, "after_cursor_execute", self._after)
        event.listen(Engine, "handle_error", self._failed)

    def prepare(self, allowed: list[Any] | None) -> None:
        """Forget the last step; the next one may send `allowed` only (None: anything).

        Each is a text, compared to the letter, or a pair of it and the digest of its values.
        """
        self._allowed = None
        if allowed is not None:
            pairs = [(one, None) if isinstance(one, str) else tuple(one) for one in allowed]
            self._allowed = [(sql, values) for sql, values in pairs]
        self._refusal = None
        self.statements = []
        self.failing = None
        self.seconds = 0.0
        self.error = None

    def around(self, migration: Callable[..., Any]) -> Callable[..., Any]:
        """Return the migration function, recorded."""

        @functools.wraps(migration)
        def recorded(*arguments: Any, **words: Any) -> None:
            started = time.perf_counter()
            self.active = True
            try:
                migration(*arguments, **words)
                self._end_of_plan()
            except BaseException as error:
                self.error = self._refusal or error
                raise
            finally:
                self.active = False
                self.seconds = time.perf_counter() - started

        return recorded

    def _before(
        self, connection: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool
    ) -> None:
        if self.active:
            self._take(sql, parameters, bool(many), is_autocommit(connection))

    @contextmanager
    def raw(self, sql: str, parameters: Any, many: bool, autocommit: bool) -> Iterator[None]:
        """Take down a statement that goes past SQLAlchemy, while it runs."""
        self._take(sql, parameters, many, autocommit)
        try:
            yield
        except BaseException:
            self._failed(None)
            raise
        self._after()

    def _take(self, sql: str, parameters: Any, many: bool, autocommit: bool) -> None:
        values = digest_of(parameters)
        if self._allowed is not None:
            self._compare(sql, values, self._allowed)
        file, line = self._place()
        self.statements.append(
            {
                "sql": sql,
                "file": file,
                "line": line,
                "autocommit": autocommit,
                "parameters": bool(parameters),
                "values": values,
                "executemany": many,
                "seconds": 0.0,
            }
        )
        self._started = time.perf_counter()

    def _after(self, *_arguments: Any) -> None:
        if self.active and self.statements:
            self.statements[-1]["seconds"] = time.perf_counter() - self._started

    def _failed(self, _context: Any) -> None:
        if self.active and self.statements and self._refusal is None:
            self.statements[-1]["seconds"] = time.perf_counter() - self._started
            self.failing = len(self.statements) - 1

    def _compare(self, sql: str, values: str, allowed: list[tuple[str, str | None]]) -> None:
        """Refuse what is not next, and everything after it: the project may swallow an error."""
        position = len(self.statements)
        if self._refusal is None:
            expected, bound = allowed[position] if position < len(allowed) else (None, None)
            if sql == expected and bound in (None, values):
                return
            wanted = f"The plan's next one is: {normal(expected)}" if expected else ""
            if sql == expected:
                wanted = "Its text is, but other values are bound to it than in the rehearsal."
            self._refusal = NotPlanned(
                f"Statement {position + 1} is not the next one of the plan and was not sent: "
                f"{normal(sql)} {wanted or 'The plan has no more.'}"
            )
        raise self._refusal

    def _end_of_plan(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        if self._allowed is not None and len(self.statements) < len(self._allowed):
            raise NotPlanned(
                f"The revision ended after {len(self.statements)} of the plan's "
                f"{len(self._allowed)} statements. The next one of the plan was: "
                f"{normal(self._allowed[len(self.statements)][0])}"
            )

    def _place(self) -> tuple[str | None, int | None]:
        """Return the innermost line inside a revision, else inside the project."""
        frame = sys._getframe(2)
        found: tuple[str | None, int | None] = (None, None)
        walked: Any = frame
        while walked is not None:
            file = self._root.relative(walked.f_code.co_filename)
            if file is not None:
                if self._root.is_revision(file):
                    return file, walked.f_lineno
                found = found if found[0] else (file, walked.f_lineno)
            walked = walked.f_back
        return found


def digest_of(parameters: Any) -> str:
    """Return a digest of bound values, so that they can be compared and never be read."""
    return hashlib.sha256(repr(parameters).encode()).hexdigest() if parameters else ""


def normal(sql: str) -> str:
    """Return the statement with every run of white space as one space."""
    return " ".join(sql.split())


def is_autocommit(connection: Any) -> bool:
    """Tell whether a statement on this connection stands outside every transaction."""
    level = connection.get_execution_options().get("isolation_level")
    if level is not None:
        return bool(level == "AUTOCOMMIT")
    raw = connection.connection
    driver = getattr(raw, "dbapi_connection", None) or getattr(raw, "connection", None)
    return getattr(driver, "autocommit", False) is True
