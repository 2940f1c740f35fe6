"""A password given to a process, or met by it, appears in nothing that it says or writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from replyx_db_agent.engines.shadow import ShadowServer
from tests.e2e.conftest import tables
from tests.e2e.processes import run, served, text_of
from tests.projects import Rev

pytestmark = pytest.mark.anyio
CANARY = "kanareika-Zq7"
IN_FILES = "stieglitz-Wx9"
SECOND = "zeisig-Bv4"

NOISE = f"""\
import os, sys
print("dsn", os.environ["DATABASE_URL"])
print("postgresql://app:{IN_FILES}@db.example/app", file=sys.stderr)
print('password="{IN_FILES}" PGPASSWORD={IN_FILES} {{"password": "{IN_FILES}"}}')
print("host=db user=app password={IN_FILES} dbname=app")
print("{SECOND}")
"""


def url(password: str, port: int = 1) -> str:
    return f"postgresql://app:{password}@127.0.0.1:{port}/app"


@pytest.fixture
def chatty(project: Path) -> Path:
    """The project, whose code prints and carries passwords wherever it can."""
    env = project / "migrations/env.py"
    env.write_text(NOISE + env.read_text("utf-8"), "utf-8")
    return project


def everything(project: Path) -> str:
    """Return whatever the tools may have written into the project."""
    written = [
        path.read_text("utf-8")
        for folder in (".replyx-db-agent", "docs", "TASK")
        for path in (project / folder).rglob("*")
        if path.is_file()
    ]
    return "\n".join(written)


def clean_of(text: str, *secrets: str) -> None:
    for secret in secrets:
        assert secret not in text, text[max(text.find(secret) - 200, 0) : text.find(secret) + 60]


URLS = {"DATABASE_URL": url(CANARY), "STAGING_DATABASE_URL": url(SECOND)}
ALL = (CANARY, SECOND, IN_FILES)


@pytest.mark.slow
def test_no_command_tells_a_password(chatty: Path) -> None:
    said = ""
    for arguments in (
        ("diff",),
        ("stairway", "--json"),
        ("docs",),
        ("record", "--task", f"Task with {url(CANARY)}"),
        ("apply", "--environment", "local", "--json"),
        ("apply", "--environment", "staging"),
        ("explain", "--environment", "staging", "--sql", f"SELECT '{SECOND}'"),
        ("check", url(CANARY)),
    ):
        done = run(chatty, *arguments, env=URLS)
        assert done.returncode in (0, 1, 2, 4), done.stderr
        assert "Traceback" not in done.stderr
        said += done.stdout + done.stderr
    clean_of(said, *ALL)
    assert "***" in said
    clean_of(everything(chatty), *ALL)


RAISING = (
    f'raise RuntimeError("no way to postgresql://app:{IN_FILES}@db/app")',
    f'raise RuntimeError("{SECOND}")',
    f'create_engine("postgresql+psycopg://app:{IN_FILES}@db/app", nonsense=True)',
    f'raise ValueError({{"password": "{IN_FILES}"}})',
    f'connect(password="{IN_FILES}")',
    f'int("host=db password={IN_FILES}")',
    "raise RuntimeError(os.environ['DATABASE_URL'])",
)


async def test_an_error_of_the_project_is_told_without_its_password(chatty: Path) -> None:
    env = chatty / "migrations/env.py"
    text = env.read_text("utf-8")
    async with served(chatty, URLS) as server:
        for raising in RAISING:
            env.write_text(text.replace("engine =", f"{raising}\nengine =", 1), "utf-8")
            said = await server.error("inspect_diff")
            clean_of(said + server.stderr, *ALL)
            assert "***" in said
    for arguments in (("diff",), ("diff", "--json")):
        done = run(chatty, *arguments, env=URLS)
        assert done.returncode == 2
        clean_of(done.stdout + done.stderr, *ALL)


@pytest.mark.slow
def test_a_failing_revision_is_told_without_a_password(chatty: Path) -> None:
    failing = Rev(
        "b2", "a1", f"op.execute(\"ALTER ROLE app PASSWORD '{IN_FILES}'; SELECT '{SECOND}'::int\")"
    )
    (chatty / "migrations/versions/b2.py").write_text(failing.text, "utf-8")
    for arguments in (("check",), ("stairway", "--json")):
        done = run(chatty, *arguments, env=URLS)
        clean_of(done.stdout + done.stderr, *ALL)
    # Its SQL stands in the evidence as it stands in the revision; nothing else does.
    clean_of(everything(chatty), CANARY)


async def test_the_server_tells_no_password_and_logs_none(chatty: Path) -> None:
    said: list[str] = []

    async def progress(number: float, total: float | None, message: str | None) -> None:
        said.append(message or "")

    async with served(chatty, URLS) as server:
        for tool, arguments in (
            ("inspect_diff", {}),
            ("run_stairway", {}),
            ("apply_revision", {"environment": "local"}),
            ("apply_revision", {"environment": "staging"}),
            ("explain_query", {"sql": "SELECT 1", "environment": "staging"}),
            ("check_revision", {"revision": url(CANARY)}),
        ):
            result = await server.client.call_tool(tool, arguments, progress_callback=progress)
            said.append(f"{text_of(result)} {result.structured_content}")
        log = server.stderr
    clean_of("\n".join(said) + log, *ALL)
    clean_of(everything(chatty), *ALL)


@pytest.fixture
def odd(server: ShadowServer, database: str) -> Iterator[str]:
    """The URL of a database whose password has to be percent-encoded."""
    role = urlsplit(database).username
    password = f"{CANARY}/@:%"
    with server.admin() as connection:
        connection.execute(f"ALTER ROLE \"{role}\" PASSWORD '{password}'")
    old = urlsplit(database).password or ""
    yield database.replace(f":{old}@", f":{quote(password, safe='')}@")


def test_an_apply_that_works_tells_no_password(chatty: Path, odd: str) -> None:
    done = run(chatty, "apply", "--environment", "local", "--json", env={"DATABASE_URL": odd})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "users" in tables(odd)
    again = run(chatty, "apply", "--environment", "local", env={"DATABASE_URL": odd})
    clean_of(done.stdout + done.stderr + again.stdout + everything(chatty), *ALL)
    clean_of(done.stdout, quote(f"{CANARY}/@:%", safe=""))


def test_an_apply_that_fails_tells_no_password(chatty: Path, database: str) -> None:
    env = chatty / "migrations/env.py"
    failing = "if os.environ['DATABASE_URL'].count('kept'):\n    raise RuntimeError(os.environ)\n"
    env.write_text(env.read_text("utf-8").replace("engine =", f"{failing}engine =", 1), "utf-8")
    password = urlsplit(database).password or os.urandom(4).hex()
    done = run(chatty, "apply", "--environment", "local", "--json", env={"DATABASE_URL": database})
    assert done.returncode in (1, 2), done.stdout + done.stderr
    assert "RuntimeError" in done.stdout
    clean_of(done.stdout + done.stderr + everything(chatty), password, *ALL)
