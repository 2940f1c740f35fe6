"""The embedded PostgreSQL for rehearsals: started on demand, shared, ended by its last user.

Every user of the server (a `ShadowServer`) holds a lease; see lease.py. Files and processes are in
cluster.py, the databases in databases.py; this module joins them.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from replyx_db_agent.core.errors import DbAgentError, EnvironmentProblem
from replyx_db_agent.engines.postgres import ServerIdentity, connect, identity
from replyx_db_agent.engines.shadow import (
    cluster,
    databases,
    installation,
    lease,
    settings,
    templates,
)
from replyx_db_agent.engines.shadow.databases import ShadowDatabase

if TYPE_CHECKING:
    import psycopg


def _silent(message: str) -> None:
    """Tell nobody."""


class ShadowServer:
    """One use of the shadow server; `close()` (or the end of the process) ends it."""

    def __init__(self, folder: lease.Folder, server: cluster.Cluster, held: lease.Lease) -> None:
        self.home = folder.home
        self.socket_dir = server.socket_folder
        self.port = settings.PORT
        self.kept_folder = folder.kept
        self.lease_id = held.id
        self.pgvector_version = server.installation.pgvector_version
        self._folder = folder
        self._cluster = server
        self._lease = held
        self._identity: ServerIdentity | None = None

    # ---- life ------------------------------------------------------------------------------------

    @classmethod
    def start(
        cls, home: Path | None = None, progress: Callable[[str], None] | None = None
    ) -> ShadowServer:
        """Attach to the running server of `home`, or start it (and make it, the first time).

        `progress` hears one line for every long step; attaching is silent.
        """
        if sys.platform == "win32":
            raise EnvironmentProblem(
                "The embedded PostgreSQL is not supported on Windows.",
                instead="Run inside WSL 2, or on Linux or macOS.",
            )
        found = installation.find()
        account = cluster.ensure_account()
        folder = lease.Folder(home or lease.default_home(), found.major)
        with folder.locked():
            folder.prepare(found.version, shared=account.is_other)
            usable = installation.reachable(found, account, folder.home)
            run = cluster.Cluster(folder, usable, account, progress or _silent)
            alive = lease.living(folder.owners)
            if not alive:
                run.stop(immediate=True)  # left over by owners that were killed
            held = lease.Lease(folder.owners)
            server = cls(folder, run, held)
            try:
                server._bring_up()
            except BaseException:
                held.release()
                if not alive:
                    run.stop(immediate=True)
                raise
        server._cluster = replace(run, progress=_silent)  # a later restart is nobody's progress
        atexit.register(server.close)
        return server

    def close(self) -> None:
        """Drop this lease's shadows and end the lease; the last owner stops the server."""
        if not self._lease.is_held:
            return  # closed already, or we are a forked child
        atexit.unregister(self.close)
        with self._folder.locked():
            if lease.living(self._folder.owners) == {self.lease_id}:
                self._lease.release()
                self._cluster.stop()
                return
            from psycopg import Error

            with contextlib.suppress(DbAgentError, Error), self._connect("postgres") as conn:
                databases.drop_all_of(conn, self.lease_id)
            self._lease.release()

    def __enter__(self) -> ShadowServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- databases -------------------------------------------------------------------------------

    def create(self, template: ShadowDatabase | None = None, label: str = "") -> ShadowDatabase:
        """Make a shadow: a clone of the base or of `template` (nobody connected), role included."""
        return databases.create(self, template, label)

    def drop(self, db: ShadowDatabase) -> None:
        """Drop a shadow (connections to it are ended) and its role; refuse anything else."""
        databases.drop(self, db)

    @contextlib.contextmanager
    def shadow(self, template: ShadowDatabase | None = None) -> Iterator[ShadowDatabase]:
        """Give a shadow for the length of a `with` block."""
        db = self.create(template)
        try:
            yield db
        finally:
            self.drop(db)

    def template(self, key: str, build: Callable[[ShadowDatabase], None]) -> ShadowDatabase:
        """Return the template of `key` for create(); `build` fills it if no process has yet.

        At most 20 are kept. Nobody can connect to a template, its role included.
        """
        return templates.template(self, key, build)

    def kept(self, name: str) -> ShadowDatabase:
        """Return a person's database that outlives the server's restarts; made when missing.

        `name`: 1 to 30 of a-z 0-9 _. It survives crashes of processes; a power cut may damage it.
        """
        return databases.kept(self, name)

    def drop_kept(self, name: str) -> None:
        """Drop a kept database."""
        databases.drop_kept(self, name)

    def admin(self, database: str = "postgres") -> psycopg.Connection:
        """Open a superuser's connection, for the host's own work only: no code of the project.

        Event triggers do not fire on it. A server that was killed is started again.
        """
        try:
            return self._connect(database)
        except EnvironmentProblem:
            if not self._lease.is_held or self._cluster.answers():
                raise
        with self._folder.locked():
            self._bring_up()
        return self._connect(database)

    # ---- facts -----------------------------------------------------------------------------------

    @property
    def system_identifier(self) -> str:
        """The cluster's own identifier, from pg_control_system()."""
        return self._facts().system_identifier

    @property
    def version_num(self) -> int:
        """PostgreSQL's version as a number, for example 180006."""
        return self._facts().server_version_num

    def is_ours(self, system_identifier: str) -> bool:
        """Tell whether an identity (engines.postgres.identity) is this server's."""
        return system_identifier == self.system_identifier

    # ---- inside ----------------------------------------------------------------------------------

    def _bring_up(self) -> None:
        """Have a running server with its base template, free of dead owners' shadows."""
        self._cluster.ensure_running()
        self._identity = None
        templates.make_base(self._connect)
        alive = lease.living(self._folder.owners)
        with self._connect("postgres") as conn:
            databases.sweep(conn, alive)
            self._identity = identity(conn)

    def _facts(self) -> ServerIdentity:
        if self._identity is None:
            with self.admin() as conn:
                self._identity = identity(conn)
        return self._identity

    def _connect(self, database: str) -> psycopg.Connection:
        url = (
            f"postgresql://postgres:{quote(self._folder.password(), safe='')}"
            f"@/{quote(database, safe='')}"
            f"?host={quote(os.fspath(self.socket_dir), safe='/')}&port={self.port}"
        )
        return connect(
            url,
            read_only=False,
            statement_timeout=120.0,
            lock_timeout=30.0,
            name="the shadow server",
            # What we have made survives a kill of the server; with fsync off it costs nothing.
            options="-c event_triggers=off -c synchronous_commit=on",
        )
