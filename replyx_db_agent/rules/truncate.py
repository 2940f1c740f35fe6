"""A table is emptied with TRUNCATE.

All rows are lost at once under an ACCESS EXCLUSIVE lock, without row triggers, and not visible to
concurrent snapshots: https://www.postgresql.org/docs/current/sql-truncate.html

Bad:

```sql
-- before: CREATE TABLE sessions (id bigint PRIMARY KEY);
TRUNCATE sessions;
```

Good:

```sql
-- before: CREATE TABLE sessions (id bigint PRIMARY KEY, expired boolean);
DELETE FROM sessions WHERE expired AND id BETWEEN 1 AND 1000;
```
"""

from replyx_db_agent.core.model import Facts, HazardKind, Operation, Risk, Truncate

KIND = HazardKind.LOSES_DATA
RISK = Risk.HIGH
INSTEAD = (
    "In a data revision, in batches: DELETE FROM {table} WHERE id IN "
    "(SELECT id FROM {table} WHERE <condition> ORDER BY id LIMIT 1000);"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on every TRUNCATE."""
    if isinstance(operation, Truncate):
        return f"TRUNCATE loses all rows of {operation.table!r} and blocks its readers meanwhile."
    return None
