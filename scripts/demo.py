"""The main job on the sample project: a scripted MCP client takes two changes through the cycle.

Everything is real: PostgreSQL with pgvector, Alembic, the server over stdio. The script stands in
for the agent (it edits models and calls tools) and for the person (it answers the questions).
Exit code 0 only when every step did what it should, refusals included.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import ElicitResult
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax
from rich.tree import Tree

import replyx_db_agent
from replyx_db_agent.engines import postgres
from replyx_db_agent.engines.shadow import ShadowServer

SAMPLE = Path(replyx_db_agent.__file__).parent / "sample"
HEAD = "202508220742"
console = Console(width=None if sys.stdout.isatty() else 110)

EMBEDDING = (
    """    rating: Mapped[int | None] = mapped_column(SmallInteger)
""",
    """    rating: Mapped[int | None] = mapped_column(SmallInteger)
    summary_embedding: Mapped[list[float] | None] = mapped_column(Vector(384))
""",
)
EMBEDDING_INDEX = (
    """            postgresql_where=text("status <> 'closed'"),
        ),
    )
""",
    """            postgresql_where=text("status <> 'closed'"),
        ),
        Index(
            "ix_dialogs_summary_embedding",
            "summary_embedding",
            postgresql_using="hnsw",
            postgresql_ops={"summary_embedding": "vector_cosine_ops"},
            postgresql_with={"m": 16, "ef_construction": 64},
        ),
    )
""",
)
COVERING_INDEX = (
    """        CheckConstraint("tokens >= 0", name="tokens_not_negative"),
    )
""",
    """        CheckConstraint("tokens >= 0", name="tokens_not_negative"),
        Index(
            "ix_dialog_messages_dialog_id_created_at",
            "dialog_id",
            text("created_at DESC"),
            postgresql_include=["role"],
        ),
    )
""",
)

PLAN = {
    "Изменение": "Удаляется колонка `users.legacy_external_ref`: код её больше не читает.",
    "Риск": "ACCESS EXCLUSIVE на `users` на время DROP COLUMN, запись ждёт и на время копирования "
    "значений. Значения сохраняются в схеме replyx_db_agent.",
    "Откат": "```bash\nalembic downgrade {parent}\n```",
    "Проверки после отката": "`/healthz` отвечает head {parent}; "
    "`SELECT count(legacy_external_ref) FROM users` равен числу до релиза.",
}


class Unexpected(Exception):
    """A step did something else than it should."""


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise Unexpected(what)
    console.print(f"  [green]✓[/] {escape(what)}")


def title(text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}", align="left")


class Agent:
    """The stand-in: calls tools over MCP, shows what comes back, answers as the person would."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.client: Client | None = None
        self.answers: list[bool] = []
        self.asked: list[str] = []

    async def answer(self, context: object, params: object) -> ElicitResult:
        question = str(getattr(params, "message", ""))
        self.asked.append(question)
        yes = self.answers.pop(0)
        console.print(Panel(escape(question), title="the person is asked", border_style="yellow"))
        console.print(f"  the person answers: [bold]{'yes' if yes else 'no'}[/]")
        return ElicitResult(action="accept", content={"approve": yes})

    async def call(self, tool: str, **arguments: object) -> dict:
        assert self.client is not None
        shown = ", ".join(f"{k}={v!r}" for k, v in arguments.items())
        console.print(f"\n[bold cyan]{tool}[/]({escape(shown)})")
        started, said = time.monotonic(), []

        async def progress(done: float, total: float | None, message: str | None) -> None:
            said.append(message or "")

        result = await self.client.call_tool(tool, arguments, progress_callback=progress)
        if result.is_error:
            raise Unexpected(f"{tool}: {result.content[0].text}")
        data = result.structured_content
        seconds = time.monotonic() - started
        console.print(f"  [dim]{seconds:.1f} s[/]")
        if refusal := data["refusal"]:
            text = f"{refusal['problem']}\n\n[bold]Instead:[/] {escape(refusal['instead'])}"
            console.print(
                Panel(text, title=f"refused by {refusal['guardrail']}", border_style="red")
            )
        return data

    def edit(self, *changes: tuple[str, str]) -> None:
        path = self.project / "backend/database/models.py"
        text = path.read_text("utf-8")
        for old, new in changes:
            if text.count(old) != 1:
                raise Unexpected(f"the sample's models are not what this script edits: {old!r}")
            text = text.replace(old, new)
        path.write_text(text, "utf-8")
        self.show_edit()

    def drop_from_models(self, column: str) -> None:
        path = self.project / "backend/database/models.py"
        lines = path.read_text("utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if column not in line), "utf-8")
        self.show_edit()

    def show_edit(self) -> None:
        diff = git(self.project, "diff", "--unified=0", "backend/database/models.py")
        body = "\n".join(
            line
            for line in diff.splitlines()
            if line[:1] in "+-" and line[:3] not in ("+++", "---")
        )
        console.print(Syntax(body, "diff", background_color="default"))
        git(self.project, "add", "-A")


def git(project: Path, *arguments: str) -> str:
    settings = ("-c", "user.name=demo", "-c", "user.email=demo@example.invalid")
    done = subprocess.run(
        ("git", *settings, *arguments), cwd=project, check=True, capture_output=True, text=True
    )
    return done.stdout


def run(project: Path, url: str, *command: str) -> None:
    environment = {**os.environ, "DATABASE_URL": url}
    done = subprocess.run(
        (sys.executable, *command), cwd=project, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise Unexpected(f"{' '.join(command)}: {done.stderr[-600:]}")


def scalar(url: str, query: str) -> object:
    with postgres.connect(url) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """Two databases on the embedded PostgreSQL: the developer's own, and staging's stand-in."""
    names = {env: f"demo_{env}_{os.urandom(4).hex()}" for env in ("local", "staging")}
    with ShadowServer.start(progress=lambda m: console.print(f"  [dim]{m}[/]")) as server:
        try:
            yield {env: server.kept(name).url for env, name in names.items()}
        finally:
            for name in names.values():
                server.drop_kept(name)


async def prepare(project: Path, urls: dict[str, str]) -> None:
    console.print(
        "A script stands in for an AI agent: it edits the models of a sample project and calls the "
        "tools of replyx-db-agent over MCP, on a real PostgreSQL with pgvector. It also answers as "
        "the person would. The project's language is Russian, so its answers and its record are."
    )
    title("A project with a history, and two databases with rows")
    shutil.copytree(
        SAMPLE, project, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
    )
    git(project, "init", "--quiet")
    git(project, "add", "-A")
    git(project, "commit", "--quiet", "--message", "The sample project")

    def fill(url: str) -> None:
        run(project, url, "-m", "alembic", "upgrade", "head")
        run(project, url, "scripts/seed.py")

    async with anyio.create_task_group() as tasks:
        for url in urls.values():
            tasks.start_soon(anyio.to_thread.run_sync, fill, url)
    messages = scalar(urls["local"], "SELECT count(*) FROM dialog_messages")
    chunks = scalar(urls["local"], "SELECT count(*) FROM document_chunks")
    expect(messages == 20_000, f"local is at {HEAD} with {messages} messages and {chunks} chunks")


async def feature(agent: Agent) -> list[str]:
    """A vector column with its HNSW index, and a covering index for a hot query."""
    title("(a) Two features: embeddings of dialogs, and a faster dialog page")
    query = "scripts/hot_queries/dialog_page.sql"
    agent.edit(EMBEDDING, EMBEDDING_INDEX, COVERING_INDEX)
    diff = await agent.call("inspect_diff")
    for change in diff["changes"]:
        console.print(f"  {change['change']} {change['object_kind']} {change['object']}")
    expect(len(diff["changes"]) == 3, "the diff names the column and both indexes")

    slow = await agent.call("explain_query", files=[query], environment="local")
    before = slow["queries"][0]["before"]
    console.print(f"  {before['milliseconds']} ms, {before['buffers']} buffers: {before['shape']}")
    expect("Sort" in before["shape"], "the hot query sorts a whole dialog: worth an index")

    drafts = [
        await agent.call("draft_revision", message="add summary embedding", only=["dialogs"]),
        await agent.call(
            "draft_revision", message="covering index for dialog page", only=["dialog_messages"]
        ),
    ]
    revisions = [one for draft in drafts for one in draft["revisions"]]
    for one in revisions:
        console.print(f"  {one['path']}")
    expect(all(draft["proved"] for draft in drafts), "both drafts are proved on a shadow")
    show_file(agent.project / revisions[1]["path"])

    check = await agent.call("check_revision", since=HEAD)
    expect(check["verdict"] == "clean", "check: no finding in any of them")
    stairway = await agent.call("run_stairway", since=HEAD)
    for one in stairway["revisions"]:
        console.print(f"  {one['revision']}: {one['outcome']}, {one['rows']}")
    expect(stairway["clean"], "stairway: up, down, up restores the schema and the rows")

    measured = await agent.call("explain_query", files=[query], revision="head")
    console.print(f"  dialog_page: {measured['queries'][0]['verdict']}")
    expect("faster" in measured["queries"][0]["verdict"], "the index makes the query faster")
    await agent.call("explain_query", revision=revisions[1]["revision"], rows=2_000)

    docs = await agent.call("write_docs")
    expect(len(docs["written"]) == 4, f"docs written: {', '.join(docs['written'])}")
    applied = await agent.call("apply_revision", environment="local")
    expect(applied["done"] and applied["verified"], "applied to local and verified")
    expect(not agent.asked, "nobody was asked: this database is local")

    fast = await agent.call("explain_query", files=[query], environment="local")
    after = fast["queries"][0]["before"]
    console.print(f"  {after['milliseconds']} ms, {after['buffers']} buffers: {after['shape']}")
    expect(after["buffers"] < before["buffers"], "the dialog page reads fewer pages on local too")

    names = [one["revision"] for one in revisions]
    record = await agent.call(
        "record_task", task="Эмбеддинги диалогов и быстрая страница диалога", revisions=names
    )
    expect(record["status"].startswith("Частично"), f"recorded honestly: {record['status']}")
    return names


async def drop(agent: Agent, urls: dict[str, str]) -> dict:
    """A dropped column: refused, planned, rehearsed, and let through by a person."""
    title("(b) A column goes away: refused until it is planned, rehearsed and approved")
    agent.drop_from_models("legacy_external_ref")
    refused = await agent.call("draft_revision", message="drop legacy external ref")
    expect((refused["refusal"] or {}).get("guardrail") == "G1", "an ordinary draft is refused")

    draft = await agent.call("draft_revision", message="drop legacy external ref", destructive=True)
    one = draft["revisions"][0]
    expect(draft["proved"], f"asked for by name, it is drafted: {one['path']}")
    show_file(agent.project / one["path"])
    check = await agent.call("check_revision")
    expect(check["verdict"] == "refused", "check: refused, the plan's four parts are empty")
    stopped = await agent.call("apply_revision", environment="local")
    expect(not stopped["done"] and stopped["refusal"] is not None, "apply: hard stop, local too")

    fill_plan(agent.project, one["revision"], check)
    again = await agent.call("check_revision")
    expect((again["refusal"] or {}).get("guardrail") == "G2", "a plan is words until rehearsed")
    stairway = await agent.call("run_stairway", revision=one["revision"])
    rehearsed = stairway["revisions"][0]
    console.print(f"  {rehearsed['outcome']}: {rehearsed['rows']}")
    expect(stairway["clean"], "the plan's own commands restore the schema and the rows")
    check = await agent.call("check_revision")
    expect(check["refusal"] is None, "check: no longer refused (the findings stay visible)")

    with one_byte_more(agent.project / one["path"]):
        stale = await agent.call("apply_revision", environment="local")
        expect("stale" in (stale["refusal"] or {}).get("problem", ""), "one byte makes it stale")
    agent.answers = [False]
    said_no = await agent.call("apply_revision", environment="staging")
    expect((said_no["refusal"] or {}).get("guardrail") == "G8", "the person said no: refused")
    at = scalar(urls["staging"], "SELECT version_num FROM alembic_version")
    expect(at == HEAD, f"staging still stands at {at}")

    values = scalar(urls["staging"], "SELECT count(legacy_external_ref) FROM users")
    agent.answers = [True]
    said_yes = await agent.call("apply_revision", environment="staging")
    expect(said_yes["done"] and said_yes["verified"], "the person said yes: applied and verified")
    expect(said_yes["plan"] in agent.asked[-1], "the question named exactly this plan")
    archive = f'replyx_db_agent."{one["revision"]}_users_legacy_external_ref"'
    kept = scalar(urls["staging"], f"SELECT count(*) FROM {archive}")
    expect(kept == values, f"the {kept} values of the dropped column are kept in {archive}")
    local = await agent.call("apply_revision", environment="local")
    expect(local["done"], "applied to local")
    await agent.call("write_docs")
    record = await agent.call(
        "record_task", task="Удаление users.legacy_external_ref", revisions=[one["revision"]]
    )
    return {"record": record, "answer": said_yes["answer"]}


def fill_plan(project: Path, revision: str, check: dict) -> None:
    """Fill the four parts, as the agent does after thinking."""
    path = project / "docs/db/rollback_plan.md"
    start, heading, section = path.read_text("utf-8").partition(f"## {revision}")
    parent = sorted(p.name for p in (project / "alembic/versions").glob("*.py"))[-2][:12]
    for part, text in PLAN.items():
        before, found, after = section.partition(f"### {part}\n")
        body = text.format(parent=parent)
        section = f"{before}{found}\n{body}\n{after}"
    path.write_text(start + heading + section, "utf-8")
    console.print(
        f"\n  [dim]the four parts of {revision} in docs/db/rollback_plan.md are filled[/]"
    )


@contextmanager
def one_byte_more(path: Path) -> Iterator[None]:
    text = path.read_bytes()
    path.write_bytes(text + b"\n")
    console.print(f"\n  [dim]one byte is added to {path.name}[/]")
    try:
        yield
    finally:
        path.write_bytes(text)


def show_file(path: Path) -> None:
    text = path.read_text("utf-8").partition("def upgrade")[2]
    console.print(Syntax("def upgrade" + text.rstrip(), "python", background_color="default"))


def show_written(project: Path, result: dict) -> None:
    title("(c) What was written")
    changed = git(project, "status", "--porcelain", "--untracked-files=all").splitlines()
    tree = Tree(project.name)
    folders: dict[str, Tree] = {"": tree}
    for path in sorted({line[3:].strip('"') for line in changed}):
        parent = ""
        for part in Path(path).parts[:-1]:
            here = f"{parent}/{part}"
            folders.setdefault(here, folders[parent].add(part)) if here not in folders else None
            parent = here
        folders[parent].add(Path(path).name)
    console.print(tree)
    console.print(Panel(escape((project / result["record"]["path"]).read_text("utf-8"))))
    console.print(Markdown(result["answer"]))


async def main() -> None:
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="replyx-demo-"))
    project = folder / "replyx"
    project.mkdir()
    try:
        with databases() as urls:
            await prepare(project, urls)
            agent = Agent(project)
            server = StdioServerParameters(
                command=sys.executable,
                args=["-m", "replyx_db_agent", "serve", "--project", str(project)],
                env={
                    **os.environ,
                    "DATABASE_URL": urls["local"],
                    "STAGING_DATABASE_URL": urls["staging"],
                },
            )
            async with Client(server, elicitation_callback=agent.answer) as agent.client:
                tools = (await agent.client.list_tools()).tools
                expect(len(tools) == 8, f"the server serves {len(tools)} tools over stdio")
                await feature(agent)
                result = await drop(agent, urls)
            show_written(project, result)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    console.print(f"\n[bold green]Done in {time.monotonic() - started:.0f} s.[/]")


def flat(error: BaseException) -> BaseException:
    """Return the first error inside of task groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    try:
        anyio.run(main)
    except KeyboardInterrupt:
        sys.exit(130)
    except BaseException as error:
        cause = flat(error)
        if not isinstance(cause, Unexpected):
            raise
        console.print(f"\n[bold red]Not as it should be:[/] {escape(str(cause))}")
        sys.exit(1)
