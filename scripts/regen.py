"""Write every generated file, or with --check fail if one is stale."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import click
from mcp import Client

from replyx_db_agent.cli import cli
from replyx_db_agent.rules import DESTRUCTIVE, RULES
from replyx_db_agent.server import build
from replyx_db_agent.tools.registry import TOOLS

ROOT = Path(__file__).resolve().parents[1]
ITEMS = {
    "changes": "object, object_kind, change (added, removed, changed), detail, hazards, risk",
    "suggested_renames": "pairs [old, new] that look like a rename; never assumed",
    "docs_due": "documents below docs/db that the change makes due",
    "revisions": {
        "draft_revision": "path, revision, phase (single, expand, backfill, contract)",
        "check_revision": "the ids that were judged, in order",
        "run_stairway": "revision, path, outcome, differences, rows, hazards, seconds",
    },
    "remaining": "what is left for a later draft, or could not be proved, and why",
    "hazards": "rule, kind, risk (note, low, medium, high), object, message, instead, file, line, "
    "evidence",
    "queries": "name, before, after (where, milliseconds, buffers, rows, shape, plan), verdict",
    "layers": "what kept the rehearsal on its shadow",
    "steps": "what ran, one line a revision",
    "plan": "SHA-256 of the release plan, as the person who approved it saw it",
    "refusal": "guardrail, problem, instead; null when nothing was refused",
    "answer": "the seven parts of the answer as one Markdown text",
    "notes": "sentences worth reading; they are no findings",
}


async def served_tools() -> list:
    async with Client(build(ROOT)) as client:
        return (await client.list_tools()).tools


def outputs() -> Iterator[tuple[Path, str]]:
    for tool in anyio.run(served_tools):
        contract = json.loads(tool.model_dump_json(exclude_none=True, by_alias=True))
        yield ROOT / f"tools/{tool.name}.json", json.dumps(contract, indent=2) + "\n"
        yield ROOT / f"docs/tools/{tool.name}.md", tool_page(contract)
    for name, rule in RULES.items():
        yield ROOT / f"docs/rules/{name}.md", rule_page(name, rule)
    yield ROOT / "docs/rules/README.md", rules_page()
    yield ROOT / "docs/cli.md", cli_page()


def tool_page(contract: dict) -> str:
    name = contract["name"]
    lines = [f"# {name}", "", contract["description"], ""]
    lines += [f"On the command line: `replyx-db-agent {TOOLS[name].command}`.", ""]
    lines += ["| argument | type | default | meaning |", "|---|---|---|---|"]
    required = contract["inputSchema"].get("required", [])
    for key, schema in contract["inputSchema"]["properties"].items():
        default = "required" if key in required else f"`{json.dumps(schema.get('default'))}`"
        lines.append(f"| `{key}` | {kind(schema)} | {default} | {schema.get('description', '')} |")
    lines += ["", "| result | type | items |", "|---|---|---|"]
    for key, schema in contract["outputSchema"]["properties"].items():
        items = ITEMS.get(key, "")
        items = items if isinstance(items, str) else items[name]
        lines.append(f"| `{key}` | {kind(schema)} | {items} |")
    hints = contract["annotations"]
    said = ", ".join(f"{key}: {str(hints[key]).lower()}" for key in sorted(hints) if key != "title")
    return "\n".join([*lines, "", f"Hints: {said}.", ""])


def kind(schema: dict) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(f"`{one}`" for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(kind(one) for one in schema["anyOf"])
    return "list" if schema.get("type") == "array" else schema.get("type", "any")


def rule_page(name: str, rule: object) -> str:
    grave = " · destructive (G1)" if name in DESTRUCTIVE else ""
    head = f"# {name}\n\nHazard: `{rule.KIND}` · risk: {rule.RISK}{grave}\n\n"
    return f"{head}{rule.__doc__.strip()}\n\nInstead:\n\n```\n{rule.INSTEAD}\n```\n"


def rules_page() -> str:
    lines = ["# Rules", "", "| rule | hazard | risk | |", "|---|---|---|---|"]
    for name, rule in RULES.items():
        grave = "destructive" if name in DESTRUCTIVE else ""
        lines.append(f"| [{name}]({name}.md) | {rule.KIND} | {rule.RISK} | {grave} |")
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    parts = ["# Command line\n", help_of(cli, "replyx-db-agent")]
    for name, command in sorted(cli.commands.items()):
        parts.append(f"## {name}\n\n{help_of(command, f'replyx-db-agent {name}')}")
    return "\n".join(parts)


def help_of(command: click.Command, name: str) -> str:
    context = click.Context(
        command, info_name=name, terminal_width=90, max_content_width=90, color=False
    )
    return f"```\n{command.get_help(context).rstrip()}\n```\n"


def main() -> None:
    wanted = dict(outputs())
    folders = ("tools", "docs/tools", "docs/rules")
    there = {p for folder in folders for p in (ROOT / folder).glob("*.*")} - wanted.keys()
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text("utf-8") != text]
    if "--check" in sys.argv:
        names = ", ".join(str(p.relative_to(ROOT)) for p in (*stale, *there))
        sys.exit(f"Stale: {names}. Run scripts/fmt." if names else 0)
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], "utf-8")
    for path in there:
        path.unlink()


if __name__ == "__main__":
    main()
