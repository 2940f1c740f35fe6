"""Names and texts as SQL writes them, where a parameter cannot stand."""

from __future__ import annotations


def quote_ident(name: str) -> str:
    """Return `name` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Return `text` as a literal of SQL that no driver takes for a placeholder."""
    quoted = text.replace("'", "''")
    if "\\" not in text and "%" not in text:
        return f"'{quoted}'"
    escaped = quoted.replace("\\", "\\\\").replace("%", "\\x25")
    return f"E'{escaped}'"
