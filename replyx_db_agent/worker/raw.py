"""Hears what a migration sends past SQLAlchemy, on the driver's own cursors (guardrail G10).

`op.get_bind().connection.cursor().execute(...)` fires none of SQLAlchemy's events.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from replyx_db_agent.worker.recorder import Recorder


def hear_drivers(recorder: Recorder) -> None:
    """Record the statements of psycopg's and psycopg2's own cursors too."""
    psycopg: Any = sys.modules.get("psycopg")
    psycopg2: Any = sys.modules.get("psycopg2")
    if psycopg is not None:
        for kind in (psycopg.Cursor, psycopg.AsyncCursor):
            for name in ("execute", "executemany", "copy", "stream"):
                setattr(kind, name, _heard(getattr(kind, name), recorder, name))
    if psycopg2 is not None:
        psycopg2.connect = _with_heard_cursors(psycopg2, recorder)


def _heard(inherited: Callable[..., Any], recorder: Recorder, name: str) -> Callable[..., Any]:
    @functools.wraps(inherited)
    def send(self: Any, statement: Any, *arguments: Any, **words: Any) -> Any:
        if not recorder.active or _asked_by_sqlalchemy():
            return inherited(self, statement, *arguments, **words)
        given = arguments[0] if arguments else words.get("params") or words.get("vars")
        bound = None if name.startswith("copy") else given
        many = name == "executemany"
        is_autocommit = getattr(self.connection, "autocommit", False) is True
        with recorder.raw(_text(statement, self), bound, many, is_autocommit):
            return inherited(self, statement, *arguments, **words)

    return send


def _asked_by_sqlalchemy() -> bool:
    """Tell whether the next caller outside the driver is SQLAlchemy, which was heard already."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(("psycopg", "contextlib")):
            return bool(module.startswith("sqlalchemy."))
        frame = frame.f_back
    return False


def _text(statement: Any, cursor: Any) -> str:
    if isinstance(statement, bytes):
        return statement.decode(errors="replace")
    render = getattr(statement, "as_string", None)
    return str(render(cursor) if render else statement)


def _with_heard_cursors(psycopg2: Any, recorder: Recorder) -> Callable[..., Any]:
    """Return psycopg2.connect with a cursor class of ours: its own is not open to changes."""
    inherited = psycopg2.connect
    usual = psycopg2.extensions.cursor

    @functools.wraps(inherited)
    def connect(*arguments: Any, **words: Any) -> Any:
        words["cursor_factory"] = _heard_class(words.get("cursor_factory") or usual, recorder)
        return inherited(*arguments, **words)

    return connect


@functools.cache
def _heard_class(kind: type, recorder: Recorder) -> type:
    names = ("execute", "executemany", "callproc", "copy_from", "copy_to", "copy_expert")
    heard = {name: _heard(getattr(kind, name), recorder, name) for name in names}
    return type(kind.__name__, (kind,), heard)
