"""What is wrong with a project or a call is said once, clearly, and breaks nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from replyx_db_agent.engines.shadow import ShadowServer
from replyx_db_agent.tools.registry import TOOLS
from tests.e2e.processes import COMMAND, data_of, environment, run, served
from tests.projects import Rev

pytestmark = pytest.mark.anyio
ENV = "migrations/env.py"
REVISION = "migrations/versions/a1.py"
DOWN = {"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/db"}


@dataclass(frozen=True)
class Case:
    """What is broken, which call meets it, and what it has to say (patterns, all of them)."""

    name: str
    breaks: Callable[[Path], object]
    says: tuple[str, ...]
    tool: str = "inspect_diff"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    code: int = 2

    def command_line(self) -> list[str]:
        words = [TOOLS[self.tool].command]
        for name, value in self.arguments.items():
            words += [value] if name == "revision" else [f"--{name}", value]
        return words


def prepend(path: str, text: str) -> Callable[[Path], object]:
    def change(project: Path) -> None:
        file = project / path
        file.write_text(text + file.read_text("utf-8"), "utf-8")

    return change


def put(path: str, text: str) -> Callable[[Path], object]:
    def change(project: Path) -> None:
        (project / path).write_text(text, "utf-8")

    return change


def link(path: str) -> Callable[[Path], object]:
    """Make a folder a link to one outside of the project."""

    def change(project: Path) -> None:
        outside = project.parent / "outside"
        outside.mkdir(exist_ok=True)
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).symlink_to(outside)

    return change


def clash(project: Path) -> None:
    """Take the names that the draft would take now and in the next minutes."""
    below = "a1"
    for number in range(4):
        at = datetime.now(UTC) + timedelta(minutes=number)
        one = Rev(f"x{number}", below)
        name = f"migrations/versions/{at:%Y%m%d%H%M}_add_nickname.py"
        (project / name).write_text(one.text, "utf-8")
        below = one.revision
    ini = project / "alembic.ini"
    ini.write_text(ini.read_text("utf-8") + "file_template = %%(rev)s_%%(slug)s\n", "utf-8")
    nickname(project)


def nickname(project: Path) -> None:
    """Give the models a column that the revisions do not have."""
    path = project / "models.py"
    path.write_text(path.read_text("utf-8") + "    nickname = Column(Text)\n", "utf-8")


def nothing(project: Path) -> None:
    """Nothing is wrong with the project."""


CASES = (
    Case("no-alembic-ini", lambda p: (p / "alembic.ini").unlink(), (r"alembic\.ini", "--project")),
    Case(
        "no-script-location",
        put("alembic.ini", "[alembic]\n"),
        ("no script_location", r"\[alembic\]"),
    ),
    Case(
        "script-location-missing",
        put("alembic.ini", "[alembic]\nscript_location = elsewhere\n"),
        ("elsewhere", r"alembic\.ini"),
    ),
    Case("ini-broken", put("alembic.ini", "script_location\n"), (r"alembic\.ini", "line")),
    Case(
        "env-raises",
        prepend(ENV, "import os\nraise RuntimeError('no luck today')\n"),
        (ENV, "line 2", "RuntimeError: no luck today", r"raise RuntimeError\('no luck today'\)"),
    ),
    Case(
        "env-exits", prepend(ENV, "import sys\nsys.exit(3)\n"), (ENV, "line 2", r"sys\.exit\(3\)")
    ),
    Case(
        "env-ends-the-process",
        prepend(ENV, "import os\nos._exit(3)\n"),
        ("ended with code 3", r"os\._exit"),
        code=4,
    ),
    Case(
        "revision-is-not-python",
        prepend(REVISION, "x = = 1\n"),
        (REVISION, "line 1", "x = = 1"),
        "check_revision",
    ),
    Case(
        "parent-missing",
        lambda p: put("migrations/versions/b2.py", Rev("b2", "gone").text)(p),
        ("gone",),
        "check_revision",
    ),
    Case(
        "two-heads",
        lambda p: put("migrations/versions/b2.py", Rev("b2", None).text)(p),
        ("2 heads", "a1", "b2"),
        "check_revision",
    ),
    Case(
        "models-do-not-import",
        prepend("models.py", "import not_there_at_all\n"),
        (r"models\.py", "ModuleNotFoundError", "not_there_at_all", r"python in \[worker\]"),
    ),
    Case(
        "toml-broken",
        put("replyx-db-agent.toml", "language =\n"),
        (r"replyx-db-agent\.toml", "line 1"),
    ),
    Case(
        "configuration-key-unknown",
        put("replyx-db-agent.toml", 'langage = "ru"\n'),
        (r"replyx-db-agent\.toml", "langage", "language"),
    ),
    Case(
        "revision-unknown",
        nothing,
        ('"nope"', "head: a1"),
        "check_revision",
        {"revision": "nope"},
    ),
    Case(
        "environment-unknown",
        nothing,
        ('"moon"', '"local", "staging"', r"\[environments\.moon\]"),
        "apply_revision",
        {"environment": "moon"},
    ),
    Case(
        "variable-not-set",
        nothing,
        ('"STAGING_DATABASE_URL"', "not set", "STAGING_DATABASE_URL=postgresql://"),
        "apply_revision",
        {"environment": "staging"},
        code=4,
    ),
    Case(
        "database-down-at-apply",
        nothing,
        (r"127\.0\.0\.1:1", "does not answer", "DATABASE_URL"),
        "apply_revision",
        {"environment": "local"},
        code=4,
    ),
    Case(
        "database-down-at-explain",
        nothing,
        (r"127\.0\.0\.1:1", "does not answer", "DATABASE_URL"),
        "explain_query",
        {"sql": "SELECT 1", "environment": "local"},
        code=4,
    ),
    Case("docs-lead-outside", link("docs/db"), ("docs/db", "link"), "write_docs", code=3),
    Case(
        "records-lead-outside",
        link("TASK"),
        ("TASK", "link"),
        "record_task",
        {"task": "A task"},
        code=3,
    ),
    Case(
        "message-without-latin-letters",
        nickname,
        ("Latin",),
        "draft_revision",
        {"message": "добавить колонку"},
    ),
    Case(
        "name-taken",
        clash,
        (r"_add_nickname\.py", "exists already"),
        "draft_revision",
        {"message": "add nickname"},
        code=4,
    ),
    Case(
        "rows-not-a-number-of-rows",
        nothing,
        ("rows", "0 to 100000"),
        "run_stairway",
        {"rows": "-1"},
    ),
)


@pytest.fixture
def broken(project: Path) -> Iterator[Callable[[Case], Path]]:
    """A maker of copies of the project, each with something wrong."""

    def make(case: Case) -> Path:
        copy = project.with_name(case.name)
        shutil.copytree(project, copy)
        case.breaks(copy)
        return copy

    return make


def files(project: Path) -> dict[str, bytes]:
    """Return every file of the project but the state folder's and compiled ones."""
    return {
        str(path.relative_to(project)): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file() and ".replyx-db-agent" not in path.parts and path.suffix != ".pyc"
    }


def outside(project: Path) -> list[Path]:
    folder = project.parent / "outside"
    return list(folder.iterdir()) if folder.exists() else []


QUICK = {"env-raises", "toml-broken", "variable-not-set", "docs-lead-outside", "no-alembic-ini"}


def slow_but(quick: set[str]) -> list[Any]:
    """Return the cases, of which the server's test below has all anyway."""
    marks = dict.fromkeys(quick, ())
    return [pytest.param(c, id=c.name, marks=marks.get(c.name, pytest.mark.slow)) for c in CASES]


@pytest.mark.parametrize("case", slow_but(QUICK))
def test_the_command_line_says_what_is_wrong(case: Case, broken: Callable[[Case], Path]) -> None:
    project = broken(case)
    before = files(project)
    done = run(project, *case.command_line(), "--json", env=DOWN)
    assert done.returncode == case.code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    found = data_of(done)
    told = found["refusal"] if case.code == 3 else found["error"]
    assert told["instead"]
    said = f"{told['problem']} {told['instead']}"
    for pattern in case.says:
        assert re.search(pattern, said), said
    assert files(project) == before
    assert outside(project) == []


async def test_the_server_says_it_too_and_lives_on(
    project: Path, broken: Callable[[Case], Path]
) -> None:
    sound = project.with_name("sound")
    shutil.copytree(project, sound)
    async with served(project, DOWN) as server:
        pid = server.pid
        for case in CASES:
            wrong = broken(case)
            shutil.rmtree(project)
            wrong.rename(project)
            before = files(project)
            given = {k: int(v) if k == "rows" else v for k, v in case.arguments.items()}
            said = await server.error(case.tool, **given)
            for pattern in case.says:
                assert re.search(pattern, said), f"{case.name}: {said}"
            assert files(project) == before
            assert outside(project) == []
            shutil.rmtree(project)
            shutil.copytree(sound, project)
        assert (await server.call("check_revision"))["verdict"] == "clean"
        assert server.pid == pid
        assert "Traceback" not in server.stderr


async def test_arguments_that_do_not_fit_are_named(project: Path) -> None:
    async with served(project) as server:
        assert "message" in await server.error("draft_revision")
        assert "rows" in await server.error("run_stairway", rows="many")
        assert "environment" in await server.error("apply_revision", environment=7)


async def test_what_a_project_prints_never_reaches_the_protocol(project: Path) -> None:
    noise = """\
import os
print('{"jsonrpc": "2.0"}')
os.write(1, b"raw")
os.system("echo shell")
"""
    prepend(ENV, noise)(project)
    prepend(REVISION, "print('from the revision')\n")(project)
    async with served(project) as server:
        for _ in range(2):
            assert (await server.call("check_revision"))["verdict"] == "clean"


def test_a_project_that_does_not_exist_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "check", "--project", "nowhere", "--json")
    assert done.returncode == 2
    assert "nowhere" in data_of(done)["error"]["problem"]
    file = tmp_path / "file"
    file.touch()
    assert run(tmp_path, "check", "--project", "file").returncode == 2


async def test_a_server_for_a_project_that_does_not_exist_says_so_at_the_call(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "later"
    folder.mkdir()
    async with served(folder) as server:
        folder.rmdir()
        assert "later" in await server.error("inspect_diff")


# Root passes by the rights of folders, unless it gives up that capability.
BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


@pytest.mark.skipif(bool(BOUND) and not shutil.which("setpriv"), reason="needs setpriv as root")
def test_a_project_that_may_not_be_written_is_named_and_nothing_is_left(
    project: Path, server: ShadowServer
) -> None:
    nickname(project)
    folders = (project / "migrations/versions", project / "migrations", project)
    before = files(project)
    for folder in folders:
        folder.chmod(0o555)
    try:
        for arguments in (("stairway",), ("docs",), ("draft", "-m", "add nickname")):
            done = subprocess.run(
                (*BOUND, *COMMAND, *arguments, "--json"),
                cwd=project,
                env={**environment(), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 4, done.stdout + done.stderr
            error = data_of(done)["error"]
            assert "Permission denied" in error["problem"], error
            assert "rights" in error["instead"], error
            assert files(project) == before
    finally:
        for folder in folders:
            folder.chmod(0o755)
