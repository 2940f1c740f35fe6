"""A table is locked by hand.

LOCK TABLE without a mode is ACCESS EXCLUSIVE, kept until the commit; in weaker modes it still
invites deadlocks with the application: https://www.postgresql.org/docs/current/sql-lock.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
LOCK TABLE users;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
SELECT count(*) FROM users;
```
"""

from replyx_db_agent.core.model import AlterOther, Facts, HazardKind, Operation, Risk

KIND = HazardKind.BLOCKS_READS
RISK = Risk.MEDIUM
INSTEAD = "Leave it out: each statement takes the weakest lock on {table} that it needs."


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on LOCK TABLE."""
    match operation:
        case AlterOther(what="LOCK TABLE", table=table):
            return f"LOCK TABLE holds {table!r} until the commit."
    return None
