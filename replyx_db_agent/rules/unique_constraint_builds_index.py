"""A UNIQUE or PRIMARY KEY constraint is added without an index that is ready.

PostgreSQL builds the index under ACCESS EXCLUSIVE: the table is closed for the whole build:
https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, email text);
ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email);
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, email text);
-- autocommit
CREATE UNIQUE INDEX CONCURRENTLY users_email_key ON users (email);
-- next revision
ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_key;
```
"""

from replyx_db_agent.core.model import AddConstraint, Facts, HazardKind, Operation, Risk

KIND = HazardKind.BLOCKS_READS
RISK = Risk.HIGH
INSTEAD = (
    "In an autocommit block: CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({columns}); "
    "in the next revision: ALTER TABLE {table} ADD CONSTRAINT {name} {kind} USING INDEX {name};"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on UNIQUE and PRIMARY KEY without USING INDEX."""
    match operation:
        case AddConstraint(table, "unique" | "primary key" as kind, using_index=False) as added:
            name = added.name or "without a name"
            return f"{kind.upper()} constraint {name!r} builds its index while {table!r} is closed."
    return None
