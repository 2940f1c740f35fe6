"""A CHECK constraint is added to an existing table and all rows are checked at once.

The scan runs under ACCESS EXCLUSIVE. NOT VALID skips it, and VALIDATE CONSTRAINT later does it
under SHARE UPDATE EXCLUSIVE:
https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, age int);
ALTER TABLE users ADD CONSTRAINT grown_up CHECK (age > 17);
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, age int);
ALTER TABLE users ADD CONSTRAINT grown_up CHECK (age > 17) NOT VALID;
-- next revision
ALTER TABLE users VALIDATE CONSTRAINT grown_up;
```
"""

from replyx_db_agent.core.model import AddConstraint, Facts, HazardKind, Operation, Risk

KIND = HazardKind.BLOCKS_READS
RISK = Risk.MEDIUM
INSTEAD = (
    "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({expression}) NOT VALID; "
    "in the next revision: ALTER TABLE {table} VALIDATE CONSTRAINT {name};"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on a CHECK that is not NOT VALID."""
    match operation:
        case AddConstraint(table, "check", not_valid=False) as added:
            name = added.name or "without a name"
            return f"CHECK {name!r} scans all of {table!r} while nobody can read it."
    return None
