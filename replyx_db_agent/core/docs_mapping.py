"""Which documents a schema change makes due (the mapping from code to docs/db)."""

from __future__ import annotations

from collections.abc import Iterable

from replyx_db_agent.core.schema import Change

SCHEMA = "docs/db/schema.md"
MIGRATIONS = "docs/db/migrations.md"
INDEXES = "docs/db/indexes.md"
ROLLBACK = "docs/db/rollback_plan.md"


def docs_due_for(changes: Iterable[Change]) -> tuple[str, ...]:
    """Return the documents that these changes make due, in a fixed order.

    Every change: schema.md and migrations.md. An index: indexes.md. A foreign key, UNIQUE or
    NOT NULL that changes, and whatever goes away: rollback_plan.md.
    """
    changes = tuple(changes)
    if not changes:
        return ()
    due = [SCHEMA, MIGRATIONS]
    if any(c.object_kind == "index" or _holds(c, "index ") for c in changes):
        due.append(INDEXES)
    if any(_needs_a_way_back(c) for c in changes):
        due.append(ROLLBACK)
    return tuple(due)


def _holds(change: Change, kind: str) -> bool:
    return any(key.startswith(kind) for key in (*change.before, *change.after))


def _needs_a_way_back(change: Change) -> bool:
    if change.change == "removed" and change.object_kind in ("table", "column", "enum"):
        return True
    if change.object_kind == "constraint":
        text = f"{change.before.get('definition')} {change.after.get('definition')}"
        return any(word in text for word in ("FOREIGN KEY", "UNIQUE"))
    return change.object_kind == "column" and change.change == "changed" and "null" in change.after
