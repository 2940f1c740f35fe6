"""A foreign key is added to an existing table and all rows are checked at once.

It holds SHARE ROW EXCLUSIVE on both tables through the scan: no writes to either:
https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES

Bad:

```sql
-- before: CREATE TABLE teams (id bigint PRIMARY KEY);
-- before: CREATE TABLE users (id bigint PRIMARY KEY, team_id bigint);
ALTER TABLE users ADD CONSTRAINT users_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams (id);
```

Good:

```sql
-- before: CREATE TABLE teams (id bigint PRIMARY KEY);
-- before: CREATE TABLE users (id bigint PRIMARY KEY, team_id bigint);
ALTER TABLE users ADD CONSTRAINT users_team_id_fkey
    FOREIGN KEY (team_id) REFERENCES teams (id) NOT VALID;
-- next revision
ALTER TABLE users VALIDATE CONSTRAINT users_team_id_fkey;
```
"""

from replyx_db_agent.core.model import AddConstraint, Facts, HazardKind, Operation, Risk

KIND = HazardKind.BLOCKS_WRITES
RISK = Risk.MEDIUM
INSTEAD = (
    "ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({columns}) "
    "REFERENCES {referenced_table} NOT VALID; "
    "in the next revision: ALTER TABLE {table} VALIDATE CONSTRAINT {name};"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on a foreign key that is not NOT VALID."""
    match operation:
        case AddConstraint(table, "foreign key", not_valid=False, referenced_table=other):
            return (
                f"This foreign key blocks writes to {table!r} and {other!r} while it checks rows."
            )
    return None
