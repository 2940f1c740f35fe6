"""NOT NULL is dropped from a column.

Readers that never met a NULL there will, and once a NULL is stored the way back fails. ACCESS
EXCLUSIVE, briefly: https://www.postgresql.org/docs/current/sql-altertable.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, plan text NOT NULL);
ALTER TABLE users ALTER COLUMN plan DROP NOT NULL;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, plan text NOT NULL);
ALTER TABLE users ALTER COLUMN plan SET DEFAULT 'free';
```
"""

from replyx_db_agent.core.model import DropNotNull, Facts, HazardKind, Operation, Risk

KIND = HazardKind.FAILS_ON_DATA
RISK = Risk.NOTE
INSTEAD = "Say in the revision who reads {table}.{column} and that it copes with NULL."


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on DROP NOT NULL."""
    if isinstance(operation, DropNotNull):
        name = f"{operation.table}.{operation.column}"
        return f"{name!r} may become NULL: its readers must expect that, and the way back can fail."
    return None
