"""Command line adapter: a command for every tool, and those that only people run."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from replyx_db_agent import __version__
from replyx_db_agent.core.call import Call
from replyx_db_agent.core.errors import (
    Cancelled,
    DbAgentError,
    EnvironmentProblem,
    GuardrailRefusal,
)
from replyx_db_agent.core.report import (
    ApplyReport,
    CheckReport,
    DiffReport,
    DocsReport,
    DraftReport,
    Report,
    StairwayReport,
)
from replyx_db_agent.engines.redact import redact_all, secrets_of
from replyx_db_agent.tools.registry import TOOLS

CLEAN, FINDINGS, BAD_INPUT, REFUSED, ENVIRONMENT, INTERRUPTED = 0, 1, 2, 3, 4, 130

EXIT_CODES = """\b
Exit codes: 0 clean, 1 findings, 2 bad input, 3 refused by a guardrail,
4 environment problem (PostgreSQL, disk ...), 130 interrupted.
"""


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="replyx-db-agent")
def cli() -> None:
    """Change a PostgreSQL + pgvector schema safely: SQLAlchemy models, Alembic revisions.

    \b
    The cycle, in a project that has an alembic.ini:
      diff       what differs between the models and the revisions
      draft      write the revision and prove it on a shadow database
      check      judge what a revision will really do
      stairway   rehearse it up, down and up again, with rows
      explain    measure hot queries before and after it
      docs       write docs/db
      apply      apply exactly what was rehearsed
      record     leave the task record
    """


def _project(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command what every command takes: --project and --json."""
    function = click.option(
        "--json", "as_json", is_flag=True, help="Print the report as JSON (for scripts)."
    )(function)
    return click.option(
        "--project",
        type=click.Path(path_type=Path),
        default=Path(),
        help="The folder that holds alembic.ini (default: here).",
    )(function)


def _tool(name: str, **settings: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Register the command of a tool; its help is the tool's own docstring, read when asked."""

    def register(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def run(project: Path, as_json: bool, **arguments: Any) -> None:
            exit_code = arguments.pop("exit_code", False)
            with _errors(as_json):
                report = _call(name, project, as_json, arguments)
                _print(report, as_json)
                sys.exit(_exit_code(report, exit_code=exit_code))

        return cli.command(TOOLS[name].command, epilog=EXIT_CODES, **settings)(_project(run))

    return register


def _call(name: str, project: Path, as_json: bool, arguments: dict[str, Any]) -> Report:
    with _progress(quiet=as_json and not sys.stderr.isatty()) as tell:
        report: Report = TOOLS[name].function()(Call(project, tell), **arguments)
    return report


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show what is going on: one changing line on a terminal, lines elsewhere; never on stdout."""
    if quiet:
        yield lambda message: None
    elif sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("Reading the project") as status:
            yield status.update
    else:
        secrets = secrets_of(os.environ)
        yield lambda message: click.echo(redact_all(message, secrets), err=True)


@contextmanager
def _errors(as_json: bool) -> Iterator[None]:
    """Turn an error into one readable message (or JSON) and its exit code."""
    try:
        yield
    except GuardrailRefusal as error:
        refusal = {"guardrail": error.guardrail, "problem": error.problem, "instead": error.instead}
        _fail(f"Refused ({error.guardrail}). {error}", {"refusal": refusal}, REFUSED, as_json)
    except DbAgentError as error:
        code = ENVIRONMENT if isinstance(error, EnvironmentProblem) else BAD_INPUT
        _fail(str(error), _details(error), code, as_json)
    except (KeyboardInterrupt, Cancelled):
        _fail("Interrupted; what was running has been ended.", {}, INTERRUPTED, as_json=False)
    except BrokenPipeError:
        _stop_talking()
    except Exception as error:  # noqa: BLE001 - exit code 1 would mean findings
        _unexpected(error, as_json)


def _details(error: DbAgentError) -> dict[str, Any]:
    return {"error": {"problem": error.problem, "instead": error.instead}}


def _unexpected(error: Exception, as_json: bool) -> NoReturn:
    from replyx_db_agent.core.unexpected import unexpected

    found = unexpected(error)
    if not isinstance(found, EnvironmentProblem):
        import traceback

        click.echo(redact_all(traceback.format_exc(), secrets_of(os.environ)), err=True, nl=False)
    _fail(str(found), _details(found), ENVIRONMENT, as_json)


def _stop_talking() -> NoReturn:
    """Nobody reads on (`| head -1`): end as a program that got SIGPIPE, without a word."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(128 + signal.SIGPIPE)


def _fail(message: str, details: dict[str, Any], code: int, as_json: bool) -> NoReturn:
    secrets = secrets_of(os.environ)
    if as_json:
        click.echo(json.dumps(redact_all(details, secrets), indent=2, ensure_ascii=False))
    else:
        click.echo(redact_all(message, secrets), err=True)
    sys.exit(code)


def _print(report: Report, as_json: bool) -> None:
    from replyx_db_agent.cycle.present import as_data, as_text

    secrets = secrets_of(os.environ)
    if as_json:
        data = redact_all(as_data(report), secrets)
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    text = _in_commands(redact_all(as_text(report), secrets))
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        click.echo(text, nl=False)


def _in_commands(text: str) -> str:
    """Return the text with tools named as they are typed here: `run_stairway` is `stairway`."""
    for name, tool in TOOLS.items():
        text = re.sub(rf"\b{name}\b", f"replyx-db-agent {tool.command}", text)
    return text


def _exit_code(report: Report, *, exit_code: bool) -> int:
    if report.refusal is not None:
        return REFUSED
    rules: dict[type, Callable[[Any], bool]] = {
        DiffReport: lambda r: exit_code and bool(r.changes),
        DraftReport: lambda r: not r.proved,
        CheckReport: lambda r: r.verdict != "clean",
        StairwayReport: lambda r: not r.clean,
        DocsReport: lambda r: bool(r.stale),
        ApplyReport: lambda r: not (r.done and r.verified),
    }
    found = rules.get(type(report))
    return FINDINGS if found and found(report) else CLEAN


@_tool("inspect_diff")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when there is a difference.")
def diff() -> None:
    """Show what differs between the models and the revisions at head.

    Both sides are built as real databases on a shadow PostgreSQL, so what autogenerate cannot
    see is seen.

    \b
      replyx-db-agent diff
      replyx-db-agent diff --exit-code --json
    """


@_tool("draft_revision")
@click.option("-m", "--message", required=True, help="What the change is for; names the file.")
@click.option("--only", multiple=True, help="Table, table.column or index to draft (repeatable).")
@click.option("--destructive", is_flag=True, help="Draft a drop too. Lifts no guardrail.")
def draft() -> None:
    """Write the revisions that lead to the models, and prove them.

    A change that loses data is refused unless it is asked for with --destructive.

    \b
      replyx-db-agent draft -m "add nickname" --only users
    """


@_tool("check_revision")
@click.argument("revision", default="head")
@click.option("--since", help="Judge every revision after this one, up to REVISION.")
def check() -> None:
    """Judge what REVISION (an id, a file, or head) will really do.

    It runs on a shadow PostgreSQL with rows in its tables; nothing of yours changes.

    \b
      replyx-db-agent check
      replyx-db-agent check --since 202508220742 --json
    """


@_tool("run_stairway")
@click.argument("revision", required=False)
@click.option("--since", help="Only the revisions after this one.")
@click.option("--rows", default=20, show_default=True, help="Rows a table; 0: schema alone.")
def stairway() -> None:
    """Rehearse revisions up, down and up again, with rows.

    All of them, only REVISION (an id, a file, or head), or those after --since.

    \b
      replyx-db-agent stairway
      replyx-db-agent stairway head --rows 100
    """


@_tool("explain_query")
@click.argument("files", nargs=-1)
@click.option("--sql", default="", help="One SELECT to measure.")
@click.option("--revision", default="", help="Before and after this revision (default: head).")
@click.option("--environment", default="", help="On this configured environment, read-only.")
@click.option("--rows", default=20_000, show_default=True, help="Rows a table on the shadow.")
def explain() -> None:
    """Measure hot queries before and after a revision.

    What is measured: FILES, --sql, or every file of scripts/hot_queries.

    \b
      replyx-db-agent explain --revision head
      replyx-db-agent explain --environment local page.sql
    """


@_tool("write_docs")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 when one is stale.")
def docs() -> None:
    """Write docs/db: schema, migrations, indexes, rollback plan.

    \b
      replyx-db-agent docs
      replyx-db-agent docs --check
    """


@_tool("apply_revision")
@click.argument("revision", default="head")
@click.option("--environment", required=True, help="A configured environment, e.g. local.")
def apply() -> None:
    """Apply pending revisions up to REVISION, exactly as rehearsed.

    Environments that are not local need their user's approval, which only an MCP client can ask
    for; from here they are refused.

    \b
      replyx-db-agent apply --environment local
    """


@_tool("record_task")
@click.option("-t", "--task", required=True, help="What was asked for, in one sentence.")
@click.argument("revisions", nargs=-1)
def record() -> None:
    """Leave the task record, from evidence.

    It is about REVISIONS (ids or files; default: head).

    \b
      replyx-db-agent record --task "A nickname for users"
    """


@cli.command()
@click.option(
    "--project",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The folder that holds alembic.ini (default: here).",
)
def serve(project: Path) -> None:
    """Serve the tools over MCP on standard input and output.

    \b
    For Claude Code:
      claude mcp add replyx-db-agent -- replyx-db-agent serve --project .
    """
    import atexit

    from replyx_db_agent.server import build, withdraw_all

    def end(*_: object) -> NoReturn:
        """End the calls, the worker and PostgreSQL; the SDK's reader of stdin would never end."""
        withdraw_all()
        atexit._run_exitfuncs()
        os._exit(0)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    build(project.absolute()).run()
    end()


@cli.command()
@click.argument("environment")
@_project
def trust(environment: str, project: Path, as_json: bool) -> None:
    """Pin the database of ENVIRONMENT as local, for yourself.

    A person's command: it says "this database is mine alone", so that revisions may be applied
    to it without asking. Only environments of kind local can be pinned; the pin is kept in your
    own configuration folder, outside of the project.

    \b
      replyx-db-agent trust local
    """
    from replyx_db_agent.config import load
    from replyx_db_agent.core.errors import InvalidInput
    from replyx_db_agent.engines import pins, postgres

    with _errors(as_json):
        found = load(project).environment(environment)
        if found.kind != "local":
            raise InvalidInput(
                f'Environment "{environment}" is of kind {found.kind}.',
                instead="Only an environment of kind local can be trusted as local.",
            )
        with postgres.connect(found.url(), name=found.url_env) as connection:
            identity = postgres.identity(connection)
        path = pins.trust(identity)
        said = {
            "environment": environment,
            "database": identity.database,
            "system_identifier": identity.system_identifier,
            "kept_in": str(path),
        }
        if as_json:
            click.echo(json.dumps(said, indent=2, ensure_ascii=False))
        else:
            click.echo(
                f'"{environment}" is trusted: database "{identity.database}" of server '
                f"{identity.system_identifier} (kept in {path})."
            )


def main() -> None:
    """Run the command line."""
    _end_in_order()
    try:
        sys.exit(cli.main(prog_name="replyx-db-agent", standalone_mode=False))
    except click.ClickException as error:
        if "--json" not in sys.argv:
            error.show()
            sys.exit(error.exit_code)
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "replyx-db-agent"
        details = {"problem": error.format_message(), "instead": f'See "{command} --help".'}
        _fail("", {"error": details}, BAD_INPUT, as_json=True)
    except (click.Abort, KeyboardInterrupt):
        _fail("Interrupted.", {}, INTERRUPTED, as_json=False)


def _end_in_order() -> None:
    """Let Ctrl-C and the signals that end a process unwind it once, and not disturb that."""

    def end(number: int, _: object) -> NoReturn:
        for one in handled:
            signal.signal(one, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handled = [one for one in signals if signal.getsignal(one) is not signal.SIG_IGN]
    for one in handled:
        signal.signal(one, end)
