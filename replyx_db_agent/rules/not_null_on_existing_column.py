"""SET NOT NULL on a column that no valid constraint keeps free of NULL yet.

PostgreSQL scans the whole table under ACCESS EXCLUSIVE, and fails if it meets one NULL. Since 12 it
takes a validated CHECK (column IS NOT NULL) as proof and does not scan; 18 has NOT NULL ... NOT
VALID: https://www.postgresql.org/docs/current/sql-altertable.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, plan text);
ALTER TABLE users ALTER COLUMN plan SET NOT NULL;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, plan text);
ALTER TABLE users ADD CONSTRAINT plan_given CHECK (plan IS NOT NULL) NOT VALID;
-- next revision
ALTER TABLE users VALIDATE CONSTRAINT plan_given;
ALTER TABLE users ALTER COLUMN plan SET NOT NULL;
ALTER TABLE users DROP CONSTRAINT plan_given;
```

```sql
CREATE TABLE users (id bigint PRIMARY KEY, plan text);
ALTER TABLE users ALTER COLUMN plan SET NOT NULL;
```
"""

from replyx_db_agent.core.model import (
    AddConstraint,
    Facts,
    HazardKind,
    Operation,
    Risk,
    SetNotNull,
)

KIND = HazardKind.BLOCKS_READS
RISK = Risk.MEDIUM
INSTEAD = (
    "ALTER TABLE {table} ADD CONSTRAINT {column}_given CHECK ({column} IS NOT NULL) NOT VALID; "
    "in a later transaction: ALTER TABLE {table} VALIDATE CONSTRAINT {column}_given; "
    "ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL; "
    "ALTER TABLE {table} DROP CONSTRAINT {column}_given;"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire unless a constraint validated before proves that there is no NULL."""
    match operation:
        case SetNotNull(table, column):
            pass
        case AddConstraint(table, "not null", not_valid=False, columns=(column,)):
            pass
        case _:
            return None
    if (table, column) in facts.proved_not_null:
        return None
    name = f"{table}.{column}"
    return f"SET NOT NULL on {name!r} scans all of {table!r} while nobody can read it."
