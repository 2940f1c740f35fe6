"""The embedded PostgreSQL cluster as files and processes: initdb, start, stop, recovery."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from replyx_db_agent.core.errors import EnvironmentProblem
from replyx_db_agent.engines.shadow import settings
from replyx_db_agent.engines.shadow.installation import (
    SYSTEM_USER,
    Account,
    Installation,
    server_account,
    write_extensions,
)
from replyx_db_agent.engines.shadow.lease import Folder, write_private

Progress = Callable[[str], None]

# What a new data folder would not cure.
_NOT_THE_DATA = (
    "is still in use",
    "No space left on device",
    "Cannot allocate memory",
    "could not map anonymous shared memory",
    "could not create shared memory",
    "error while loading shared libraries",
    "could not create lock file",
    "could not create any Unix-domain sockets",
    "could not load library",
    "Permission denied",
    "unrecognized configuration parameter",
)


@dataclass(frozen=True)
class Cluster:
    """One data folder and the programs and the user that run it. Every method needs the lock."""

    folder: Folder
    installation: Installation
    account: Account
    progress: Progress = field(default=lambda _: None)

    @property
    def socket_folder(self) -> Path:
        """The folder of the server's Unix socket, made on demand."""
        folder = self.folder.socket_folder()
        if self.account.is_other:
            # Root stays the owner: inside a user namespace it has no more rights than that.
            os.chown(folder, 0, self.account.gid)
            folder.chmod(0o770)
        return folder

    def running(self) -> int | None:
        """Return the postmaster's process id when it runs on our data folder, else None."""
        try:
            text = (self.folder.data / "postmaster.pid").read_text(encoding="utf-8")
            pid = int(text.split("\n", maxsplit=1)[0])
        except (OSError, ValueError):
            return None
        return pid if self._is_postmaster(pid) else None

    def answers(self) -> bool:
        """Whether a server listens on our socket; its process may be in another container."""
        path = self.socket_folder / f".s.PGSQL.{settings.PORT}"
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5.0)
            try:
                probe.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except OSError:
                return True  # it is only busy
        return True

    def ensure_running(self) -> None:
        """Start the server if it does not run; make the cluster first if there is none."""
        with self._explained():
            if self.answers():
                return
            self.stop(immediate=True)  # without its socket it is of no use to anybody
            if not self.folder.data.exists() or not self.folder.password_file.exists():
                self._retire_data()
                self._make()
                self._start()
                return
            try:
                self._start()
            except EnvironmentProblem as problem:
                if any(reason in problem.problem for reason in _NOT_THE_DATA):
                    raise
                self.progress("The shadow server's data is damaged; making it anew ...")
                self._retire_data()
                self._make()
                self._start()

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server, if it runs: orderly, or at once (the next start then recovers)."""
        signals = [signal.SIGQUIT] if immediate else [signal.SIGINT, signal.SIGQUIT]
        for number in [*signals, signal.SIGKILL]:
            pid = self.running()
            if pid is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if self._gone(pid, patience=10.0):
                return

    # ---- making and starting -----------------------------------------------------------------

    def _make(self) -> None:
        """Run initdb into a folder aside, so that a half-made cluster is never taken for one."""
        self.progress(f"Preparing PostgreSQL {self.installation.major} (once) ...")
        self.folder.check_marker()
        unfinished = self.folder.path / "data.new"
        password_file = self.folder.path / "password.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        password = secrets.token_urlsafe(24)
        write_private(password_file, password)
        unfinished.mkdir(mode=0o700)
        self._give(unfinished)
        self._give(password_file)
        try:
            self._initdb(unfinished, password_file)
        finally:
            password_file.unlink()
        write_private(self.folder.password_file, password)
        unfinished.rename(self.folder.data)

    def _initdb(self, data: Path, password_file: Path) -> None:
        # LC_CTYPE C knows no Cyrillic letters (pg_trgm, full-text search), but not every system
        # has the same name for one that does.
        for ctype in ("C.UTF-8", "en_US.UTF-8", "C"):
            outcome = self._run(
                "initdb",
                f"--pgdata={data}",
                "--username=postgres",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                f"--lc-ctype={ctype}",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-sync",
                "--no-instructions",
                time_limit=120,
            )
            if outcome.returncode == 0:
                return
            if "invalid locale" not in outcome.stdout:
                break
        raise _problem("could not make its cluster (initdb)", outcome.stdout)

    def _start(self) -> None:
        """Start the server; wait for the processes of a crashed one to let go of the data."""
        self.progress(f"Starting PostgreSQL {self.installation.version} ...")
        self.folder.check_marker()
        # Nobody answers and no server runs here: left over, whoever has these process ids now.
        (self.folder.data / "postmaster.pid").unlink(missing_ok=True)
        for name in (f".s.PGSQL.{settings.PORT}", f".s.PGSQL.{settings.PORT}.lock"):
            (self.socket_folder / name).unlink(missing_ok=True)
        write_extensions(self.installation, self.folder.extensions)
        settings.write(self.folder, self.socket_folder)
        deadline = time.monotonic() + 20.0
        while True:
            self.folder.log.unlink(missing_ok=True)
            self.folder.log.touch(mode=0o600)
            self._give(self.folder.log)
            if self._pg_ctl_start():
                return
            log = self.folder.log.read_text(encoding="utf-8", errors="replace")
            if "is still in use" not in log or time.monotonic() > deadline:
                raise _problem("did not start", log)
            time.sleep(0.1)

    def _pg_ctl_start(self) -> bool:
        try:
            outcome = self._run(
                "pg_ctl",
                "start",
                "--wait",
                "--silent",
                "--timeout=60",
                f"--pgdata={self.folder.data}",
                f"--log={self.folder.log}",
                f"--options=-c config_file={self.folder.path / 'postgresql.conf'}",
                time_limit=90,
            )
        except BaseException:
            self.stop(immediate=True)  # Ctrl-C in the middle leaves nothing behind
            raise
        if outcome.returncode != 0:
            self.stop(immediate=True)
        return outcome.returncode == 0

    def _retire_data(self) -> None:
        """Remove the data folder; put it aside instead when a person's databases are in it."""
        self.folder.check_marker()
        if not self.folder.data.exists():
            return
        if any(self.folder.kept.iterdir()):
            aside = self.folder.path / f"data.damaged-{int(time.time())}"
            self.folder.data.rename(aside)
            self.progress(f'It held databases that were to be kept: put aside as "{aside}".')
        else:
            shutil.rmtree(self.folder.data)

    # ---- processes ---------------------------------------------------------------------------

    def _run(
        self, program: str, *arguments: str, time_limit: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of PostgreSQL's as the server's user, in a session of its own."""
        command = [str(self.installation.binary(program)), *arguments]
        user = self.account.uid if self.account.is_other else None
        with (self.folder.path / "command.log").open(
            "w+", encoding="utf-8", errors="replace"
        ) as output:
            # Not a pipe: the server inherits the output, and reading would never end.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder.path,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.folder.path)},
                start_new_session=True,
                user=user,
                group=self.account.gid if self.account.is_other else None,
                extra_groups=[] if self.account.is_other else None,
            )
            try:
                process.wait(time_limit)
            except subprocess.TimeoutExpired:
                _interrupt(process)
                raise _problem(f"took longer than {time_limit:.0f} s ({program})", "") from None
            except BaseException:
                _interrupt(process)
                raise
            output.seek(0)
            return subprocess.CompletedProcess(command, process.returncode, output.read())

    def _give(self, path: Path) -> None:
        if self.account.is_other:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def _is_postmaster(self, pid: int) -> bool:
        """Whether `pid` is a postgres of this user that was started with our data folder."""
        words = _command_line(pid)
        if not words or Path(words[0]).name != "postgres":
            return False
        return str(self.folder.data) in words and _owner(pid) in (None, self.account.uid)

    def _gone(self, pid: int, *, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while self._is_postmaster(pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Explain what the server's user cannot reach, and the operating system's errors."""
        if self.account.is_other and not self.account.reaches(self.folder.path):
            raise EnvironmentProblem(
                f'The shadow server runs as the user "{self.account.name}", who cannot enter '
                f'"{self.folder.path}".',
                instead="Set REPLYX_DB_AGENT_HOME to a folder that others may pass through (o+x).",
            )
        try:
            yield
        except OSError as error:
            raise EnvironmentProblem(
                f'The shadow server cannot be started in "{self.folder.path}": {error.strerror}.',
                instead="Free some space, or set REPLYX_DB_AGENT_HOME to another folder.",
            ) from error


def ensure_account() -> Account:
    """Return the user that the server runs as; as root, create that system user if needed."""
    account = server_account()
    if account is None:
        command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            text = getattr(error, "stderr", "") or str(error)
            raise EnvironmentProblem(
                f'PostgreSQL does not run as root, and the user "{SYSTEM_USER}" could not be '
                f"created: {text.strip()}",
                instead=f"Create it ({' '.join(command)}), or run as an ordinary user.",
            ) from error
        account = server_account()
    if account is None:
        raise EnvironmentProblem(
            f'The system user "{SYSTEM_USER}" was created and is not found.',
            instead="Run as an ordinary user.",
        )
    return account


def _problem(what: str, log: str) -> EnvironmentProblem:
    lines = [line for line in log.strip().splitlines() if line.strip()][-8:]
    said = ("\n  " + "\n  ".join(lines) + "\n") if lines else " "
    remedy = "Set REPLYX_DB_AGENT_HOME to another folder, and read the lines above."
    if "No space left on device" in log:
        remedy = "Free some space, or set REPLYX_DB_AGENT_HOME to a folder on another disk."
    return EnvironmentProblem(f"The shadow server {what}.{said}".rstrip(" "), instead=remedy)


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """End a program; pg_ctl ends the server it is starting when it gets SIGINT."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _command_line(pid: int) -> list[str]:
    """Return the words of a process's command line; empty when there is no such process."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
        except OSError:
            return []
    outcome = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return outcome.stdout.split()


def _owner(pid: int) -> int | None:
    """Return the user id of a process, None where the system does not tell."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None
