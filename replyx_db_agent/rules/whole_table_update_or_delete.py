"""UPDATE or DELETE changes every row of an existing table in one statement.

All row locks are held to the commit, every row is written twice (bloat, WAL, replication lag), and
nobody sees which values changed. `WHERE true` is no condition:
https://www.postgresql.org/docs/current/routine-vacuuming.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, plan text);
UPDATE users SET plan = 'free';
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, plan text);
DELETE FROM users WHERE id IS NOT NULL;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, plan text);
UPDATE users SET plan = 'free' WHERE plan IS NULL AND id BETWEEN 1 AND 1000;
```

```sql
CREATE TABLE plans (id bigint PRIMARY KEY, name text);
UPDATE plans SET name = 'free';
```
"""

from replyx_db_agent.core.model import ChangeRows, Facts, HazardKind, Operation, Risk

KIND = HazardKind.SILENT_DATA_CHANGE
RISK = Risk.HIGH
INSTEAD = (
    "A data revision (draft_revision) in batches, each committed and logged: {verb} rows of "
    "{table} WHERE id > :last AND id <= :next, 1000 at a time."
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on a change without a condition that narrows it down."""
    if isinstance(operation, ChangeRows) and operation.whole_table:
        return f"This {operation.verb} changes every row of {operation.table!r} in one statement."
    return None
