"""Every folder in `cases` is a change of models; what is drafted for it must hold up.

`before.py` and `after.py` are the models; without `before.py` the project is empty. A folder
`revisions` takes the place of the first revision, which is otherwise made from `before.py`.
`expected.toml` says what is to come out:

* `revisions`: the ends of the files' names, in order; `phase` of all of them ("single");
* `hazards`: the rules above note that fire on them, up or down (none);
* `proved` (true), `remaining`: a regular expression for each sentence, in order (none);
* `only`, `destructive`: what draft_revision is asked;
* `refused`: the guardrail that refuses it without `destructive`, `suggests` what is said instead.
"""

from __future__ import annotations

import ast
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from replyx_db_agent.core.call import Call
from replyx_db_agent.core.cancel import Cancel
from replyx_db_agent.core.errors import Cancelled
from replyx_db_agent.core.report import DraftReport
from replyx_db_agent.core.rollback_plan import find_section
from replyx_db_agent.core.schema import Snapshot, diff
from replyx_db_agent.engines import catalog
from replyx_db_agent.engines.shadow import ShadowDatabase, ShadowServer
from replyx_db_agent.rules import DESTRUCTIVE
from replyx_db_agent.tools.draft_revision import draft_revision
from replyx_db_agent.tools.inspect_diff import inspect_diff
from replyx_db_agent.tools.run_stairway import run_stairway
from tests.projects import env, write_project

CASES = Path(__file__).parent / "cases"
FIRST = '''\
"""The models as they were."""

from alembic import op

from before import metadata

revision = "202501010000"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    for schema in {table.schema for table in metadata.tables.values()} - {None}:
        op.execute(f"CREATE SCHEMA {schema}")
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    metadata.drop_all(op.get_bind())
    for schema in {table.schema for table in metadata.tables.values()} - {None}:
        op.execute(f"DROP SCHEMA {schema}")
    op.execute("DROP EXTENSION vector")
'''
MODELS = "from models import metadata as target_metadata"
LOCKS_WAIT = """
CREATE FUNCTION public.no_endless_wait() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('lock_timeout') = '0' AND current_query() NOT LIKE '%alembic_version%' THEN
    RAISE EXCEPTION '% without a lock_timeout', tg_tag;
  END IF;
END $$;
CREATE EVENT TRIGGER no_endless_wait ON ddl_command_start EXECUTE FUNCTION no_endless_wait();
"""
MAY_IMPORT = {"alembic", "sqlalchemy", "pgvector"}


@dataclass(frozen=True)
class Case:
    """One folder."""

    name: str
    revisions: list[str]
    phase: str = "single"
    hazards: list[str] = field(default_factory=list)
    proved: bool = True
    remaining: list[str] = field(default_factory=list)
    only: list[str] = field(default_factory=list)
    destructive: bool = False
    refused: str = ""
    suggests: str = ""

    @property
    def folder(self) -> Path:
        return CASES / self.name

    @property
    def message(self) -> str:
        return self.name.replace("_", " ")


def read(folder: Path) -> Case:
    return Case(folder.name, **tomllib.loads((folder / "expected.toml").read_text("utf-8")))


EVERY = [read(folder) for folder in sorted(CASES.iterdir()) if folder.is_dir()]


def write(case: Case, root: Path) -> Path:
    """Write the project of a case: before.py behind its revisions, after.py as its models."""
    write_project(root, env_py=env(models=MODELS))
    shutil.copy(case.folder / "after.py", root / "models.py")
    if (case.folder / "before.py").exists():
        shutil.copy(case.folder / "before.py", root / "before.py")
    versions = root / "migrations/versions"
    if (case.folder / "revisions").is_dir():
        shutil.copytree(case.folder / "revisions", versions, dirs_exist_ok=True)
    elif (root / "before.py").exists():
        (versions / "202501010000_before.py").write_text(FIRST)
    return root


@pytest.fixture(params=EVERY, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def test_what_is_drafted_holds_up(case: Case, tmp_path: Path, server: ShadowServer) -> None:
    project = write(case, tmp_path)
    before = files_of(project)
    if case.refused:
        refused = draft_revision(Call(project), case.message, case.only)
        assert refused.refusal is not None
        assert refused.refusal.guardrail == case.refused
        assert case.suggests in refused.refusal.instead
        assert files_of(project) == before
    report = draft_revision(Call(project), case.message, case.only, destructive=case.destructive)
    said_what_it_should(case, report)
    well_written(case, report, project)
    asks_for_a_plan(case, report, project)
    if case.proved and report.revisions:
        comes_and_goes(case, project, server)
        leaves_nothing_to_do(case, report, project)


def said_what_it_should(case: Case, report: DraftReport) -> None:
    """The report holds exactly what the case expects."""
    assert len(report.remaining) == len(case.remaining), report.remaining
    for sentence, pattern in zip(report.remaining, case.remaining, strict=True):
        assert re.search(pattern, sentence), sentence
    assert (report.proved, report.remaining != ()) == (case.proved, case.remaining != [])
    found = {h.rule: h.message for h in report.hazards if h.risk != "note"}
    assert sorted(found) == sorted(case.hazards), found
    assert "missing-lock-timeout" not in {h.rule for h in report.hazards}
    assert {r.phase for r in report.revisions} <= {case.phase}


def well_written(case: Case, report: DraftReport, project: Path) -> None:
    """The files are named, formatted and importable as the policy has it."""
    slug = case.name[:40].strip("_")
    paths = [project / r.path for r in report.revisions]
    assert [p.name[:12] for p in paths] == [r.revision for r in report.revisions]
    assert [re.fullmatch(rf"\d{{12}}_{slug}(.*)\.py", p.name)[1] for p in paths] == case.revisions
    for path in paths:
        tree = ast.parse(path.read_text("utf-8"))
        compile(tree, path.name, "exec")
        assert {name.partition(".")[0] for name in imported(tree)} <= MAY_IMPORT
    if paths:
        options = ("format", "--diff", "--line-length", "100", "--isolated", "--no-cache")
        done = subprocess.run([ruff(), *options, *paths], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def asks_for_a_plan(case: Case, report: DraftReport, project: Path) -> None:
    """The revision that is destructive, and no other, has its section in the rollback plan."""
    plan = project / "docs/db/rollback_plan.md"
    text = plan.read_text("utf-8") if plan.exists() else ""
    lost = {h.file for h in report.hazards if h.rule in DESTRUCTIVE} if case.destructive else set()
    for revision in report.revisions:
        is_main = revision.path in lost and not revision.path.endswith("_enum.py")
        assert (find_section(text, revision.revision) is not None) == is_main


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def ruff() -> str:
    beside = Path(sys.executable).with_name("ruff")
    return str(beside) if beside.exists() else shutil.which("ruff") or pytest.skip("no ruff")


def comes_and_goes(case: Case, project: Path, server: ShadowServer) -> None:
    """Plain Alembic takes the draft up, down and up; its result is the models' schema."""
    start = "202501010000" if list(project.glob("migrations/versions/202501010000*")) else "base"
    with server.shadow() as database, server.shadow() as wanted:
        alembic(project, database, f"upgrade {start}" if start != "base" else "current")
        before = snapshot(server, database)
        with server.admin(database.name) as connection:
            connection.execute(LOCKS_WAIT)
        seen = []
        for command in ("upgrade head", f"downgrade {start}", "upgrade head"):
            alembic(project, database, command)
            seen.append(snapshot(server, database))
        assert changes(before, seen[1]) == []
        assert changes(seen[0], seen[2]) == []
        if case.destructive and "schema=" not in (case.folder / "after.py").read_text():
            alembic(project, database, "check")  # it does not see the copies that were kept
        if not case.only and not (case.folder / "revisions").exists():
            extension = ("extension", "vector") in seen[2].objects
            create_models(project, server, wanted, extension=extension)
            assert changes(seen[2], snapshot(server, wanted)) == []


def leaves_nothing_to_do(case: Case, report: DraftReport, project: Path) -> None:
    """The stairway is clean, and inspecting again finds what `remaining` names, nothing else."""
    for revision in report.revisions:
        done = run_stairway(Call(project), revision.revision)
        assert done.clean, done.revisions
    left = inspect_diff(Call(project)).changes
    assert len(left) == len(case.remaining), left
    for change, pattern in zip(left, case.remaining, strict=True):
        assert re.search(pattern, f"{change.object} {change.detail}")


# ---- the plain way -------------------------------------------------------------------------------


def alembic(project: Path, database: ShadowDatabase, command: str) -> None:
    _elsewhere(_alembic, project, database, command)


def create_models(
    project: Path, server: ShadowServer, database: ShadowDatabase, *, extension: bool
) -> None:
    with server.admin(database.name) as connection:
        if extension:
            connection.execute("CREATE EXTENSION vector")
    _elsewhere(_create, project, database)


def _elsewhere(work: Any, project: Path, database: ShadowDatabase, *arguments: str) -> None:
    """Run something in a process of its own, as a person's shell would."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["alembic.command", "sqlalchemy", "psycopg"])
    said = project / ".said"
    process = context.Process(target=work, args=(project, database.url, said, *arguments))
    process.start()
    process.join()
    assert process.exitcode == 0, said.read_text("utf-8")[-2000:]


def _alembic(project: Path, url: str, said: Path, command: str) -> None:
    _settle(project, url, said)
    from alembic.config import main

    main(argv=command.split(), prog="alembic")


def _create(project: Path, url: str, said: Path) -> None:
    _settle(project, url, said)
    sys.path.insert(0, str(project))
    import models
    import sqlalchemy as sa

    with sa.create_engine(os.environ["DATABASE_URL"]).begin() as connection:
        for schema in {table.schema for table in models.metadata.tables.values()} - {None}:
            connection.execute(sa.schema.CreateSchema(schema))
        models.metadata.create_all(connection)


def _settle(project: Path, url: str, said: Path) -> None:
    os.chdir(project)
    os.environ["DATABASE_URL"] = url.replace("postgresql://", "postgresql+psycopg://", 1)
    descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def snapshot(server: ShadowServer, database: ShadowDatabase) -> Snapshot:
    with server.admin(database.name) as connection:
        found = catalog.snapshot(lambda sql: [list(r) for r in connection.execute(sql).fetchall()])
    ours = ("event trigger", "function")
    return Snapshot({k: o for k, o in found.objects.items() if k[0] not in ours})


def changes(one: Snapshot, other: Snapshot) -> list[str]:
    return [change.detail for change in diff(one, other)]


def files_of(root: Path) -> dict[str, bytes | None]:
    """Return every file and folder of the project, but for caches and the tools' own state."""
    return {
        str(p.relative_to(root)): p.read_bytes() if p.is_file() else None
        for p in root.rglob("*")
        if not {"__pycache__", ".replyx-db-agent"} & set(p.parts)
    }


# ---- drafts that come to nothing -----------------------------------------------------------------


def named(name: str) -> Case:
    return next(case for case in EVERY if case.name == name)


@pytest.mark.parametrize("moment", ["Rendering", "Rehearsing"])
def test_a_draft_that_is_withdrawn_leaves_the_tree_as_it_was(tmp_path: Path, moment: str) -> None:
    project = write(named("column_dropped"), tmp_path)
    before, cancel = files_of(project), Cancel()

    def withdraw(message: str) -> None:
        if message.startswith(moment):
            cancel.set()

    with pytest.raises(Cancelled):
        draft_revision(Call(project, withdraw, cancel), "drop", destructive=True)
    assert files_of(project) == before
