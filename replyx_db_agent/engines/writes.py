"""What PostgreSQL counted in one transaction: in which tables rows were deleted or overwritten.

The counters are PostgreSQL's own (pg_stat_xact_user_tables), so it does not matter where a
statement hid. A table that was emptied or written anew (TRUNCATE, a rewrite) has a new file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from replyx_db_agent.engines.catalog import Query

Verb = Literal["delete", "update", "new file"]

_COUNTERS: tuple[Verb, ...] = ("delete", "update")
_COUNTED = """
SELECT s.relid::text, quote_ident(s.schemaname) || '.' || quote_ident(s.relname),
       s.n_tup_del, s.n_tup_upd, pg_relation_filenode(s.relid)::text
FROM pg_catalog.pg_stat_xact_user_tables AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.relid
WHERE c.relpersistence <> 't' AND s.schemaname NOT IN ('replyx_trace', 'replyx_db_agent')
"""


@dataclass(frozen=True)
class Write:
    """Rows of a table were deleted or overwritten, or the whole table was written anew (0)."""

    table: str
    verb: Verb
    rows: int = 0


@dataclass
class Watch:
    """The counters before a step; `look` compares them within the step's transaction."""

    query: Query
    before: dict[str, list[object]] = field(init=False)
    found: frozenset[Write] = frozenset()

    def __post_init__(self) -> None:
        self.before = self._counters()

    def look(self) -> str | None:
        """Remember what the step wrote; called before it commits."""
        self.found = frozenset(
            write
            for relation, now in self._counters().items()
            if relation in self.before
            for write in _writes(self.before[relation], now)
        )
        return None

    def _counters(self) -> dict[str, list[object]]:
        return {str(relation): rest for relation, *rest in self.query(_COUNTED)}


def _writes(before: list[object], now: list[object]) -> list[Write]:
    table = str(before[0]).removeprefix("public.")
    # A counter that starts again belongs to another transaction.
    counted = [
        Write(table, verb, int(str(new)) - min(int(str(old)), int(str(new))))
        for verb, old, new in zip(_COUNTERS, before[1:3], now[1:3], strict=True)
        if new != old and new
    ]
    return [*counted, Write(table, "new file")] if now[3] != before[3] else counted
