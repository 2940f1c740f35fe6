"""A NOT NULL column without a default is added to an existing table.

On a table with rows the statement fails; on an empty one the INSERTs of the running code, which do
not name the column, fail from then on: https://www.postgresql.org/docs/current/ddl-alter.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN plan text NOT NULL;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN plan text NOT NULL DEFAULT 'free';
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN plan text;
```
"""

from replyx_db_agent.core.model import AddColumn, Facts, HazardKind, Operation, Risk

KIND = HazardKind.FAILS_ON_DATA
RISK = Risk.HIGH
INSTEAD = (
    "ALTER TABLE {table} ADD COLUMN {column} {type} NOT NULL DEFAULT <constant>; or add it "
    "nullable, backfill it, and require it in a later release."
)

_FILLED_BY_ITSELF = ("serial", "bigserial", "smallserial")


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire when nothing gives the existing rows a value."""
    if not isinstance(operation, AddColumn) or not operation.not_null:
        return None
    if operation.default or operation.generated or operation.type in _FILLED_BY_ITSELF:
        return None
    name = f"{operation.table}.{operation.column}"
    return (
        f"{name!r} is NOT NULL without a default: existing rows and running INSERTs have no value."
    )
