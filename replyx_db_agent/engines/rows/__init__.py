"""Rows for a rehearsal: making them, and telling by digests what became of them."""

from replyx_db_agent.engines.rows.digest import ColumnDigest, Digests, TableDigest, compare, digest
from replyx_db_agent.engines.rows.fill import FillReport, fill

__all__ = [
    "ColumnDigest",
    "Digests",
    "FillReport",
    "TableDigest",
    "compare",
    "digest",
    "fill",
]
