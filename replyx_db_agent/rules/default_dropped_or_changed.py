"""The default of an existing column is changed or dropped.

Running code that leaves the column out writes another value from then on, or fails if the column is
NOT NULL; rows that exist keep theirs: https://www.postgresql.org/docs/current/ddl-default.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, plan text DEFAULT 'free');
ALTER TABLE users ALTER COLUMN plan SET DEFAULT 'trial';
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, plan text DEFAULT 'free');
ALTER TABLE users ALTER COLUMN plan DROP DEFAULT;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN plan text;
ALTER TABLE users ALTER COLUMN plan SET DEFAULT 'free';
```
"""

from replyx_db_agent.core.model import Facts, HazardKind, Operation, Risk, SetDefault

KIND = HazardKind.SILENT_DATA_CHANGE
RISK = Risk.LOW
INSTEAD = "First release code that always writes {table}.{column} itself; then change the default."


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on SET or DROP DEFAULT of a column that this run did not add."""
    if not isinstance(operation, SetDefault):
        return None
    if (operation.table, operation.column) in facts.new_columns:
        return None
    name = f"{operation.table}.{operation.column}"
    action = "is dropped" if operation.default is None else f"becomes {operation.default}"
    return f"The default of {name!r} {action}: INSERTs of running code change their meaning."
