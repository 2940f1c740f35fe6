"""A column is added to an existing table together with a constraint.

The constraint's scan or index build, and for REFERENCES the lock on the other table, happen under
the ACCESS EXCLUSIVE lock of ADD COLUMN: https://www.postgresql.org/docs/current/sql-altertable.html

Bad:

```sql
-- before: CREATE TABLE teams (id bigint PRIMARY KEY);
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN team_id bigint REFERENCES teams (id);
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN email text UNIQUE;
```

Good:

```sql
-- before: CREATE TABLE teams (id bigint PRIMARY KEY);
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN team_id bigint;
ALTER TABLE users ADD CONSTRAINT users_team_id_fkey
    FOREIGN KEY (team_id) REFERENCES teams (id) NOT VALID;
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN plan text NOT NULL DEFAULT 'free';
```
"""

from replyx_db_agent.core.model import AddColumn, Facts, HazardKind, Operation, Risk

KIND = HazardKind.BLOCKS_READS
RISK = Risk.MEDIUM
INSTEAD = (
    "ALTER TABLE {table} ADD COLUMN {column} {type}; then the constraint apart: a foreign key or "
    "CHECK as NOT VALID, validated in a later transaction; UNIQUE through "
    "CREATE UNIQUE INDEX CONCURRENTLY and ADD CONSTRAINT ... USING INDEX."
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on ADD COLUMN with REFERENCES, UNIQUE, PRIMARY KEY or CHECK."""
    if isinstance(operation, AddColumn) and operation.constraints:
        name = f"{operation.table}.{operation.column}"
        words = " and ".join(word.upper() for word in operation.constraints)
        return f"{name!r} comes with {words}, checked while nobody can read {operation.table!r}."
    return None
