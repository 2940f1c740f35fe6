"""MCP adapter: serves every tool of the registry; adds no behaviour."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import anyio
import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.elicitation import AcceptedElicitation
from mcp.server.mcpserver import Context, Elicit, ElicitationResult, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import Prompt, PromptArgument
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, create_model

from replyx_db_agent import __version__
from replyx_db_agent.config import Language, load
from replyx_db_agent.core.call import Call
from replyx_db_agent.core.errors import Cancelled, DbAgentError, GuardrailRefusal
from replyx_db_agent.core.report import Report
from replyx_db_agent.core.unexpected import unexpected
from replyx_db_agent.cycle.present import as_data, as_text
from replyx_db_agent.engines.redact import redact, redact_all, secrets_of
from replyx_db_agent.resources import PromptText, prompts
from replyx_db_agent.tools.apply_revision import question_for
from replyx_db_agent.tools.registry import TOOLS, Tool

INSTRUCTIONS = (
    "Changes of a PostgreSQL schema in an Alembic project: inspect_diff, draft_revision, "
    "check_revision, run_stairway, explain_query, write_docs, apply_revision, record_task, in "
    "this order. The tools run the project's own code on a shadow database. A refusal names its "
    "guardrail and what to do instead; no argument lifts it."
)
_T = TypeVar("_T")

HEARTBEAT = 1.0
"""Seconds after which a tool that says nothing is reported to be still at it."""


class AskedPlan(BaseModel):
    """The plan a person is asked about; `hash` is empty when nobody has to be asked."""

    hash: str = ""
    question: str = ""


class Approval(BaseModel):
    """The person's answer to one plan."""

    approve: bool = Field(description="Apply exactly this plan to this environment")


def build(root: Path) -> MCPServer:
    """Return a server with every tool, for the project in `root` (read anew at each call)."""
    server = MCPServer("replyx-db-agent", instructions=INSTRUCTIONS, version=__version__)
    for tool in TOOLS.values():
        hints = ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
            open_world_hint=False,
        )
        served = _served_apply(tool, root) if tool.name == "apply_revision" else _served(tool, root)
        server.add_tool(
            served,
            name=tool.name,
            title=tool.title,
            description=_description(tool.function()),
            annotations=hints,
        )
    for text in prompts(_language(root)):
        server.add_prompt(_served_prompt(text))
    return server


def _language(root: Path) -> Language:
    """Return the project's language; a project that cannot be read is served in English."""
    try:
        return load(root).language
    except DbAgentError:
        return "en"


def _served_prompt(text: PromptText) -> Prompt:
    """Return one step of the cycle as an MCP prompt."""

    def fill(**values: str) -> str:
        return text.render(values)

    arguments = [PromptArgument(name=n, description=None, required=False) for n in text.arguments]
    return Prompt(
        name=text.name,
        title=None,
        description=text.summary,
        arguments=arguments,
        fn=fill,
        context_kwarg=None,
    )


def _served(tool: Tool, root: Path) -> Callable[..., Awaitable[CallToolResult]]:
    """Return the tool as the SDK registers it: same arguments, a shallow typed result."""
    function = tool.function()

    async def call(ctx: Context, **arguments: Any) -> CallToolResult:
        return await _run(ctx, root, function, arguments)

    return _with_signature(call, function, leave_out=("call",))


def _served_apply(tool: Tool, root: Path) -> Callable[..., Awaitable[CallToolResult]]:
    """Return apply_revision with its approval: asked of the client's user, never an argument.

    The plan is resolved once a round and the question is made from it, so the answer counts for
    exactly the plan that was shown (docs of the SDK: `Resolve`).
    """
    function = tool.function()

    async def plan(ctx: Context, environment: str, revision: str) -> AskedPlan:
        asked = partial(question_for, environment=environment, revision=revision)
        found = await _in_thread(ctx, root, asked)
        return AskedPlan(hash=found[0], question=found[1]) if found else AskedPlan()

    async def ask(ctx: Context, asked: AskedPlan) -> Approval | Elicit[Approval]:
        if not asked.hash or not _can_ask(ctx):
            return Approval(approve=False)
        return Elicit(asked.question, Approval)

    async def call(
        ctx: Context, asked: AskedPlan, approval: ElicitationResult[Approval], **arguments: Any
    ) -> CallToolResult:
        said_yes = isinstance(approval, AcceptedElicitation) and approval.data.approve
        approved = asked.hash if said_yes else ""
        return await _run(
            ctx,
            root,
            function,
            {**arguments, "approved_plan": approved, "by_person": _can_ask(ctx)},
        )

    # Annotated by hand: the names are local, so the SDK could not look them up from text.
    plan.__annotations__ = {
        "ctx": Context,
        "environment": str,
        "revision": str,
        "return": AskedPlan,
    }
    resolved_plan = Annotated[AskedPlan, Resolve(plan)]
    ask.__annotations__ = {
        "ctx": Context,
        "asked": resolved_plan,
        "return": Approval | Elicit[Approval],
    }
    return _with_signature(
        call,
        function,
        leave_out=("call", "approved_plan", "by_person"),
        resolved={
            "asked": resolved_plan,
            "approval": Annotated[ElicitationResult[Approval], Resolve(ask)],
        },
    )


def _can_ask(ctx: Context) -> bool:
    """Say whether the client can show a form to its user; one that cannot has not approved."""
    capabilities = ctx.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _with_signature(
    call: Callable[..., Awaitable[CallToolResult]],
    function: Callable[..., Any],
    leave_out: tuple[str, ...],
    resolved: Mapping[str, Any] | None = None,
) -> Callable[..., Awaitable[CallToolResult]]:
    """Give the wrapper the tool's own parameters, their descriptions, and its shallow result."""
    hints, described = get_type_hints(function), _parameters(function)
    parameters = [
        parameter.replace(
            annotation=Annotated[hints[name], Field(description=described[name])],
            kind=inspect.Parameter.KEYWORD_ONLY,
        )
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in leave_out
    ]
    extra = {"ctx": Context, **(resolved or {})}
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
        for name, annotation in extra.items()
    ]
    result = Annotated[CallToolResult, _shallow(hints["return"])]
    call.__name__ = function.__name__
    call.__signature__ = inspect.Signature(parameters, return_annotation=result)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": result}
    return call


def _shallow(report: type) -> type[BaseModel]:
    """Return a model of the report whose top-level fields are typed and whose items are open."""
    hints = get_type_hints(report)
    members: dict[str, Any] = {
        field.name: (_open(hints[field.name]), ...) for field in fields(report)
    }
    return create_model(report.__name__, __config__=ConfigDict(extra="forbid"), **members)


def _open(hint: Any) -> Any:
    """Return the JSON type of a field: lists and objects keep no inner schema."""
    if get_origin(hint) is tuple:
        return list[str] if get_args(hint)[0] is str else list[Any]
    if get_origin(hint) is Literal or hint in (str, bool, int, float):
        return hint
    if isinstance(hint, type) and issubclass(hint, str):
        return Literal[tuple(str(one) for one in hint)]  # type: ignore[attr-defined]
    return dict[str, Any] | None


def _description(function: Callable[..., Any]) -> str:
    """Return the docstring without its Args: they describe the parameters."""
    return inspect.cleandoc(function.__doc__ or "").partition("\nArgs:")[0].strip()


def _parameters(function: Callable[..., Any]) -> dict[str, str]:
    """Return what the docstring says of each parameter."""
    text = inspect.cleandoc(function.__doc__ or "").partition("\nArgs:")[2]
    found = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", text, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", words) for name, words in found}


async def _run(
    ctx: Context, root: Path, function: Callable[..., Report], arguments: dict[str, Any]
) -> CallToolResult:
    """Run a tool in a thread and return its report as text and as data, no secret in either."""
    report = await _in_thread(ctx, root, partial(function, **arguments))
    secrets = secrets_of(os.environ)
    return CallToolResult(
        content=[TextContent(type="text", text=redact_all(as_text(report), secrets))],
        structured_content=redact_all(json.loads(json.dumps(as_data(report))), secrets),
    )


async def _in_thread(ctx: Context, root: Path, work: Callable[[Call], _T]) -> _T:
    """Run blocking work with progress; when the call is withdrawn, end what it started."""
    said = _Said()
    call = Call(root, said.tell)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_report_progress, ctx, said)
        try:
            outcome = await anyio.to_thread.run_sync(_outcome, work, call, abandon_on_cancel=True)
        except anyio.get_cancelled_exc_class():
            call.cancel.set()
            raise
        tasks.cancel_scope.cancel()
    # Raised out here: a task group would wrap it, and the SDK hide its text.
    if isinstance(outcome, ToolError):
        raise outcome
    return outcome


_running: set[Call] = set()


def _outcome(work: Callable[[Call], _T], call: Call) -> _T | ToolError:
    """Do the work in this thread; return its result, or its error as the model may read it."""
    _running.add(call)
    try:
        return work(call)
    except Cancelled:
        return ToolError("The call was withdrawn; whatever it had started was ended.")
    except GuardrailRefusal as error:
        return ToolError(_redacted(f"Refused ({error.guardrail}). {error}"))
    except DbAgentError as error:
        return ToolError(_redacted(str(error)))
    except Exception as error:  # noqa: BLE001 - the SDK would show the model nothing, and log it all
        sys.stderr.write(_redacted(traceback.format_exc()))
        return ToolError(_redacted(str(unexpected(error))))
    finally:
        _running.discard(call)


def withdraw_all(patience: float = 2.0) -> None:
    """End every running call, and give its thread a moment to clean up."""
    for call in tuple(_running):
        call.cancel.set()
    deadline = time.monotonic() + patience
    while _running and time.monotonic() < deadline:
        time.sleep(0.01)


def _redacted(text: str) -> str:
    return redact(text, secrets_of(os.environ))


class _Said:
    """The latest sentence of a running tool; written by its thread, read by the event loop."""

    def __init__(self) -> None:
        self.sentence = "Started"
        self.count = 0

    def tell(self, sentence: str) -> None:
        self.sentence = sentence
        self.count += 1


async def _report_progress(ctx: Context, said: _Said) -> None:
    """Report each new sentence at once, and that the tool is still at it every second."""
    started = anyio.current_time()
    seen, number, beat = 0, 0, started
    while True:
        await anyio.sleep(0.1)
        now = anyio.current_time()
        if said.count == seen and now - beat < HEARTBEAT:
            continue
        seen, beat, number = said.count, now, number + 1
        message = _redacted(f"{said.sentence} ({now - started:.0f} s)")
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await ctx.report_progress(number, None, message)
