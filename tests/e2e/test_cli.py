"""The command line as a process: help, output, exit codes, terminals and pipes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from replyx_db_agent import __version__
from tests.e2e.conftest import tables
from tests.e2e.processes import COMMAND, data_of, ended, environment, error_of, run, start
from tests.projects import Rev

TOOLS = ("diff", "draft", "check", "stairway", "explain", "docs", "apply", "record")
COMMANDS = (*TOOLS, "serve", "trust")


@pytest.fixture(scope="module")
def helps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `COMMAND -h` prints, by command."""
    folder = tmp_path_factory.mktemp("nothing")
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda name: run(folder, name, "-h"), COMMANDS)
    return {name: one.stdout for name, one in zip(COMMANDS, done, strict=True)}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(helps: dict[str, str], command: str) -> None:
    text = helps[command]
    assert text.startswith(f"Usage: replyx-db-agent {command}")
    assert "--project PATH" in text
    assert re.search(rf"^ +(claude mcp add .*)?replyx-db-agent {command}", text, re.MULTILINE)
    arguments = re.findall(r"\b[A-Z]{4,}\b", text.splitlines()[0].replace("OPTIONS", ""))
    assert all(len(re.findall(rf"\b{name}\b", text)) > 1 for name in arguments)
    assert re.findall(r"^  -.*[a-z-]$(?!\n {10})", text, re.MULTILINE) == [], "option without help"
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("command", TOOLS)
def test_every_tool_says_what_its_exit_codes_mean(helps: dict[str, str], command: str) -> None:
    assert "Exit codes: 0 clean, 1 findings" in helps[command]
    assert "--json" in helps[command]


def test_the_list_of_commands_cuts_no_sentence_short(tmp_path: Path) -> None:
    done = run(tmp_path, "-h")
    assert done.returncode == 0
    listed = done.stdout.partition("Commands:")[2]
    assert "..." not in listed.partition("Exit codes")[0]
    assert all(f"\n  {command} " in listed for command in COMMANDS)


def test_the_version_is_told(tmp_path: Path) -> None:
    assert run(tmp_path, "--version").stdout == f"replyx-db-agent, version {__version__}\n"


def test_long_help_and_no_arguments_work_too(tmp_path: Path) -> None:
    assert run(tmp_path, "check", "--help").stdout.startswith("Usage: replyx-db-agent check")
    nothing = run(tmp_path)
    assert nothing.returncode == 2
    assert nothing.stderr.startswith("Usage:")


# ---- exit codes --------------------------------------------------------------------------------


def test_code_0_is_clean_and_json_is_all_there_is_on_stdout(project: Path) -> None:
    done = run(project, "check", "--json")
    assert done.returncode == 0, done.stderr
    assert data_of(done)["verdict"] == "clean"
    assert done.stderr == ""


def test_progress_goes_to_stderr_and_the_report_to_stdout(project: Path) -> None:
    done = run(project, "stairway")
    assert done.returncode == 0, done.stderr
    assert "Rehearsing" in done.stderr
    assert "Rehearsing" not in done.stdout
    assert "a1: **clean**" in done.stdout


def test_code_1_is_findings(project: Path) -> None:
    extra = Rev("b2", "a1", 'op.create_index("ix", "users", ["name"])', 'op.drop_index("ix")')
    (project / "migrations/versions/b2.py").write_text(extra.text, "utf-8")
    done = run(project, "check", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    assert data_of(done)["verdict"] == "findings"
    trace = Rev("c3", "b2", 'op.execute("CREATE TYPE mood AS ENUM ()")', "pass")
    (project / "migrations/versions/c3.py").write_text(trace.text, "utf-8")
    done = run(project, "stairway", "c3", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    assert data_of(done)["revisions"][0]["outcome"] == "leaves-trace"


@pytest.mark.slow
def test_a_difference_is_code_1_only_when_asked_for(project: Path) -> None:
    path = project / "models.py"
    path.write_text(path.read_text("utf-8") + "    nickname = Column(Text)\n", "utf-8")
    done = run(project, "diff", "--json")
    assert done.returncode == 0, done.stderr
    assert [c["object"] for c in data_of(done)["changes"]] == ["users.nickname"]
    assert run(project, "diff", "--exit-code").returncode == 1


def test_stale_documents_are_code_1(project: Path) -> None:
    done = run(project, "docs", "--check", "--json")
    assert done.returncode == 1, done.stderr
    assert data_of(done)["stale"]
    assert not (project / "docs").exists()


def test_code_2_is_bad_input_with_or_without_json(project: Path) -> None:
    assert '"nope"' in error_of(project, "check", "nope")
    assert "--message" in error_of(project, "draft")
    assert "environment" in error_of(project, "apply")
    assert "no such option" in error_of(project, "check", "--force").lower()
    done = run(project, "check", "nope")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_code_3_is_a_refusal(project: Path, database: str) -> None:
    drop = Rev("b2", "a1", 'op.drop_table("users")', "raise NotImplementedError")
    (project / "migrations/versions/b2.py").write_text(drop.text, "utf-8")
    done = run(project, "check", "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    found = data_of(done)
    assert found["verdict"] == "refused"
    assert found["refusal"]["guardrail"] == "G1"
    assert found["refusal"]["instead"]
    done = run(project, "apply", "a1", "--environment", "staging", "--json", env=staging(database))
    assert done.returncode == 3, done.stdout + done.stderr
    assert data_of(done)["refusal"]["guardrail"] == "G8"
    assert tables(database) == set()


def staging(url: str) -> dict[str, str]:
    return {"STAGING_DATABASE_URL": url}


def test_code_4_is_a_problem_of_the_machine(project: Path) -> None:
    down = {"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/db"}
    said = error_of(project, "apply", "--environment", "local", env=down, code=4)
    assert "127.0.0.1:1" in said
    assert "does not answer" in said


# ---- terminals and pipes -----------------------------------------------------------------------


def test_a_report_fits_a_terminal_of_80_columns(project: Path) -> None:
    shown = on_a_terminal(project, "stairway")
    lines = [visible(line) for line in shown.splitlines()]
    assert any("a1: clean" in line for line in lines), shown
    assert max(map(len, lines)) <= 80
    assert "Rehearsing" in shown
    assert "**" not in shown


def on_a_terminal(project: Path, *arguments: str) -> str:
    """Run a command whose stdout and stderr are a terminal; return what it showed."""
    ours, theirs = pty.openpty()
    env = {**environment(), "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(
        (*COMMAND, *arguments), cwd=project, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # Linux: the other side is closed
                break
            parts.append(part)
        os.close(ours)
    assert process.returncode == 0
    return b"".join(parts).decode()


def visible(line: str) -> str:
    """Return a line as it stands in the end, without control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line.rstrip("\r").rpartition("\r")[2])


@pytest.mark.parametrize("arguments", [("stairway",), ("stairway", "--json"), ("--help",)])
def test_a_reader_that_leaves_is_no_reason_for_a_traceback(
    project: Path, arguments: tuple[str, ...]
) -> None:
    reader, writer = os.pipe()
    with ended(start(project, *arguments, stdout=writer)) as process:
        os.close(writer)
        os.close(reader)
        _, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_two_commands_work_on_one_project_at_once(project: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: run(project, "stairway", "--json"), range(2)))
    assert [one.returncode for one in done] == [0, 0], done
    assert all(data_of(one)["clean"] for one in done)
    evidence = list((project / ".replyx-db-agent/evidence").iterdir())
    assert len(evidence) == 1
    assert json.loads(evidence[0].read_text("utf-8"))["outcome"] == "clean"


@pytest.mark.slow
def test_the_whole_cycle_works_from_the_command_line(project: Path, database: str) -> None:
    env = {"DATABASE_URL": database}
    path = project / "models.py"
    path.write_text(path.read_text("utf-8") + "    nickname = Column(Text)\n", "utf-8")
    draft = run(project, "draft", "-m", "add nickname", "--json", env=env)
    assert draft.returncode == 0, draft.stdout + draft.stderr
    drafted = data_of(draft)["revisions"]
    assert [(project / one["path"]).is_file() for one in drafted] == [True]
    for command in (("check",), ("stairway",), ("docs",), ("docs", "--check")):
        done = run(project, *command, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
    applied = run(project, "apply", "--environment", "local", "--json", env=env)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert data_of(applied)["verified"]
    assert "users" in tables(database)
    record = run(project, "record", "-t", "A nickname", "--json", env=env)
    assert record.returncode == 0, record.stdout + record.stderr
    assert (project / data_of(record)["path"]).is_file()
