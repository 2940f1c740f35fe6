"""Words for what nobody foresaw: never the text of the error, which may hold rows or a password."""

from __future__ import annotations

import traceback
from pathlib import PurePath

from replyx_db_agent.core.errors import DbAgentError, EnvironmentProblem

PACKAGE = PurePath(__file__).parents[1]
REPORT = "This is a defect of replyx-db-agent; report it with that line."


def unexpected(error: BaseException) -> DbAgentError:
    """Return an error that can be read for one that was not raised on purpose."""
    if type(error).__module__.partition(".")[0] == "psycopg":
        state = getattr(error, "sqlstate", None)
        return EnvironmentProblem(
            f"PostgreSQL ended the work: {type(error).__name__}{f' ({state})' if state else ''}, "
            f"{_place(error)}.",
            instead="See whether the server still runs and has room, and try again.",
        )
    if isinstance(error, OSError) and error.strerror:
        file = f' "{error.filename}"' if error.filename else ""
        return EnvironmentProblem(
            f"The operating system refused{file}: {error.strerror} ({_place(error)}).",
            instead="Check rights and free disk space, and try again.",
        )
    return DbAgentError(f"{type(error).__name__} {_place(error)}.", instead=REPORT)


def _place(error: BaseException) -> str:
    """Return the innermost line of our own code."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = PurePath(frame.filename)
        if path.is_relative_to(PACKAGE):
            return f"in {path.relative_to(PACKAGE.parent)} line {frame.lineno}"
    return "outside of replyx-db-agent"
