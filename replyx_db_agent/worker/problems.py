"""Turns whatever the user's project threw into one error that can be read."""

from __future__ import annotations

import importlib.util
import linecache
import sys
import traceback
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import DBAPIError

from replyx_db_agent.worker.paths import ProjectRoot

LONGEST_MESSAGE = 1000


class Problem(Exception):
    """An error of ours, worded already: `kind` is "invalid" or "environment"."""

    def __init__(self, problem: str, *, instead: str, kind: str = "invalid") -> None:
        super().__init__(problem)
        self.problem = problem
        self.instead = instead
        self.kind = kind


class NotPlanned(Exception):
    """G10: a statement that is not the next one of the plan was about to be sent."""


@dataclass(frozen=True)
class Place:
    """A line of the user's project."""

    file: str | None = None
    line: int | None = None
    source: str | None = None

    def __str__(self) -> str:
        return f"'{self.file}' line {self.line}" if self.file else "The project"

    @property
    def quote(self) -> str:
        """The line itself, ready to stand behind the sentence."""
        return f" The line is: {self.source}" if self.source else ""


def place_of(error: BaseException, root: ProjectRoot) -> Place:
    """Return the innermost line of the user's project that the error passed through."""
    found = Place()
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = root.relative(frame.f_code.co_filename)
        if file:
            found = Place(file, line, source_line(frame.f_code.co_filename, line))
    return found


def source_line(path: str, line: int) -> str | None:
    """Return one line of a source file without its indentation."""
    linecache.checkcache(path)
    return linecache.getline(path, line).strip() or None


def message_of(error: BaseException) -> str:
    """Return the text of an error: PostgreSQL's primary message where there is one."""
    driver = driver_error(error)
    diagnosis = getattr(driver, "diag", None)
    text = getattr(diagnosis, "message_primary", None) or getattr(driver, "message", None)
    text = str(text or driver or "") or type(driver).__name__
    text = text.strip()
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + " ..."


def driver_error(error: BaseException) -> BaseException:
    """Return the driver's own exception when SQLAlchemy wrapped one."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return error
    cause = error.orig.__cause__  # SQLAlchemy wraps the errors of asyncpg once more
    return cause if cause is not None and sqlstate_of(cause) else error.orig


def sqlstate_of(error: BaseException) -> str | None:
    """Return PostgreSQL's five-character code of an error, if it has one."""
    driver = driver_error(error)
    code = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None)
    return str(code) if code else None


def describe(error: BaseException, root: ProjectRoot, memory_limit_mb: int) -> dict[str, Any]:
    """Return the error as the host shows it: kind, problem, instead and the place."""
    place = place_of(error, root)
    problem = _worded(error, place, root, memory_limit_mb)
    return {
        "kind": problem.kind,
        "problem": problem.problem,
        "instead": problem.instead,
        "type": type(driver_error(error)).__name__,
        "file": place.file,
        "line": place.line,
    }


def _worded(error: BaseException, place: Place, root: ProjectRoot, memory_mb: int) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, MemoryError):
        return Problem(
            f"{place} ran out of memory: the limit is {memory_mb} MB.{place.quote}",
            instead="Load less there, or raise memory_limit_mb in [worker].",
            kind="environment",
        )
    if isinstance(error, SystemExit):
        return _exited(error, place)
    if isinstance(error, SyntaxError):
        return _not_python(error, root)
    if isinstance(error, ImportError):
        return _not_importable(error, place, root)
    if _is_no_connection(error):
        return Problem(
            f"{place} could not connect to the database: {message_of(error)}",
            instead="Start the server, or correct the URL of this environment.",
            kind="environment",
        )
    return _raised(error, place)


def refused(error: DBAPIError) -> Problem:
    """Word the failure of a statement of ours, not of the project's."""
    code = sqlstate_of(error)
    return Problem(
        f"PostgreSQL refused the statement: {message_of(error)}{f' ({code})' if code else ''}.",
        instead="Correct the statement; the session goes on.",
    )


def _exited(error: SystemExit, place: Place) -> Problem:
    code = "" if error.code is None else repr(error.code)
    return Problem(
        f"{place} called sys.exit({code}).{place.quote}",
        instead="Let it raise an exception that says what is wrong, or let it go on.",
    )


def _not_python(error: SyntaxError, root: ProjectRoot) -> Problem:
    path = error.filename or ""
    file = root.relative(path) or path or "a file of the project"
    text = (error.text or "").strip() or source_line(path, error.lineno or 0) or ""
    return Problem(
        f"'{file}' line {error.lineno} is not valid Python ({error.msg}): {text}",
        instead="Correct that line.",
    )


def _not_importable(error: ImportError, place: Place, root: ProjectRoot) -> Problem:
    name = error.name or ""
    top = name.partition(".")[0]
    own = (top and (root.path / top).is_dir()) or (root.path / f"{top}.py").is_file()
    if own and not _is_importable(top):
        instead = (
            f"'{top}' lies in the project: write `prepend_sys_path = .` in alembic.ini, or "
            "give PYTHONPATH in env of [worker]."
        )
    else:
        instead = (
            "Set python in [worker] to the project's interpreter, for example "
            f'python = ".venv/bin/python" (this one is {sys.executable}), or install it there.'
        )
    return Problem(
        f"{place} raised {type(error).__name__}: {message_of(error)}.{place.quote}", instead=instead
    )


def _is_importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _is_no_connection(error: BaseException) -> bool:
    """Tell a connection that was never made from a statement that failed."""
    if isinstance(error, DBAPIError):
        return error.statement is None and type(error.orig).__name__ in {
            "OperationalError",
            "ConnectionTimeout",
            "InterfaceError",
        }
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    module = type(error).__module__.partition(".")[0]
    return module in {"psycopg", "psycopg2"} and type(error).__name__ == "OperationalError"


def _raised(error: BaseException, place: Place) -> Problem:
    kind = type(error).__name__
    if isinstance(error, KeyError) and _from_environ(error):
        return Problem(
            f"{place} needs the environment variable {error}, which is not set.{place.quote}",
            instead="Give it in env of [worker]; the worker passes on no other variables.",
        )
    if type(error).__module__.startswith("alembic."):
        return Problem(
            f"Alembic says: {message_of(error)}",
            instead="Correct the revisions or alembic.ini; `alembic history` says the same.",
        )
    return Problem(
        f"{place} raised {kind}: {message_of(error)}.{place.quote}",
        instead="Correct the project; `alembic current` in its folder stops at the same place. "
        "What it reads from the environment must stand in env of [worker].",
    )


def _from_environ(error: BaseException) -> bool:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals.get("__name__") == "os"
