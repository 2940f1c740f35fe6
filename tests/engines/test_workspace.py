"""The only writer of files: where it writes, whole or not at all, and through no link."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from replyx_db_agent.core.errors import EnvironmentProblem, GuardrailRefusal
from replyx_db_agent.engines.workspace import Workspace

ALLOWED = (
    "alembic/versions/1_x.py",
    "docs/db/schema.md",
    "docs/adr/1.md",
    ".replyx-db-agent/evidence/a.json",
    "scripts/hot_queries/q.sql",
    "TASK/records/task.data",
)
FORBIDDEN = (
    "models.py",
    "alembic/env.py",
    "alembic.ini",
    "docs/readme.md",
    "docs/db/../../models.py",
    "docs/dbx/a.md",
    "../outside.md",
    "/etc/passwd",
    "docs/db/../../../outside",
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "project"
    root.mkdir()
    return Workspace(root.resolve(), ("alembic/versions",), "TASK/records", ("canary-1",))


def listing(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


@pytest.mark.parametrize("path", ALLOWED)
def test_tools_write_where_they_may(workspace: Workspace, path: str) -> None:
    assert workspace.write(path, "привет\n")
    assert workspace.read(path) == "привет\n"
    assert not workspace.write(path, "привет\n"), "nothing to do"
    assert workspace.write(path, "new\n")
    assert (workspace.root / path).stat().st_mode & 0o777 == 0o644
    workspace.remove(path)
    assert workspace.read(path) is None


@pytest.mark.parametrize("path", FORBIDDEN)
def test_tools_write_nowhere_else(workspace: Workspace, path: str, tmp_path: Path) -> None:
    for write in (workspace.write, workspace.create):
        with pytest.raises(GuardrailRefusal) as caught:
            write(path, "x")
        assert caught.value.guardrail == "G7"
    with pytest.raises(GuardrailRefusal):
        workspace.remove(path)
    assert listing(tmp_path) == []


def test_no_link_leads_a_write_outside(workspace: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    victim = outside / "victim.md"
    victim.write_text("mine\n", "utf-8")
    (workspace.root / "docs").mkdir()
    (workspace.root / "docs/db").symlink_to(outside)
    (workspace.root / "scripts").mkdir()
    (workspace.root / "scripts/q.sql").symlink_to(victim)
    (workspace.root / "TASK").symlink_to("docs")
    (workspace.root / "alembic").mkdir()
    (workspace.root / "alembic/versions").symlink_to("/nowhere/at/all")
    for path in (
        "docs/db/new.md",
        "docs/db/victim.md",
        "scripts/q.sql",
        "TASK/records/task.data",
        "alembic/versions/1.py",
    ):
        for change in (lambda p=path: workspace.write(p, "x"), lambda p=path: workspace.remove(p)):
            with pytest.raises(GuardrailRefusal, match="link") as caught:
                change()
            assert caught.value.guardrail == "G7"
    assert listing(outside) == ["victim.md"]
    assert victim.read_text("utf-8") == "mine\n"


def test_reading_through_a_link_is_refused_too(workspace: Workspace) -> None:
    (workspace.root / "docs").symlink_to("/etc")
    with pytest.raises(GuardrailRefusal):
        workspace.read("docs/passwd")


def test_a_name_that_is_taken_is_left_alone(workspace: Workspace) -> None:
    assert workspace.create("docs/db/a.md", "first")
    assert not workspace.create("docs/db/a.md", "second")
    assert workspace.read("docs/db/a.md") == "first"
    assert listing(workspace.root) == ["docs/db/a.md"]


def test_of_many_that_create_one_name_at_once_one_wins_whole(workspace: Workspace) -> None:
    outcomes: list[tuple[bool, str]] = []
    texts = [str(number) * 100_000 for number in range(8)]

    def create(text: str) -> None:
        outcomes.append((workspace.create("docs/db/a.md", text), text))

    threads = [threading.Thread(target=create, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [text for won, text in outcomes if won]
    assert [workspace.read("docs/db/a.md")] == winners
    assert listing(workspace.root) == ["docs/db/a.md"]


def test_the_mode_of_a_file_that_is_replaced_stays(workspace: Workspace) -> None:
    workspace.write("scripts/run.sh", "one")
    (workspace.root / "scripts/run.sh").chmod(0o755)
    workspace.write("scripts/run.sh", "two")
    assert (workspace.root / "scripts/run.sh").stat().st_mode & 0o777 == 0o755


def test_the_state_folder_is_private_and_ignored_by_git(workspace: Workspace) -> None:
    workspace.write(".replyx-db-agent/evidence/a.json", "{}")
    state = workspace.root / ".replyx-db-agent"
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / ".gitignore").read_text("utf-8") == "*\n"


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from replyx_db_agent.core.errors import EnvironmentProblem
from replyx_db_agent.engines.workspace import Workspace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    Workspace(Path(sys.argv[1]), (), "TASK").write("docs/db/a.md", "new " * 50_000)
except EnvironmentProblem as error:
    print(error)
"""


def test_a_disk_that_is_full_leaves_the_old_file_whole(workspace: Workspace) -> None:
    assert resource.RLIMIT_FSIZE
    workspace.write("docs/db/a.md", "old")
    command = (sys.executable, "-c", FULL_DISK, str(workspace.root))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert '"docs/db/a.md" cannot be written: File too large' in done.stdout
    assert workspace.read("docs/db/a.md") == "old"
    assert listing(workspace.root) == ["docs/db/a.md"]


def test_a_folder_in_the_place_of_a_file_is_an_error_that_names_it(workspace: Workspace) -> None:
    (workspace.root / "docs/db/a.md").mkdir(parents=True)
    with pytest.raises(EnvironmentProblem, match=r'"docs/db/a\.md" cannot be written'):
        workspace.write("docs/db/a.md", "x")
    (workspace.root / "scripts").write_text("a file", "utf-8")
    with pytest.raises(EnvironmentProblem, match=r'"scripts/q\.sql" cannot be written'):
        workspace.create("scripts/q.sql", "x")
    assert listing(workspace.root) == ["scripts"]


def test_a_file_that_is_not_text_is_named_when_read(workspace: Workspace) -> None:
    (workspace.root / "a.md").write_bytes(b"\xff\xfe")
    with pytest.raises(EnvironmentProblem, match=r'"a\.md" cannot be read'):
        workspace.read("a.md")


def test_hashes_are_of_files_that_are_there(workspace: Workspace) -> None:
    workspace.write("docs/db/a.md", "x")
    found = workspace.hashes(["docs/db/a.md", "docs/db/gone.md", "docs"])
    assert list(found) == ["docs/db/a.md"]
    assert len(found["docs/db/a.md"]) == 64


def test_a_password_does_not_get_into_a_record(workspace: Workspace) -> None:
    text = "postgresql://a:hidden@h/d and canary-1"
    workspace.write("TASK/records/1.data", text)
    workspace.create("TASK/records/2.data", text)
    for number in (1, 2):
        stored = workspace.read(f"TASK/records/{number}.data")
        assert stored == "postgresql://a:***@h/d and ***"
    workspace.write("alembic/versions/1_x.py", text)
    assert workspace.read("alembic/versions/1_x.py") == text, "a revision is never altered"


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a file of another user")
def test_a_temporary_file_is_never_left(workspace: Workspace) -> None:
    workspace.write("docs/db/a.md", "x")
    (workspace.root / "docs/db").chmod(0o700)
    workspace.write("docs/db/a.md", "y")
    assert [p.name for p in (workspace.root / "docs/db").iterdir()] == ["a.md"]
