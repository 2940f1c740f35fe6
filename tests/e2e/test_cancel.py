"""Calls that are withdrawn, processes that are killed: nothing is left, and life goes on."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import anyio
import pytest

from tests.e2e.processes import (
    children,
    ended,
    is_alive,
    jobs,
    postmaster,
    run,
    served,
    soon,
    start,
    wait_until,
    warm_worker,
)
from tests.projects import Rev

pytestmark = pytest.mark.anyio


@pytest.fixture
def endless(project: Path) -> Path:
    """The project with a head whose upgrade does not end, and tells that it has begun."""
    text = """\
import time
from pathlib import Path
revision = "b2"
down_revision = "a1"


def upgrade():
    Path(__file__).with_name("begun").touch()
    while True:
        time.sleep(0.1)


def downgrade():
    pass
"""
    (project / "migrations/versions/b2.py").write_text(text, "utf-8")
    return project


BEGUN = """\
def upgrade():
    from pathlib import Path
    Path(__file__).with_name("begun").touch()
"""


def begun(project: Path) -> bool:
    return (project / "migrations/versions/begun").exists()


def again(project: Path) -> None:
    (project / "migrations/versions/begun").unlink()


@pytest.mark.parametrize("mode", [pytest.param("legacy", marks=pytest.mark.slow), "auto"])
async def test_a_long_call_reports_progress_and_ends_when_it_is_withdrawn(
    endless: Path, mode: str
) -> None:
    heard: list[tuple[float, str]] = []

    async def progress(number: float, total: float | None, message: str | None) -> None:
        heard.append((number, message or ""))

    async with served(endless, mode=mode) as server, anyio.create_task_group() as tasks:

        async def call() -> None:
            await server.client.call_tool("check_revision", progress_callback=progress)

        tasks.start_soon(call)
        await soon(lambda: begun(endless))
        running = jobs(server.pid)
        assert len(running) == 1
        still_at_it = len(heard) + 2
        await soon(lambda: len(heard) >= still_at_it)
        assert [number for number, _ in heard] == sorted({number for number, _ in heard})
        assert any("b2" in message for _, message in heard)
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await soon(lambda: not any(map(is_alive, running)), seconds=2)
            (endless / "migrations/versions/b2.py").unlink()
            assert (await server.call("check_revision"))["verdict"] == "clean"


async def test_a_killed_job_is_one_clear_error_and_the_next_call_works(endless: Path) -> None:
    errors: list[str] = []
    async with served(endless) as server:

        async def call() -> None:
            errors.append(await server.error("check_revision"))

        for victim in ("job", "worker"):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await soon(lambda: begun(endless))
                job = jobs(server.pid).pop()
                worker = warm_worker(server.pid)
                assert worker
                os.kill(job if victim == "job" else worker, signal.SIGKILL)
            assert not is_alive(job)
            again(endless)
        assert len(errors) == 2
        assert "signal 9" in errors[0]
        assert all("process" in error for error in errors)
        (endless / "migrations/versions/b2.py").unlink()
        assert (await server.call("check_revision"))["verdict"] == "clean"


@pytest.mark.slow
async def test_a_killed_postgres_under_a_living_server_is_started_again(
    project: Path, home: Path
) -> None:
    async with served(project, {"REPLYX_DB_AGENT_HOME": str(home)}) as server:
        assert (await server.call("check_revision"))["verdict"] == "clean"
        pid = postmaster(home)
        assert pid
        os.kill(pid, signal.SIGKILL)
        await soon(lambda: postmaster(home) is None)
        assert (await server.call("check_revision"))["verdict"] == "clean"
    wait_until(lambda: postmaster(home) is None)


def test_ctrl_c_in_a_stairway_ends_everything_with_one_line(endless: Path, home: Path) -> None:
    env = {"REPLYX_DB_AGENT_HOME": str(home)}
    with ended(start(endless, "stairway", env=env)) as process:
        wait_until(lambda: begun(endless))
        family = {process.pid, *children(process.pid), *jobs(process.pid)}
        assert len(family) == 3
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=3)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("Interrupted")
    assert not any(map(is_alive, family))
    assert postmaster(home) is None


@pytest.mark.slow
def test_a_command_that_is_terminated_leaves_nothing(endless: Path, home: Path) -> None:
    env = {"REPLYX_DB_AGENT_HOME": str(home)}
    with ended(start(endless, "stairway", env=env)) as process:
        wait_until(lambda: begun(endless))
        family = {process.pid, *children(process.pid), *jobs(process.pid)}
        process.terminate()
        _, err = process.communicate(timeout=3)
    assert process.returncode == 143
    assert "Traceback" not in err
    assert not any(map(is_alive, family))
    assert postmaster(home) is None


INITIALIZE = (
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
    '"capabilities":{},"clientInfo":{"name":"test","version":"1"}}}\n'
    '{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
)
CALL = (
    '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"check_revision",'
    '"arguments":{}}}\n'
)


def serving(project: Path, home: Path) -> subprocess.Popen[str]:
    """Start a server that is in the middle of an endless call."""
    env = {"REPLYX_DB_AGENT_HOME": str(home)}
    process = start(project, "serve", env=env, stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(INITIALIZE + CALL)
    process.stdin.flush()
    return process


@pytest.mark.parametrize(
    "how",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
        None,
    ],
)
def test_a_server_that_is_ended_in_a_call_leaves_nothing(
    endless: Path, home: Path, how: signal.Signals | None
) -> None:
    with ended(serving(endless, home)) as process:
        wait_until(lambda: begun(endless))
        family = {process.pid, *children(process.pid), *jobs(process.pid)}
        assert len(family) == 3
        assert process.stdin
        if how is None:
            process.stdin.close()
        else:
            process.send_signal(how)
        process.wait(timeout=3)
        assert process.stderr
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 0
    wait_until(lambda: not any(map(is_alive, family)), seconds=2)
    assert postmaster(home) is None


@pytest.mark.slow
def test_a_killed_server_leaves_no_worker_and_the_next_start_sweeps_postgres(
    endless: Path, home: Path
) -> None:
    with ended(serving(endless, home)) as process:
        wait_until(lambda: begun(endless))
        family = {process.pid, *children(process.pid), *jobs(process.pid)}
        process.kill()
        wait_until(lambda: not any(map(is_alive, family)), seconds=2)
    orphan = postmaster(home)
    assert orphan
    (endless / "migrations/versions/b2.py").unlink()
    done = run(endless, "check", env={"REPLYX_DB_AGENT_HOME": str(home)})
    assert done.returncode == 0, done.stderr
    assert not is_alive(orphan)
    assert postmaster(home) is None


@pytest.mark.slow
async def test_a_postgres_that_is_killed_in_a_call_is_one_clear_error(
    project: Path, home: Path
) -> None:
    waits = Rev("b2", "a1", "op.execute('SELECT pg_sleep(60)')")
    path = project / "migrations/versions/b2.py"
    path.write_text(waits.text.replace("def upgrade():", BEGUN), "utf-8")
    errors: list[str] = []
    async with served(project, {"REPLYX_DB_AGENT_HOME": str(home)}) as server:

        async def call() -> None:
            errors.append(await server.error("check_revision"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await soon(lambda: begun(project))
            pid = postmaster(home)
            assert pid
            os.kill(pid, signal.SIGKILL)
        assert "PostgreSQL" in errors[0] or "connection" in errors[0]
        assert "defect" not in errors[0]
        path.unlink()
        assert (await server.call("check_revision"))["verdict"] == "clean"
