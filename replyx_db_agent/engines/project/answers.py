"""What a worker's session answers, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from replyx_db_agent.core.model import Direction


@dataclass(frozen=True)
class RevisionInfo:
    """One revision file; `path` is relative to the project, `doc` its docstring's first line."""

    revision: str
    down_revisions: tuple[str, ...]
    path: str
    doc: str
    is_head: bool
    branch_labels: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """Every revision, newest first, and where the project keeps them (relative paths)."""

    revisions: tuple[RevisionInfo, ...]
    heads: tuple[str, ...]
    bases: tuple[str, ...]
    script_location: str
    versions: tuple[str, ...]
    version_table: str
    file_template: str


@dataclass(frozen=True)
class Opened:
    """What env.py set up. `transaction`: one per step, one per run, or env.py's own around all."""

    heads: tuple[str, ...]
    version_table: str
    version_table_schema: str | None
    transaction: Literal["step", "run", "env.py"]


@dataclass(frozen=True)
class EmittedStatement:
    """One statement as a migration function sent it; `file` is relative to the project.

    `values` is a digest of what was bound to it, "" for nothing.
    """

    sql: str
    file: str | None
    line: int | None
    autocommit: bool
    parameters: bool
    executemany: bool
    seconds: float
    values: str = ""


@dataclass(frozen=True)
class StepError:
    """Why a step stopped. `statement` is an index: the one that failed or was not sent."""

    type: str
    message: str
    sqlstate: str | None
    statement: int | None
    file: str | None
    line: int | None
    source: str | None


@dataclass(frozen=True)
class StepResult:
    """One revision, up or down; with an `error` it was rolled back and the session is over."""

    direction: Direction
    revision: str
    statements: tuple[EmittedStatement, ...]
    seconds: float
    error: StepError | None

    @classmethod
    def failed(
        cls, type: str, message: str, *, direction: Direction = "downgrade", revision: str = ""
    ) -> StepResult:
        """Return a step that sent nothing, and why."""
        error = StepError(type, message, None, None, None, None, None)
        return cls(direction, revision, (), 0.0, error)


@dataclass(frozen=True)
class RenderedOperation:
    """One operation of Alembic's autogenerate with its code, up and down; "" where it has no name.

    `narrows` is for whoever compares the catalogues to set: values may not fit the new type.
    """

    kind: str
    table: str
    name: str
    column: str
    schema: str
    upgrade: str
    downgrade: str
    imports: tuple[str, ...]
    narrows: bool = False


@dataclass(frozen=True)
class Loaded:
    """The end of a run: what was printed, every project file that was read, and the versions."""

    stdout: tuple[str, ...]
    stderr: tuple[str, ...]
    files: tuple[str, ...]
    versions: Mapping[str, str]

    @property
    def notes(self) -> tuple[str, ...]:
        """Every printed line but Alembic's own log of its steps."""
        lines = (*self.stdout, *self.stderr)
        return tuple(line for line in lines if not ("INFO" in line and "[alembic." in line))


def to_history(answer: Mapping[str, Any]) -> History:
    """Read a History from the worker's answer."""
    lists = ("heads", "bases", "versions")
    return History(
        revisions=tuple(to_revision(one) for one in answer["revisions"]),
        **{name: tuple(answer[name]) for name in lists},
        script_location=answer["script_location"],
        version_table=answer["version_table"],
        file_template=answer["file_template"],
    )


def to_revision(answer: Mapping[str, Any]) -> RevisionInfo:
    """Read a RevisionInfo from the worker's answer."""
    lists = ("down_revisions", "branch_labels", "depends_on")
    return RevisionInfo(**{**answer, **{name: tuple(answer[name]) for name in lists}})


def to_opened(answer: Mapping[str, Any]) -> Opened:
    """Read an Opened from the worker's answer."""
    return Opened(**{**answer, "heads": tuple(answer["heads"])})


def to_step(answer: Mapping[str, Any]) -> StepResult:
    """Read a StepResult from the worker's answer."""
    error = answer["error"]
    return StepResult(
        direction=answer["direction"],
        revision=answer["revision"],
        statements=tuple(EmittedStatement(**one) for one in answer["statements"]),
        seconds=answer["seconds"],
        error=StepError(**error) if error else None,
    )


def to_operation(answer: Mapping[str, Any]) -> RenderedOperation:
    """Read a RenderedOperation from the worker's answer."""
    names = {key: answer[key] or "" for key in ("table", "name", "column", "schema")}
    return RenderedOperation(**{**answer, **names, "imports": tuple(answer["imports"])})
