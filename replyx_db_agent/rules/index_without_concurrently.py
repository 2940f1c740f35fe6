"""An index is built on an existing table without CONCURRENTLY.

CREATE INDEX takes a SHARE lock: every INSERT, UPDATE and DELETE on the table waits until the build
ends: https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY

Bad:

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY, author bigint);
CREATE INDEX notes_author_idx ON notes (author);
```

Good:

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY, author bigint);
-- autocommit
CREATE INDEX CONCURRENTLY notes_author_idx ON notes (author);
```

```sql
CREATE TABLE notes (id bigint PRIMARY KEY, author bigint);
CREATE INDEX notes_author_idx ON notes (author);
```
"""

from replyx_db_agent.core.model import CreateIndex, Facts, HazardKind, Operation, Risk

KIND = HazardKind.BLOCKS_WRITES
RISK = Risk.HIGH
INSTEAD = (
    "In a revision of its own, inside `with op.get_context().autocommit_block():` "
    "CREATE INDEX CONCURRENTLY {name} ON {table} USING {method} ({columns});"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on a plain CREATE INDEX; ON ONLY a partitioned table builds nothing."""
    if isinstance(operation, CreateIndex) and not operation.concurrently and not operation.only:
        name = operation.name or "without a name"
        return f"Building index {name!r} blocks writes to {operation.table!r} until it ends."
    return None
