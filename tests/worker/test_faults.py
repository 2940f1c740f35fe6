"""Foreign code misbehaves: one clear error each, and the next call works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from replyx_db_agent.core.cancel import Cancel
from replyx_db_agent.core.errors import Cancelled, DbAgentError, EnvironmentProblem, InvalidInput
from replyx_db_agent.engines.project import Project, Worker
from replyx_db_agent.engines.shadow import ShadowDatabase, ShadowServer
from tests.projects import Rev, env, table, write_project


def opening(worker: Worker, shadow: ShadowDatabase, root: Path, text: str, **limits: float) -> str:
    """Open a project with this env.py, and return the error's text; then prove that all is well."""
    write_project(root, env_py=text)
    project = Project(root, **limits)  # type: ignore[arg-type]
    with worker.session(project, shadow.url) as session, pytest.raises(DbAgentError) as caught:
        session.open()
    write_project(root, [table("a1", None, "one")])
    with worker.session(Project(root), shadow.url) as session:
        session.open()
        assert session.step("upgrade", "a1").error is None
    return f"{type(caught.value).__name__}: {caught.value}"


def test_env_py_that_raises_is_quoted_with_file_and_line(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    said = opening(worker, shadow, tmp_path, "x = 1\nraise RuntimeError('no settings')\n")
    assert said.startswith(
        "InvalidInput: 'migrations/env.py' line 2 raised RuntimeError: no settings. "
        "The line is: raise RuntimeError('no settings')"
    )


def test_a_missing_variable_is_named_with_where_to_give_it(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    said = opening(worker, shadow, tmp_path, "import os\nos.environ['SECRET_KEY']\n")
    assert "line 2 needs the environment variable 'SECRET_KEY', which is not set" in said
    assert "env of [worker]" in said


def test_env_py_that_calls_sys_exit(worker: Worker, shadow: ShadowDatabase, tmp_path: Path) -> None:
    said = opening(worker, shadow, tmp_path, "import sys\nsys.exit(3)\n")
    assert "'migrations/env.py' line 2 called sys.exit(3)." in said


def test_env_py_that_calls_os_exit(worker: Worker, shadow: ShadowDatabase, tmp_path: Path) -> None:
    said = opening(worker, shadow, tmp_path, "import os\nos._exit(3)\n")
    assert "The project's process ended with code 3" in said
    assert "(running env.py)" in said


def test_env_py_that_kills_itself(worker: Worker, shadow: ShadowDatabase, tmp_path: Path) -> None:
    said = opening(worker, shadow, tmp_path, "import os\nos.kill(os.getpid(), 9)\n")
    assert "was ended by signal 9 (SIGKILL)" in said


def test_a_module_that_is_not_installed_is_named_with_the_remedy(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    said = opening(worker, shadow, tmp_path, "import not_installed_here\n")
    assert "'migrations/env.py' line 1" in said
    assert "No module named 'not_installed_here'" in said
    assert "Set python in [worker]" in said


def test_a_module_of_the_project_that_is_not_on_the_path_is_explained(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    ini = "[alembic]\nscript_location = migrations\n"
    write_project(tmp_path, env_py="import app\n", ini=ini, files={"app/__init__.py": ""})
    with (
        worker.session(Project(tmp_path), shadow.url) as session,
        pytest.raises(InvalidInput, match=r"prepend_sys_path = \."),
    ):
        session.open()


def test_env_py_with_a_syntax_error_is_quoted(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    said = opening(worker, shadow, tmp_path, "x = 1\ndef f(:\n    pass\n")
    assert "'migrations/env.py' line 2 is not valid Python" in said
    assert "def f(:" in said


def test_env_py_that_never_runs_migrations(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    said = opening(worker, shadow, tmp_path, "x = 1\n")
    assert "'migrations/env.py' ended without calling context.run_migrations()" in said


def test_an_endless_loop_is_ended_at_the_time_limit_and_located(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    started = time.monotonic()
    said = opening(worker, shadow, tmp_path, "x = 1\nwhile True:\n    x = 2\n", time_limit=0.5)
    assert "did not answer within 0.5 s (running env.py)" in said
    assert "env.py" in said.partition("It was at:")[2]
    assert time.monotonic() - started < 5


def test_a_memory_limit_is_kept(worker: Worker, shadow: ShadowDatabase, tmp_path: Path) -> None:
    text = "x = bytearray(3 * 1024**3)\n"
    said = opening(worker, shadow, tmp_path, text, memory_limit_mb=1000)
    assert said.startswith("EnvironmentProblem")
    assert "'migrations/env.py' line 1 ran out of memory: the limit is 1000 MB" in said


def test_two_hundred_megabytes_of_output_are_not_kept(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    loud = (
        "import sys\nprint('first')\nfor _ in range(200):\n    sys.stdout.write('x' * 1_000_000)\n"
    )
    write_project(tmp_path, env_py=loud + "print('\\nlast')\n" + env())
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        loaded = session.finish()
    assert (loaded.stdout[0], loaded.stdout[-1]) == ("first", "last")
    assert sum(len(line) for line in loaded.stdout) < 70_000
    assert any("bytes left out" in line for line in loaded.stdout)


def test_what_env_py_prints_never_reaches_our_own_stdout(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = """
import os, sys
print('a')
os.write(1, b'b\\n')
os.system('echo c')
print('d', file=sys.stderr)
"""
    write_project(tmp_path, env_py=noise + env())
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        loaded = session.finish()
    assert sorted(loaded.stdout) == ["a", "b", "c"]
    assert "d" in loaded.stderr
    assert capfd.readouterr() == ("", "")


def test_reading_stdin_meets_its_end(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    said = opening(worker, shadow, tmp_path, "input('password: ')\n")
    assert "raised EOFError" in said


def test_a_database_that_is_down_is_said_without_the_password(
    worker: Worker, tmp_path: Path
) -> None:
    write_project(tmp_path)
    url = "postgresql+psycopg://me:hunter22@127.0.0.1:1/app"
    with (
        worker.session(Project(tmp_path), url) as session,
        pytest.raises(EnvironmentProblem, match="could not connect to the database") as caught,
    ):
        session.open()
    assert "hunter22" not in str(caught.value)


def test_a_password_is_not_shown_even_when_the_project_shows_it(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    text = "import os\nurl = os.environ['DATABASE_URL']\nprint(url)\nraise ValueError(url)\n"
    write_project(tmp_path, env_py=text)
    with worker.session(Project(tmp_path), shadow.url) as session:
        with pytest.raises(InvalidInput, match=r"\*\*\*") as caught:
            session.open()
        printed = "\n".join(session.notes()[0])
    assert shadow.password not in str(caught.value) + printed


def test_an_env_py_that_swallows_the_error_of_a_step_still_gives_a_failed_step(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    swallow = """        try:
            context.run_migrations()
        except Exception:
            pass"""
    text = env().replace("        context.run_migrations()", swallow)
    write_project(tmp_path, [Rev("a1", None, 'op.execute("nonsense")')], env_py=text)
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        error = session.step("upgrade", "a1").error
    assert error is not None
    assert error.type == "SyntaxError"
    assert error.sqlstate == "42601"


def test_commands_in_the_wrong_order_say_what_to_do(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path)
    with worker.session(Project(tmp_path), shadow.url) as session:
        with pytest.raises(InvalidInput, match=r"Call open\(\) first"):
            session.query("SELECT 1")
        session.open()
        with pytest.raises(InvalidInput, match=r"Call finish\(\) first"):
            session.create_models()
        session.finish()
    with pytest.raises(InvalidInput, match="session is over"):
        session.current()


def test_cancelling_ends_the_process_and_what_it_started(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    marker = tmp_path / "pids"
    text = f"""
        import os, subprocess, time
        child = subprocess.Popen(["sleep", "600"])
        with open({str(marker)!r} + ".part", "w") as file:
            file.write(f"{{os.getpid()}} {{child.pid}}")
        os.rename({str(marker)!r} + ".part", {str(marker)!r})
        time.sleep(600)
    """
    write_project(tmp_path, env_py=text)
    cancel = Cancel()

    def when_it_runs() -> None:
        while not marker.exists():
            time.sleep(0.005)
        cancel.set()

    watcher = threading.Thread(target=when_it_runs)
    watcher.start()
    with (
        pytest.raises(Cancelled),
        worker.session(Project(tmp_path), shadow.url, cancel=cancel) as session,
    ):
        session.open()
    watcher.join()
    assert all(is_gone(int(pid)) for pid in marker.read_text().split())


def is_gone(pid: int) -> bool:
    """Wait up to a second for a process to be gone, or a zombie that nobody needs to see."""
    until = time.monotonic() + 1
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.005)
    return False


def test_a_call_withdrawn_before_it_began_starts_nothing(worker: Worker, tmp_path: Path) -> None:
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        worker.history(Project(write_project(tmp_path)), cancel=cancel)


def test_a_worker_that_was_killed_is_replaced(tmp_path: Path) -> None:
    project = Project(write_project(tmp_path, [table("a1", None, "one")]))
    running = Worker()
    assert running.history(project).heads == ("a1",)
    assert running._process is not None
    os.kill(running._process._popen.pid, signal.SIGKILL)
    assert running.history(project).heads == ("a1",)
    running.close()


def test_the_worker_and_its_jobs_die_with_the_process_that_owns_them(
    shadow: ShadowDatabase, tmp_path: Path
) -> None:
    marker = tmp_path / "pids"
    text = f"""
        import os, time
        with open({str(marker)!r}, "w") as file:
            file.write(f"{{os.getpid()}} {{os.getppid()}}")
        print("ready")
        time.sleep(600)
    """
    write_project(tmp_path, env_py=text)
    owner = f"""
import os, sys, threading, time
from pathlib import Path
from replyx_db_agent.engines.project import Project, Worker
def end():
    while not (Path({str(marker)!r}).exists() and " " in Path({str(marker)!r}).read_text()):
        time.sleep(0.005)
    os.kill(os.getpid(), 9)
threading.Thread(target=end).start()
with Worker().session(Project(Path({str(tmp_path)!r})), {shadow.url!r}) as session:
    session.open()
"""
    done = subprocess.run([sys.executable, "-c", owner], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert all(is_gone(int(pid)) for pid in marker.read_text().split())


def test_an_interpreter_that_does_not_exist(tmp_path: Path) -> None:
    project = Project(write_project(tmp_path), python=".venv/bin/python")
    assert project.python == str(tmp_path / ".venv/bin/python")
    with pytest.raises(InvalidInput, match=r"cannot be started: No such file.*Set python in"):
        Worker(project.python).history(project)


def test_an_interpreter_without_alembic(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    project = Project(write_project(tmp_path), python="bare/bin/python")
    with pytest.raises(InvalidInput, match=r"has no 'alembic'.*alembic>=1\.8"):
        Worker(project.python).history(project)


def test_a_program_that_is_no_python(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="did not start the worker"):
        Worker("/bin/false").history(Project(write_project(tmp_path)))


def test_two_threads_work_at_the_same_time(
    worker: Worker, server: ShadowServer, tmp_path: Path
) -> None:
    """Each waits inside its own session until the other has come there too."""
    both = threading.Barrier(2, timeout=20)
    found: list[object] = []

    def climb(name: str) -> None:
        root = write_project(tmp_path / name, [table("a1", None, name)])
        with server.shadow() as own, worker.session(Project(root), own.url) as session:
            session.open()
            both.wait()
            found.append(session.query("SELECT %s::text", [name]))
            both.wait()

    threads = [threading.Thread(target=climb, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)) == ["[['one']]", "[['two']]"]


def test_a_program_left_in_the_background_does_not_hold_the_session_up(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    text = "import os\nos.system('sleep 600 & echo $! > pid')\n"
    write_project(tmp_path, env_py=text + env())
    with worker.session(Project(tmp_path), shadow.url) as session:
        session.open()
        session.finish()
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_a_project_whose_env_py_cannot_be_found(
    worker: Worker, shadow: ShadowDatabase, tmp_path: Path
) -> None:
    write_project(tmp_path)
    (tmp_path / "migrations/env.py").unlink()
    with (
        worker.session(Project(tmp_path), shadow.url) as session,
        pytest.raises(InvalidInput, match=r"env\.py"),
    ):
        session.open()
