"""Which tables keep what a destructive revision takes away."""

from __future__ import annotations


def is_archive(table: str) -> bool:
    """Recognise an archive: in the schema that drafts keep rows in, or named so by people."""
    return table.startswith("replyx_db_agent.") or "archive" in table.lower()
