"""Opens a project: its revisions, its worker, its files and its embedded PostgreSQL."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from replyx_db_agent.core.call import Call
from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.core.guardrails import PLAN_FILE
from replyx_db_agent.core.rollback_plan import PlanSection, find_section
from replyx_db_agent.engines.project import (
    History,
    Project,
    RevisionInfo,
    Session,
    Worker,
    worker_for,
)
from replyx_db_agent.engines.shadow import ShadowDatabase, ShadowServer
from replyx_db_agent.engines.workspace import Workspace


@dataclass(frozen=True)
class Settings:
    """The configuration as plain values. Times in seconds, memory in MB."""

    root: Path
    alembic_ini: str
    python: str | None
    env: Mapping[str, str]
    time_limit: float
    memory_limit_mb: int
    worker_hash: str
    record_folder: str
    hot_queries: str
    language: Literal["ru", "en"]
    secret_names: tuple[str, ...]
    secrets: tuple[str, ...]


_servers: dict[int, ShadowServer] = {}
_starting = threading.Lock()


def shared_server(call: Call) -> ShadowServer:
    """Return this process's use of the embedded PostgreSQL; the first call starts it."""
    with _starting:
        server = _servers.get(os.getpid())
        if server is None:
            server = _servers[os.getpid()] = ShadowServer.start(progress=call.tell)
        return server


@dataclass(frozen=True)
class OpenProject:
    """A project for the length of one call."""

    call: Call
    settings: Settings
    project: Project
    worker: Worker
    history: History

    @cached_property
    def server(self) -> ShadowServer:
        """The embedded PostgreSQL, started when a tool first needs it."""
        return shared_server(self.call)

    @cached_property
    def workspace(self) -> Workspace:
        """The project's folder as the tools may write it."""
        return Workspace(
            self.settings.root,
            tuple(self.history.versions),
            self.settings.record_folder,
            self.settings.secrets,
        )

    @contextmanager
    def rehearsal(self, database: ShadowDatabase) -> Iterator[Session]:
        """Run the project's code with nothing but this shadow in reach (G6)."""
        with self.worker.session(
            self.project,
            database.url,
            purpose="rehearsal",
            env_url_names=self.settings.secret_names,
            cancel=self.call.cancel,
        ) as session:
            yield session

    def revision(self, name: str) -> RevisionInfo:
        """Return a revision by id, unique prefix, `head`, or the path of its file."""
        if name == "head":
            return self.head
        found = [r for r in self.history.revisions if name in (r.revision, r.path)]
        found = found or [r for r in self.history.revisions if r.revision.startswith(name)]
        found = found or [r for r in self.history.revisions if Path(r.path).name == Path(name).name]
        if len(found) == 1:
            return found[0]
        problem = "several revisions" if found else "no revision"
        raise InvalidInput(
            f'"{name}" names {problem} of this project.',
            instead="Pass the revision id as it stands in the file (head: "
            f"{', '.join(self.history.heads) or 'none'}).",
        )

    @property
    def head(self) -> RevisionInfo:
        """The one head."""
        if len(self.history.heads) == 1:
            return next(r for r in self.history.revisions if r.revision == self.history.heads[0])
        raise InvalidInput(
            f"The project has {len(self.history.heads)} heads"
            + (f": {', '.join(self.history.heads)}." if self.history.heads else " (no revision)."),
            instead="Name one revision, or merge the heads with `alembic merge heads`."
            if self.history.heads
            else "Draft the first revision with draft_revision.",
        )

    def ancestors(self, revision: str) -> tuple[RevisionInfo, ...]:
        """Return every revision below this one, parents first, without itself."""
        known = {r.revision: r for r in self.history.revisions}
        ordered: dict[str, RevisionInfo] = {}
        waiting = [(revision, False)]
        while waiting:
            name, done = waiting.pop()
            if name in ordered:
                continue
            if done:
                ordered[name] = known[name]
                continue
            waiting.append((name, True))
            parents = (*known[name].down_revisions, *known[name].depends_on)
            waiting.extend((parent, False) for parent in reversed(parents))
        ordered.pop(revision, None)
        return tuple(ordered.values())

    def since(self, start: str | None, target: RevisionInfo) -> tuple[RevisionInfo, ...]:
        """Return the revisions after `start` (None: from base) up to and with `target`."""
        line = (*self.ancestors(target.revision), target)
        if start is None:
            return line
        below = {r.revision for r in self.ancestors(start)} | {start}
        return tuple(r for r in line if r.revision not in below)

    def after(self, since: str, target: RevisionInfo) -> tuple[RevisionInfo, ...]:
        """Return the revisions above the one named `since`, up to and with `target`.

        Raises:
            InvalidInput: there is none.
        """
        start = self.revision(since).revision
        if line := self.since(start, target):
            return line
        raise InvalidInput(
            f'No revision up to "{target.revision}" comes after "{start}".',
            instead="Name an older one as `since`.",
        )

    def section(self, revision: str) -> PlanSection | None:
        """Return the revision's section of docs/db/rollback_plan.md."""
        text = self.workspace.read(PLAN_FILE)
        return find_section(text, revision) if text else None


def open_project(call: Call, settings: Settings) -> OpenProject:
    """Read the project's revisions; nothing of it is imported into this process.

    Raises:
        InvalidInput: no alembic.ini, a revision file that does not parse, no such interpreter.
    """
    project = Project(
        root=settings.root,
        python=settings.python,
        ini=settings.alembic_ini,
        env=settings.env,
        time_limit=settings.time_limit,
        memory_limit_mb=settings.memory_limit_mb,
        secrets=settings.secrets,
    )
    worker = worker_for(project.python)
    history = worker.history(project, cancel=call.cancel)
    return OpenProject(call, settings, project, worker, history)
