"""Every tool, once: its command and hints. The server and the command line serve this list.

Importing this module imports no tool: start-up would pay for what may never be called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Tool:
    """One tool: its name, the word people type, and the hints of the MCP specification.

    `read_only` means that no file or database of the user changes; the project's own code runs
    all the same. https://modelcontextprotocol.io/specification/2025-11-25/server/tools
    """

    name: str
    command: str
    title: str
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False

    def function(self) -> Callable[..., Any]:
        """Import the tool's module and return its function, which has the same name."""
        function: Callable[..., Any] = getattr(
            import_module(f"replyx_db_agent.tools.{self.name}"), self.name
        )
        return function


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("inspect_diff", "diff", "Inspect the diff", read_only=True, idempotent=True),
        Tool("draft_revision", "draft", "Draft a revision"),
        Tool("check_revision", "check", "Check a revision", read_only=True, idempotent=True),
        Tool("run_stairway", "stairway", "Run the stairway", read_only=True, idempotent=True),
        Tool("explain_query", "explain", "Explain hot queries", read_only=True, idempotent=True),
        Tool("write_docs", "docs", "Write docs/db", idempotent=True),
        Tool("apply_revision", "apply", "Apply revisions", destructive=True, idempotent=True),
        Tool("record_task", "record", "Record the task"),
    )
}
