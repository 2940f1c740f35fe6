"""CONCURRENTLY is used inside a transaction.

PostgreSQL refuses it there, whatever the rows: "cannot run inside a transaction block". Alembic
opens one for each run: https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY

Bad:

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY, author bigint);
CREATE INDEX CONCURRENTLY notes_author_idx ON notes (author);
```

Good:

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY, author bigint);
-- autocommit
CREATE INDEX CONCURRENTLY notes_author_idx ON notes (author);
```
"""

from replyx_db_agent.core.model import (
    AlterOther,
    CreateIndex,
    DropIndex,
    Facts,
    HazardKind,
    Operation,
    Risk,
    object_name,
)

KIND = HazardKind.MALFORMED
RISK = Risk.HIGH
INSTEAD = (
    "with op.get_context().autocommit_block():\n"
    '    op.execute("...")  # this statement, alone in its revision'
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on CONCURRENTLY while a transaction is open."""
    if not facts.in_transaction:
        return None
    match operation:
        case CreateIndex(concurrently=True) | DropIndex(concurrently=True):
            pass
        case AlterOther(what=what) if what.endswith("CONCURRENTLY") and "VIEW" not in what:
            pass
        case _:
            return None
    return f"CONCURRENTLY fails inside a transaction: {object_name(operation)!r}."
