"""The shadow server's folder, its lock, and the leases that say which processes use the server."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from replyx_db_agent.core.errors import EnvironmentProblem

if sys.platform != "win32":
    import fcntl

MADE_BY = "replyx-db-agent"
_LONGEST_SOCKET = 100  # bytes; macOS allows 103, Linux 107
_ELSEWHERE = "Set REPLYX_DB_AGENT_HOME to a folder of your own."


def default_home() -> Path:
    """Return the folder for our servers: REPLYX_DB_AGENT_HOME, or the user's cache."""
    if given := os.environ.get("REPLYX_DB_AGENT_HOME"):
        return Path(given).expanduser()
    if os.geteuid() == 0:
        return Path("/var/cache") / MADE_BY
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache.startswith("/") else Path.home() / ".cache") / MADE_BY


class Folder:
    """One cluster's folder in the home: marker, data, password, socket, leases.

    It belongs to us. As root only the data, the log and the socket's folder are open to the
    server's user, so that root never writes into a folder that somebody else controls.
    """

    def __init__(self, home: Path, major: int) -> None:
        # Resolved: the server is recognised by the path of its data folder.
        self.home = home = home.resolve()
        self.path = home / f"pg{major}"
        self.data = self.path / "data"
        self.log = self.path / "server.log"
        self.password_file = self.path / "password"
        self.owners = self.path / "owners"
        self.kept = self.path / "kept"
        self.extensions = self.path / "ext"

    def prepare(self, version: str, *, shared: bool) -> None:
        """Make the folders (once) or check that they are ours; `shared`: others must pass through.

        Call it with the lock held.
        """
        mode = 0o711 if shared else 0o700
        with _clear("make the folder of the shadow server", self.path):
            self.path.mkdir(mode=mode, exist_ok=True)
            _check_ours(self.path)
            self.path.chmod(mode)
            if not any(self.path.iterdir()):
                self._write_marker(version)
        self.check_marker()
        with _clear("make the folder of the shadow server", self.path):
            for folder in (self.owners, self.kept):
                folder.mkdir(mode=0o700, exist_ok=True)

    def check_marker(self) -> None:
        """Refuse a folder that does not carry our marker with this user's id."""
        try:
            marker = json.loads((self.path / "marker.json").read_text(encoding="utf-8"))
            ours = marker.get("made_by") == MADE_BY and marker.get("uid") == os.geteuid()
        except (OSError, ValueError, AttributeError):
            ours = False
        if not ours:
            raise EnvironmentProblem(
                f'The folder "{self.path}" was not made by {MADE_BY} for this user; '
                "it is left alone.",
                instead=_ELSEWHERE,
            )

    def _write_marker(self, version: str) -> None:
        marker = {"made_by": MADE_BY, "uid": os.geteuid(), "version": version}
        write_private(self.path / "marker.json", json.dumps(marker))

    @contextlib.contextmanager
    def locked(self, *, patience: float = 120.0) -> Iterator[None]:
        """Hold the exclusive lock of this folder; wait for it at most `patience` seconds."""
        with _clear("make the folder of the shadow server", self.home):
            self._make_home()
            descriptor = _open_lock(self.home / f"{self.path.name}.lock")
        try:
            deadline = time.monotonic() + patience
            while not _try_lock(descriptor):
                if time.monotonic() > deadline:
                    raise EnvironmentProblem(
                        f"Another process has been starting or stopping the shadow server "
                        f"for {patience:.0f} s.",
                        instead=f'End it (see who holds "{self.home / self.path.name}.lock").',
                    )
                time.sleep(0.02)
            yield
        finally:
            os.close(descriptor)

    def _make_home(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        _check_ours(self.home)
        if any(self.home.iterdir()) and self.home.name != MADE_BY:
            return  # It may hold other things: its mode is not ours to change.
        self.home.chmod(0o711 if os.geteuid() == 0 else 0o700)

    def socket_folder(self) -> Path:
        """Return the folder for the server's socket: in ours, or a short one that ours records."""
        own = self.path / "run"
        if len(os.fsencode(own / ".s.PGSQL.5432")) < _LONGEST_SOCKET:
            own.mkdir(mode=0o700, exist_ok=True)
            return own
        record = self.path / "socket_folder"
        with contextlib.suppress(OSError, EnvironmentProblem):
            recorded = Path(record.read_text(encoding="utf-8"))
            _check_ours(recorded)
            return recorded
        short = Path(tempfile.mkdtemp(prefix="replyx-", dir="/tmp"))
        write_private(record, str(short))
        return short

    def password(self) -> str:
        """Return the superuser's password."""
        with _clear("read the shadow server's password", self.password_file):
            return self.password_file.read_text(encoding="utf-8")


class Lease:
    """A lock on a file of our own in `owners`; the kernel lets go of it when this process ends."""

    def __init__(self, owners: Path) -> None:
        self.id = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._file = owners / self.id
        self._descriptor: int | None = _open_lock(self._file)
        self._pid = os.getpid()
        _try_lock(self._descriptor)
        _held.add(self)

    @property
    def is_held(self) -> bool:
        """Whether this process (not a parent it was forked from) holds the lease."""
        return self._descriptor is not None and self._pid == os.getpid()

    def forget(self) -> None:
        """Close our handle without ending the lease of the process we were forked from."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def release(self) -> None:
        """End the lease."""
        if self.is_held:
            self._file.unlink(missing_ok=True)
            self.forget()
            _held.discard(self)


_held: set[Lease] = set()


def _forget_all() -> None:
    """In a forked child: do not keep the leases alive after the parent has ended."""
    for lease in _held:
        lease.forget()
    _held.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_all)


def living(owners: Path) -> set[str]:
    """Return the ids of the leases that are held; the files of dead owners are removed.

    Call it with the folder's lock held.
    """
    alive = set()
    for file in owners.iterdir():
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if _try_lock(descriptor):
                file.unlink()
            else:
                alive.add(file.name)
        finally:
            os.close(descriptor)
    return alive


def write_private(path: Path, text: str) -> None:
    """Write `text` to a file that only we can read, whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)


@contextlib.contextmanager
def _clear(what: str, path: Path) -> Iterator[None]:
    """Turn the operating system's errors into ours."""
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(
            f'It is not possible to {what} "{path}": {error.strerror}.', instead=_ELSEWHERE
        ) from error


def _check_ours(folder: Path) -> None:
    status = folder.lstat()
    if status.st_uid != os.geteuid() or folder.is_symlink() or status.st_mode & 0o002:
        raise EnvironmentProblem(
            f'The folder "{folder}" is a link, or others own it or may write to it.',
            instead=_ELSEWHERE,
        )


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
