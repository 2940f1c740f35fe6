"""The host side: finding the project and reading its history."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import replyx_db_agent
from replyx_db_agent.core.errors import InvalidInput
from replyx_db_agent.engines.project import Project, RevisionInfo, Worker, worker_for
from replyx_db_agent.engines.shadow import ShadowServer
from tests.projects import Rev, table, write_project

PACKAGE = Path(replyx_db_agent.__file__).parent


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    running = Worker()
    yield running
    running.close()


def test_importing_the_host_side_loads_nothing_heavy() -> None:
    code = (
        "import sys, replyx_db_agent.engines.project\n"
        "print({'alembic', 'sqlalchemy', 'psycopg', 'mcp', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("path", sorted((PACKAGE / "worker").glob("*.py")), ids=lambda p: p.name)
def test_the_worker_is_written_in_the_python_of_old_projects(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_the_history_of_the_sample_project_is_read_without_env_py(worker: Worker) -> None:
    history = worker.history(Project(PACKAGE / "sample"))
    assert len(history.heads) == len(history.bases) == 1
    assert history.revisions[0].is_head
    assert history.versions == ("alembic/versions",)
    assert history.file_template == "%(rev)s_%(slug)s"


def test_revisions_come_newest_first_with_everything_their_files_say(
    worker: Worker, tmp_path: Path
) -> None:
    root = write_project(
        tmp_path,
        [
            table("a1", None, "one"),
            Rev("b2", "a1", doc="Left."),
            Rev("b3", "a1"),
            Rev("c4", ("b2", "b3")),
        ],
        env_py="raise RuntimeError('env.py must not run')",
    )
    history = worker.history(Project(root))
    assert history.revisions[0].revision == "c4"
    found = {one.revision: one for one in history.revisions}
    assert found["b2"] == RevisionInfo("b2", ("a1",), "migrations/versions/b2.py", "Left.", False)
    assert found["c4"].down_revisions == ("b2", "b3")
    assert (history.heads, history.bases) == (("c4",), ("a1",))
    assert history.script_location == "migrations"
    assert history.version_table == "alembic_version"


def test_a_project_without_revisions_has_an_empty_history(worker: Worker, tmp_path: Path) -> None:
    history = worker.history(Project(write_project(tmp_path)))
    assert (history.revisions, history.heads, history.bases) == ((), (), ())


def test_a_revision_with_a_syntax_error_is_named_with_its_line(
    worker: Worker, tmp_path: Path
) -> None:
    root = write_project(tmp_path, [Rev("a1", None, "x = = 1")])
    with pytest.raises(InvalidInput, match=r"'migrations/versions/a1.py' line 12.*: x = = 1"):
        worker.history(Project(root))


def test_a_revision_whose_import_fails_is_named(worker: Worker, tmp_path: Path) -> None:
    root = write_project(tmp_path, [Rev("a1", None)])
    path = root / "migrations/versions/a1.py"
    path.write_text("import not_there_at_all\n" + path.read_text())
    with pytest.raises(InvalidInput, match=r"'migrations/versions/a1.py' line 1.*Set python in"):
        worker.history(Project(root))


def test_a_parent_that_does_not_exist_is_said_in_alembics_words(
    worker: Worker, tmp_path: Path
) -> None:
    root = write_project(tmp_path, [Rev("b2", "gone")])
    with pytest.raises(InvalidInput, match="gone"):
        worker.history(Project(root))


def test_the_project_folder_must_exist(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere' does not exist"):
        worker.history(Project(tmp_path / "nowhere"))


def test_a_folder_without_alembic_ini_is_no_project(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no 'alembic\.ini' in.*alembic init"):
        worker.history(Project(tmp_path))


def test_an_ini_without_script_location_is_explained(worker: Worker, tmp_path: Path) -> None:
    root = write_project(tmp_path, ini="[alembic]\n")
    with pytest.raises(InvalidInput, match=r"no script_location.*Write `script_location"):
        worker.history(Project(root))


def test_a_script_location_that_does_not_exist_is_explained(worker: Worker, tmp_path: Path) -> None:
    root = write_project(tmp_path, ini="[alembic]\nscript_location = elsewhere\n")
    with pytest.raises(InvalidInput, match="elsewhere"):
        worker.history(Project(root))


def test_an_ini_that_cannot_be_read_is_explained(worker: Worker, tmp_path: Path) -> None:
    root = write_project(tmp_path, ini="nonsense\n")
    with pytest.raises(InvalidInput, match=r"'alembic\.ini' cannot be read"):
        worker.history(Project(root))


def test_a_project_configured_in_pyproject_needs_no_ini(worker: Worker, tmp_path: Path) -> None:
    text = '[tool.alembic]\nscript_location = "%(here)s/migrations"\n'
    root = write_project(tmp_path, [table("a1", None, "one")], files={"pyproject.toml": text})
    (root / "alembic.ini").unlink()
    assert worker.history(Project(root)).heads == ("a1",)


def test_an_ini_under_another_name_and_several_folders_of_revisions(
    worker: Worker, tmp_path: Path
) -> None:
    ini = (
        "[alembic]\nscript_location = migrations\nversion_locations = migrations/versions more\n"
        "version_table = versions_here\n"
    )
    root = write_project(
        tmp_path,
        [table("a1", None, "one")],
        ini=ini,
        files={"more/b2.py": Rev("b2", "a1").text},
    )
    (root / "alembic.ini").rename(root / "other.ini")
    history = worker.history(Project(root, ini="other.ini"))
    assert history.versions == ("migrations/versions", "more")
    assert history.revisions[0].path == "more/b2.py"
    assert history.version_table == "versions_here"


def test_one_worker_serves_an_interpreter() -> None:
    assert worker_for(None) is worker_for(sys.executable)


def test_four_hundred_revisions_are_read_in_well_under_a_second(
    worker: Worker, tmp_path: Path
) -> None:
    chain = [table(f"r{n}", f"r{n - 1}" if n else None, f"t{n}") for n in range(400)]
    project = Project(write_project(tmp_path, chain))
    worker.history(project)
    started = time.perf_counter()
    assert len(worker.history(project).revisions) == 400
    assert time.perf_counter() - started < 1


def test_the_sample_climbs_up_down_and_up_in_one_session(
    worker: Worker, server: ShadowServer
) -> None:
    project = Project(PACKAGE / "sample")
    history = worker.history(project)
    with server.shadow() as shadow, worker.session(project, shadow.url) as session:
        session.open()
        for revision in reversed(history.revisions):
            for direction in ("upgrade", "downgrade", "upgrade"):
                assert session.step(direction, revision.revision).error is None
        assert session.current() == history.heads
        assert session.autogenerate() == []
        session.finish()
