"""The host side of the worker: finds the project, starts its interpreter, opens sessions."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from replyx_db_agent.core.cancel import Cancel
from replyx_db_agent.core.errors import EnvironmentProblem, InvalidInput
from replyx_db_agent.engines.project.answers import (
    History,
)
from replyx_db_agent.engines.project.folder import Project
from replyx_db_agent.engines.project.pipes import Lines, Output
from replyx_db_agent.engines.project.session import Session
from replyx_db_agent.engines.redact import passwords_of

Purpose = Literal["rehearsal", "apply", "read"]

PACKAGE = Path(__file__).resolve().parents[2]
PASSED_ON = ("PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
START_LIMIT = 60.0
FORK_LIMIT = 30.0
HEADER = struct.Struct("!I")

# The interpreter is the project's: our package is not installed there, and its __init__ and the
# names beside it (tools, core ...) must not come into reach of the project's imports.
BOOTSTRAP = """
import sys, types
package, descriptor = sys.argv[1], int(sys.argv[2])
sys.path[:] = [entry for entry in sys.path if entry]
if sys.version_info < (3, 9):
    import os
    os.write(descriptor, b'{"old": "%d.%d"}\\n' % sys.version_info[:2])
    sys.exit(1)
stub = types.ModuleType("replyx_db_agent")
stub.__path__ = [package]
sys.modules["replyx_db_agent"] = stub
from replyx_db_agent.worker.parent import main
main(descriptor)
"""


class _Process:
    """A running parent process and the socket to it."""

    def __init__(self, python: str) -> None:
        self._lock = threading.Lock()
        self._jobs: set[int] = set()
        self._retired = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._popen: subprocess.Popen[bytes] | None = None
        self._control, theirs = socket.socketpair()
        self._lines = Lines(self._control)
        try:
            with theirs:
                self._popen = self._start(python, theirs)
            self.versions = self._hello(python)
        except BaseException:
            self.close()
            raise

    def _start(self, python: str, theirs: socket.socket) -> subprocess.Popen[bytes]:
        command = [python, "-c", BOOTSTRAP, str(PACKAGE), str(theirs.fileno())]
        home = {"HOME": os.environ["HOME"]} if "HOME" in os.environ else {}
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                cwd="/",
                env={**passed_on(), **home},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except OSError as error:
            raise InvalidInput(
                f"The interpreter '{python}' cannot be started: {error.strerror}.",
                instead="Set python in [worker] to the project's own, for example \".venv/bin/"
                'python", or leave it out.',
            ) from None

    def _hello(self, python: str) -> Mapping[str, str]:
        try:
            hello = self._lines.receive(START_LIMIT) or {}
        except TimeoutError:
            hello = {}
        if "versions" in hello:
            versions: Mapping[str, str] = hello["versions"]
            return versions
        if "old" in hello:
            problem = f"The interpreter '{python}' is Python {hello['old']}; 3.9 is the oldest."
        elif "missing" in hello:
            problem = (
                f"The interpreter '{python}' has no '{hello['missing']}' ({hello['text']}), "
                "so it cannot run the project's revisions."
            )
        else:
            problem = f"The interpreter '{python}' did not start the worker.{self._last_words()}"
        raise InvalidInput(
            problem,
            instead="Set python in [worker] to the interpreter the project uses, with alembic>=1.8 "
            "and sqlalchemy>=1.4 installed.",
        )

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode(errors="replace").strip().splitlines()
        return f" It said: {lines[-1]}" if lines else ""

    def fork(self, job: dict[str, Any], descriptors: list[int]) -> int | None:
        """Return the pid of a new job, None when packages changed since this process started.

        Raises:
            OSError: the process is gone.
        """
        answer = self._request({"do": "fork", "job": job}, descriptors)
        if "stale" in answer:
            return None
        pid = int(answer["pid"])
        self._jobs.add(pid)
        return pid

    def reap(self, pid: int) -> int | None:
        """Take a job away and return its wait status, None when nobody knows it any more."""
        try:
            status: int | None = self._request({"do": "reap", "pid": pid}, []).get("status")
        except OSError:
            status = None
        self._jobs.discard(pid)
        if self._retired and not self._jobs:
            self.close()
        return status

    def _request(self, message: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        body = json.dumps(message).encode()
        with self._lock:
            self._control.settimeout(FORK_LIMIT)
            socket.send_fds(self._control, [HEADER.pack(len(body))], descriptors)
            self._control.sendall(body)
            answer = self._lines.receive(FORK_LIMIT)
        if answer is None:
            raise ConnectionResetError("the worker's process is gone")
        return answer

    def retire(self) -> None:
        """Close as soon as the last job has ended."""
        self._retired = True
        if not self._jobs:
            self.close()

    def close(self) -> None:
        """Hang up, upon which the process ends, with every job; make sure of it."""
        self._control.close()
        if self._popen is not None:
            try:
                self._popen.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        self._errors.close()


class Worker:
    """A warm interpreter that forks a process for every session; several threads may use it."""

    def __init__(self, python: str | None = None) -> None:
        self.python = _found(python)
        self._lock = threading.Lock()
        self._process: _Process | None = None
        atexit.register(self.close)

    def warm(self) -> Mapping[str, str]:
        """Start the interpreter now, if it is not running; return its versions."""
        return self._running().versions

    def history(self, project: Project, *, cancel: Cancel | None = None) -> History:
        """Return the project's revisions, in a session of their own without a database."""
        with self.session(project, None, purpose="read", cancel=cancel) as session:
            return session.history()

    @contextmanager
    def session(
        self,
        project: Project,
        database_url: str | None,
        *,
        purpose: Purpose = "rehearsal",
        env_url_names: Sequence[str] = ("DATABASE_URL",),
        lock_timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Session]:
        """Open a session on `project` in which every connection goes to `database_url`.

        `env_url_names`: the variables under which the project's code finds that URL.
        `lock_timeout`: seconds a statement waits for a lock where the project sets no limit.
        Without a database_url the project's files can be read, and nothing can be connected to.
        """
        project.check()
        if cancel is not None:
            cancel.check()
        with tempfile.TemporaryDirectory(prefix="replyx-home-", ignore_cleanup_errors=True) as home:
            job = _job(project, database_url, purpose, env_url_names, home)
            job["lock_timeout"] = lock_timeout
            session = self._begin(job, project, database_url, cancel)
            try:
                yield session
            finally:
                session.close()

    def close(self) -> None:
        """End the interpreter and every session of it."""
        atexit.unregister(self.close)
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.close()

    def _running(self) -> _Process:
        with self._lock:
            if self._process is None:
                self._process = _Process(self.python)
            return self._process

    def _replace(self, process: _Process) -> None:
        with self._lock:
            if self._process is process:
                self._process = None
        process.retire()

    def _begin(
        self, job: dict[str, Any], project: Project, url: str | None, cancel: Cancel | None
    ) -> Session:
        ours, theirs = socket.socketpair()
        output = Output()
        try:
            with theirs:
                descriptors = [theirs.fileno(), output.stdout_end, output.stderr_end]
                process, pid = self._fork(job, descriptors)
        except BaseException:
            ours.close()
            output.abandon()
            raise
        output.start()
        return Session(
            Lines(ours),
            output,
            pid,
            process.reap,
            root=Path(os.path.realpath(project.root)),
            time_limit=project.time_limit,
            secrets=(*project.secrets, *_passwords(url)),
            versions=process.versions,
            cancel=cancel,
        )

    def _fork(self, job: dict[str, Any], descriptors: list[int]) -> tuple[_Process, int]:
        """Fork in the running process, or in a new one when that is gone or out of date."""
        for _ in range(3):
            process = self._running()
            with suppress(OSError):
                pid = process.fork(job, descriptors)
                if pid is not None:
                    return process, pid
            self._replace(process)
        raise EnvironmentProblem(
            f"The worker's process ('{self.python}') ends as soon as it is started.",
            instead="Look at the machine: memory, limits on processes.",
        )


_workers: dict[str, Worker] = {}
_workers_lock = threading.Lock()


def worker_for(python: str | None) -> Worker:
    """Return the one worker of this interpreter, started when it is first needed."""
    found = _found(python)
    with _workers_lock:
        if found not in _workers:
            _workers[found] = Worker(found)
        return _workers[found]


def _found(python: str | None) -> str:
    if python is None:
        return sys.executable
    return python if os.sep in python else shutil.which(python) or python


def passed_on() -> dict[str, str]:
    """Return what the project's code sees of our own environment: nothing that is a secret."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith("LC_")
    }


def _job(
    project: Project, url: str | None, purpose: Purpose, names: Sequence[str], home: str
) -> dict[str, Any]:
    return {
        "root": str(project.root),
        "ini": project.ini,
        "purpose": purpose,
        "database_url": url,
        # numpy reserves memory for a thread of each core, which the memory limit would refuse.
        "environment": {
            **passed_on(),
            "OPENBLAS_NUM_THREADS": "1",
            **project.env,
            "HOME": home,
        },
        "url_schemes": {name: _scheme(project, name) for name in {"DATABASE_URL", *names}},
        "memory_limit_mb": project.memory_limit_mb,
    }


def _scheme(project: Project, name: str) -> str:
    """Return how the project spells this URL (postgresql+asyncpg, ...), and nothing else of it."""
    for given in (project.env.get(name), os.environ.get(name)):
        scheme, found, _ = (given or "").partition("://")
        if found and scheme.startswith("postgres"):
            return scheme
    return ""


def _passwords(url: str | None) -> tuple[str, ...]:
    return passwords_of(url) if url else ()
