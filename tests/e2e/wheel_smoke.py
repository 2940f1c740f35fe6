"""Tries an installed replyx-db-agent as a client has it: wheel_smoke.py PATH-OF-REPLYX-DB-AGENT.

Starts its server over stdio in an empty folder with a copy of the packaged sample, lists the
tools and calls two of them. Needs nothing but what the package itself needs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters

TOOLS = {
    "inspect_diff",
    "draft_revision",
    "check_revision",
    "run_stairway",
    "explain_query",
    "write_docs",
    "apply_revision",
    "record_task",
}
SAMPLE = (
    "from pathlib import Path; import replyx_db_agent as package; "
    "print(Path(package.__file__).parent / 'sample')"
)


class Off(Exception):
    """Something is not as it should be."""


def expect(condition: object, what: str) -> None:
    if not condition:
        raise Off(what)


def sample_of(command: Path) -> Path:
    """Return the sample of the installation that the command belongs to."""
    python = command.parent / "python"
    expect(python.exists(), f"no interpreter beside {command}")
    # -I: neither the checkout nor PYTHONPATH may stand in for what is installed.
    done = subprocess.run(
        (python, "-I", "-c", SAMPLE), cwd="/", check=True, capture_output=True, text=True
    )
    sample = Path(done.stdout.strip())
    expect((sample / "alembic.ini").is_file(), f"the sample is not packaged ({sample})")
    return sample


async def call(client: Client, tool: str) -> dict:
    result = await client.call_tool(tool, {})
    text = "\n".join(getattr(one, "text", "") for one in result.content)
    expect(not result.is_error, f"{tool}: {text}")
    expect(isinstance(result.structured_content, dict), f"{tool} returned no data: {text}")
    return result.structured_content


async def try_out(command: Path, project: Path) -> None:
    server = StdioServerParameters(
        command=str(command),
        args=["serve", "--project", str(project)],
        cwd=project,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    )
    async with Client(server) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        expect(tools == TOOLS, f"the server lists {sorted(tools)}")
        print(f"lists {len(tools)} tools")
        diff = await call(client, "inspect_diff")
        expect(diff["changes"] == [], f"inspect_diff finds {diff['changes']} in the sample")
        print("inspect_diff: the sample's models and revisions agree")
        check = await call(client, "check_revision")
        expect(check["verdict"] == "clean", f"check_revision: {check['verdict']}")
        print(f"check_revision: {', '.join(check['revisions'])} is clean")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: wheel_smoke.py PATH-OF-REPLYX-DB-AGENT", file=sys.stderr)
        return 2
    command = Path(arguments[0]).absolute()
    with tempfile.TemporaryDirectory(prefix="replyx-smoke-") as folder:
        project = Path(folder) / "project"
        try:
            shutil.copytree(
                sample_of(command), project, ignore=shutil.ignore_patterns("__pycache__")
            )
            anyio.run(try_out, command, project)
        except Exception as error:  # noqa: BLE001 - whatever it is, the wheel does not work
            cause: BaseException = error
            while isinstance(cause, BaseExceptionGroup):
                cause = cause.exceptions[0]
            print(f"Not as it should be: {type(cause).__name__}: {cause}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
