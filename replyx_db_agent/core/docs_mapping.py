"""Which documents a schema change makes due (the mapping from code to docs/db)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from replyx_db_agent.core.schema import Change

SCHEMA = "docs/db/schema.md"
MIGRATIONS = "docs/db/migrations.md"
INDEXES = "docs/db/indexes.md"
ROLLBACK = "docs/db/rollback_plan.md"

_VECTOR = re.compile(r"(?:type )?(?:vector|halfvec|sparsevec)\b")


def docs_due_for(changes: Iterable[Change]) -> tuple[str, ...]:
    """Return the documents that these changes make due, in a fixed order.

    Every change: schema.md and migrations.md. An index or a vector column: indexes.md. A foreign
    key, UNIQUE or NOT NULL that changes, and whatever goes away: rollback_plan.md.
    """
    changes = tuple(changes)
    if not changes:
        return ()
    due = [SCHEMA, MIGRATIONS]
    if any(_is_about_indexes(c) for c in changes):
        due.append(INDEXES)
    if any(_needs_a_way_back(c) for c in changes):
        due.append(ROLLBACK)
    return tuple(due)


def _is_about_indexes(change: Change) -> bool:
    told = {**change.before, **change.after}
    types = [v or "" for k, v in told.items() if k == "type" or k.startswith("column ")]
    return (
        change.object_kind == "index"
        or any(key.startswith("index ") for key in told)
        or any(_VECTOR.match(text) for text in types)
    )


def _needs_a_way_back(change: Change) -> bool:
    if change.change == "removed" and change.object_kind in ("table", "column", "enum"):
        return True
    if change.object_kind in ("constraint", "index"):
        text = f"{change.before.get('definition')} {change.after.get('definition')}"
        return any(word in text for word in ("FOREIGN KEY", "UNIQUE"))
    if change.object_kind != "column" or "null" not in change.after:
        return False
    return change.change == "changed" or change.after["null"] != "allowed"
