"""Calls the tools as a client does: over MCP, in memory, every answer held against its schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
from mcp import Client

from replyx_db_agent.cycle.answer import phrases
from replyx_db_agent.server import build
from tests.projects import Rev

PARTS = ("summary", "ddl", "alembic", "docs", "perf", "rollback", "next")


async def report(root: Path, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that ends well and return its data; the text must hold the answer in full."""
    async with Client(build(root)) as client:
        schema = next(t for t in (await client.list_tools()).tools if t.name == tool).output_schema
        result = await client.call_tool(tool, arguments)
    text = result.content[0].text
    assert not result.is_error, text
    data = result.structured_content
    jsonschema.validate(data, schema)
    assert data["answer"].strip() in text
    assert headings(data["answer"]) == [phrases("en")[f"part.{part}"] for part in PARTS]
    return data


async def text_of(root: Path, tool: str, **arguments: Any) -> str:
    """Call a tool and return what the model reads."""
    async with Client(build(root)) as client:
        return (await client.call_tool(tool, arguments)).content[0].text


async def error(root: Path, tool: str, **arguments: Any) -> str:
    """Call a tool that cannot do its work and return its error."""
    async with Client(build(root)) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    assert result.structured_content is None
    text = result.content[0].text
    assert "Traceback" not in text
    return text


def headings(answer: str) -> list[str]:
    """Return the answer's headings: lines that are bold from end to end, outside of code."""
    text = re.sub(r"^(`{3,})sql$.*?^\1$", "", answer, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^\*\*(.+)\*\*$", text, re.MULTILINE)


def hazards_of(data: dict[str, Any], rule: str) -> list[dict[str, Any]]:
    return [h for h in data["hazards"] if h["rule"] == rule]


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that the file holds exactly once."""
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new), "utf-8")


def edit_models(project: Path, *changes: tuple[str, str]) -> None:
    for old, new in changes:
        edit(project / "backend/database/models.py", old, new)


def add_revision(project: Path, revision: str, name: str, upgrade: str, downgrade: str) -> str:
    """Add a revision on top of the sample's head and return its path."""
    path = f"alembic/versions/{revision}_{name}.py"
    below = sorted(p.name[:12] for p in (project / "alembic/versions").glob("*.py"))
    text = Rev(revision, below[-1], upgrade, downgrade, doc=f"{name}.").text
    (project / path).write_text(text, "utf-8")
    return path


def files_of(root: Path) -> dict[str, bytes]:
    """Return every file below a folder, but for caches and the tools' own state."""
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and not {"__pycache__", ".replyx-db-agent"} & set(p.parts)
    }
