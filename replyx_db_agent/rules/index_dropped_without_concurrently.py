"""An index of an existing table is dropped without CONCURRENTLY.

DROP INDEX takes an ACCESS EXCLUSIVE lock on the table: it waits for the longest running query, and
all that come later, reads too, wait behind it:
https://www.postgresql.org/docs/current/sql-dropindex.html

Bad:

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY, author bigint);
-- before: CREATE INDEX notes_author_idx ON notes (author);
DROP INDEX notes_author_idx;
```

Good:

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY, author bigint);
-- before: CREATE INDEX notes_author_idx ON notes (author);
-- autocommit
DROP INDEX CONCURRENTLY notes_author_idx;
```

```sql
-- upgrade: CREATE TABLE notes (id bigint PRIMARY KEY, author bigint);
-- upgrade: CREATE INDEX notes_author_idx ON notes (author);
-- downgrade
DROP INDEX notes_author_idx;
DROP TABLE notes;
```
"""

from replyx_db_agent.core.model import DropIndex, Facts, HazardKind, Operation, Risk

KIND = HazardKind.BLOCKS_READS
RISK = Risk.MEDIUM
INSTEAD = (
    "In a revision of its own, inside `with op.get_context().autocommit_block():` "
    "DROP INDEX CONCURRENTLY IF EXISTS {name};"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on a plain DROP INDEX."""
    if isinstance(operation, DropIndex) and not operation.concurrently:
        table = facts.index_tables.get(operation.name)
        where = f"table {table!r}" if table else "its table"
        return f"Dropping index {operation.name!r} locks {where} against reads and writes."
    return None
