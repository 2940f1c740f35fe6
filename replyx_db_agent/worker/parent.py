"""The warm process: it has alembic, sqlalchemy and the drivers loaded, and forks for every job.

It never imports a file of a project, so nothing in it can be stale.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import struct
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

OPTIONAL = ("psycopg", "psycopg2", "asyncpg", "pg8000", "sqlalchemy.ext.asyncio", "sqlalchemy.orm")
WARM = (
    "alembic.command",
    "alembic.config",
    "alembic.script",
    "alembic.autogenerate",
    "sqlalchemy.dialects.postgresql",
    "asyncio",
    "logging.config",
)
HEADER = struct.Struct("!I")
PR_SET_PDEATHSIG = 1
GRACE = 0.2


def main(descriptor: int) -> None:
    """Load what every job needs, say hello, and serve until the host hangs up."""
    control = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hello = _load()
    _send(control, hello)
    if "versions" in hello:
        gc.collect()
        gc.freeze()
        Parent(control).serve()


def _load() -> dict[str, Any]:
    try:
        for name in WARM:
            importlib.import_module(name)
        importlib.import_module("replyx_db_agent.worker.job")
    except ImportError as error:
        return {"missing": error.name or "", "text": str(error)}
    for name in OPTIONAL:
        with suppress(ImportError):
            importlib.import_module(name)
    return {
        "versions": {
            "python": ".".join(str(part) for part in sys.version_info[:3]),
            "alembic": _version("alembic"),
            "sqlalchemy": _version("sqlalchemy"),
        }
    }


def _version(name: str) -> str:
    return str(getattr(sys.modules[name], "__version__", "unknown"))


def installed() -> list[tuple[str, int]]:
    """Return what changes when a package is installed into this interpreter or removed."""
    folders = []
    for path in sys.path:
        if path.endswith(("site-packages", "dist-packages")) and os.path.isdir(path):  # noqa: PTH112 - once a job
            folders.append((path, os.stat(path).st_mtime_ns))  # noqa: PERF401, PTH116 - as above
    return folders


class Parent:
    """Answers fork and reap requests, one at a time."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: set[int] = set()
        self._installed = installed()
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def serve(self) -> None:
        """Answer until the host's end of the socket closes, then take every job along."""
        while True:
            request, descriptors = self._receive()
            if request is None:
                break
            _send(self._control, self._answer(request, descriptors))
        for pid in self._children:
            _kill(pid)
        os._exit(0)

    def _receive(self) -> tuple[dict[str, Any] | None, list[int]]:
        header, descriptors, _, _ = socket.recv_fds(self._control, HEADER.size, 3)
        if len(header) < HEADER.size:
            return None, []
        left = HEADER.unpack(header)[0]
        parts = []
        while left:
            part = self._control.recv(left)
            if not part:
                return None, []
            parts.append(part)
            left -= len(part)
        return json.loads(b"".join(parts)), descriptors

    def _answer(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        if request["do"] == "reap":
            return {"status": self._reap(request["pid"])}
        try:
            if self._installed != installed():
                return {"stale": True}
            return {"pid": self._fork(request["job"], descriptors)}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _fork(self, job: dict[str, Any], descriptors: list[int]) -> int:
        me = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(job, descriptors, me)
        self._children.add(pid)
        with suppress(OSError):
            os.setpgid(pid, pid)
        return pid

    def _become(self, job: dict[str, Any], descriptors: list[int], parent: int) -> None:
        """Run the job in the forked process, which never returns from here."""
        try:
            self._die_with(parent)
            self._control.close()
            from replyx_db_agent.worker.job import run

            run(job, descriptors)
        except BaseException:  # noqa: BLE001 - a fork must never fall back into the parent's loop
            traceback.print_exc()
        finally:
            os._exit(70)

    def _die_with(self, parent: int) -> None:
        with suppress(OSError):
            os.setpgid(0, 0)
        if self._libc is not None:
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(70)

    def _reap(self, pid: int) -> int | None:
        """Wait for a job that is ending, kill what does not end, and return its wait status."""
        if pid not in self._children:
            return None
        self._children.discard(pid)
        limit = time.monotonic() + GRACE
        done, status = os.waitpid(pid, os.WNOHANG)
        while not done and time.monotonic() < limit:
            time.sleep(0.002)
            done, status = os.waitpid(pid, os.WNOHANG)
        _kill(pid)
        return status if done else os.waitpid(pid, 0)[1]


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):
        control.sendall(json.dumps(message).encode() + b"\n")
