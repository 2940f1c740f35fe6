"""A column is renamed.

From the commit on, running code that names the old column fails, and new code fails before it;
ACCESS EXCLUSIVE, briefly: https://www.postgresql.org/docs/current/sql-altertable.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name text);
ALTER TABLE users RENAME COLUMN name TO full_name;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name text);
ALTER TABLE users ADD COLUMN full_name text;
```

```sql
CREATE TABLE users (id bigint PRIMARY KEY, name text);
ALTER TABLE users RENAME COLUMN name TO full_name;
```
"""

from replyx_db_agent.core.model import Facts, HazardKind, Operation, RenameColumn, Risk

KIND = HazardKind.BREAKS_RUNNING_CODE
RISK = Risk.HIGH
INSTEAD = (
    "Expand: ALTER TABLE {table} ADD COLUMN {new_name} <type>; write both columns (a trigger "
    "does), backfill {new_name} in batches, release code that reads it. "
    "Contract, in a later release: ALTER TABLE {table} DROP COLUMN {column};"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on every RENAME COLUMN of a table."""
    if isinstance(operation, RenameColumn):
        name = f"{operation.table}.{operation.column}"
        return (
            f"Renaming column {name!r} to {operation.new_name!r} "
            "breaks the running code at once, and the old code cannot come back."
        )
    return None
