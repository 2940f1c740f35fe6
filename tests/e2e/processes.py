"""Starts the command line and the server as processes, and looks at processes from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult

COMMAND = (sys.executable, "-m", "replyx_db_agent")
LATIN = {"LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "default"}
Environment = Mapping[str, str]


def environment(given: Environment | None = None) -> dict[str, str]:
    """Return the environment of a process under test: no URL but those given."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("DATABASE_URL") and not name.startswith(("PG", "PYTEST"))
    }
    return {**kept, **LATIN, **(given or {})}


def run(
    project: Path, *arguments: str, env: Environment | None = None, seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run one command of the command line in the project's folder to its end."""
    return subprocess.run(
        (*COMMAND, *arguments),
        cwd=project,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def data_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return what a `--json` run printed: nothing but one JSON object."""
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def error_of(project: Path, *arguments: str, env: Environment | None = None, code: int = 2) -> str:
    """Run a command that has to end with one readable error; return its problem and remedy."""
    done = run(project, *arguments, "--json", env=env)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    found = data_of(done)
    assert list(found) == ["error"]
    assert found["error"]["problem"]
    assert found["error"]["instead"]
    return f"{found['error']['problem']} {found['error']['instead']}"


def start(
    project: Path, *arguments: str, env: Environment | None = None, **settings: Any
) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, as a shell would."""
    return subprocess.Popen(
        (*COMMAND, *arguments),
        cwd=project,
        env=environment(env),
        stdin=settings.pop("stdin", subprocess.DEVNULL),
        stdout=settings.pop("stdout", subprocess.PIPE),
        stderr=settings.pop("stderr", subprocess.PIPE),
        text=True,
        start_new_session=True,
        **settings,
    )


# ---- the server --------------------------------------------------------------------------------


class Served:
    """A server over stdio, the client that talks to it, and what it wrote to stderr."""

    def __init__(self, client: Client, log: Path, pid: int) -> None:
        self.client = client
        self.pid = pid
        self._log = log

    @property
    def stderr(self) -> str:
        """What the server wrote to its stderr so far."""
        return self._log.read_text("utf-8")

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool that works; return its data."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, text_of(result)
        assert isinstance(result.structured_content, dict)
        return result.structured_content

    async def error(self, tool: str, **arguments: object) -> str:
        """Call a tool that cannot do its work; return the error's text."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, text_of(result)
        assert "Traceback" not in text_of(result)
        return text_of(result)


def text_of(result: CallToolResult) -> str:
    """Return the text a model reads."""
    return "\n".join(getattr(one, "text", "") for one in result.content)


@asynccontextmanager
async def served(
    project: Path, env: Environment | None = None, **settings: Any
) -> AsyncIterator[Served]:
    """Serve a project over stdio to the SDK's client for the length of a `with` block."""
    log = project.parent / f"{project.name}-server-{time.monotonic_ns()}.log"
    before = children(os.getpid())
    parameters = StdioServerParameters(
        command=COMMAND[0],
        args=[*COMMAND[1:], "serve", "--project", str(project)],
        env=environment(env),
        cwd=project,
    )
    with log.open("w", encoding="utf-8") as errlog:
        transport = stdio_client(parameters, errlog=errlog)
        async with Client(transport, **settings) as client:
            new = children(os.getpid()) - before
            yield Served(client, log, next(pid for pid in new if "serve" in command_line(pid)))


# ---- processes from outside --------------------------------------------------------------------


def command_line(pid: int) -> list[str]:
    """Return the words of a process's command line; empty when it is gone (or a zombie)."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return []
    return text.split("\0")


def children(pid: int) -> set[int]:
    """Return the living children of a process."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            state, parent = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.add(int(folder.name))
    return found


def is_alive(pid: int) -> bool:
    """Say whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def warm_worker(pid: int) -> int | None:
    """Return the worker's warm process of a server or command, if it has one."""
    found = [p for p in children(pid) if "worker.parent" in " ".join(command_line(p))]
    return found[0] if found else None


def jobs(pid: int) -> set[int]:
    """Return the processes in which the project's code runs for a server or command."""
    worker = warm_worker(pid)
    return children(worker) if worker else set()


def postmaster(home: Path) -> int | None:
    """Return the embedded server of this home, looked for without any of our own code."""
    data = f"{home.resolve()}/pg18/data"
    for folder in Path("/proc").glob("[0-9]*"):
        words = command_line(int(folder.name))
        if words and words[0].endswith("/postgres") and data in words:
            return int(folder.name)
    return None


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


async def soon(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for a condition, with a deadline, while the event loop goes on."""
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.02)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Give a process and make sure that it is gone afterwards."""
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
