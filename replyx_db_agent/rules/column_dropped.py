"""A column is dropped.

Its values are lost, with every index and constraint on it, and running code that still selects or
writes it fails: an ORM names all columns it knows. ACCESS EXCLUSIVE, briefly:
https://www.postgresql.org/docs/current/sql-altertable.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, nickname text);
ALTER TABLE users DROP COLUMN nickname;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
-- upgrade: ALTER TABLE users ADD COLUMN nickname text;
-- downgrade
ALTER TABLE users DROP COLUMN nickname;
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, nickname text NOT NULL);
ALTER TABLE users ALTER COLUMN nickname DROP NOT NULL;
```
"""

from replyx_db_agent.core.model import DropColumn, Facts, HazardKind, Operation, Risk

KIND = HazardKind.LOSES_DATA
RISK = Risk.HIGH
INSTEAD = (
    "Release code that no longer names {table}.{column} first; drop it in a later release, in a "
    "revision that keeps its values (draft_revision with `destructive` writes one)."
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on every DROP COLUMN."""
    if isinstance(operation, DropColumn):
        name = f"{operation.table}.{operation.column}"
        return f"Dropping column {name!r} loses its values and breaks code that names it."
    return None
