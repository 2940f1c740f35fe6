"""A table is dropped.

Its rows are lost, running code that names it fails at once, and DROP TABLE takes an ACCESS
EXCLUSIVE lock on it and on every table that a foreign key joins to it:
https://www.postgresql.org/docs/current/sql-droptable.html

Bad:

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY, body text);
DROP TABLE notes;
```

```sql
-- before: CREATE TABLE notes (id bigint PRIMARY KEY, body text);
-- upgrade: CREATE TABLE drafts (id bigint PRIMARY KEY);
-- downgrade
DROP TABLE notes;
```

Good:

```sql
-- upgrade: CREATE TABLE notes (id bigint PRIMARY KEY, body text);
-- downgrade
DROP TABLE notes;
```

```sql
CREATE TABLE notes_import (id bigint PRIMARY KEY);
DROP TABLE notes_import;
```
"""

from replyx_db_agent.core.model import DropTable, Facts, HazardKind, Operation, Risk

KIND = HazardKind.LOSES_DATA
RISK = Risk.HIGH
INSTEAD = (
    "Release code that no longer names {table}. Then, in a contract revision, keep the rows first: "
    "CREATE TABLE {table}_archive AS TABLE {table}; DROP TABLE {table};"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on every DROP TABLE."""
    if isinstance(operation, DropTable):
        return f"Dropping table {operation.table!r} loses its rows and breaks code that names it."
    return None
