"""A column gets a type that holds less.

Values that do not fit make the statement fail, or are rounded or cut off without a word (a smaller
scale, a date instead of a timestamp), and the table is rewritten under ACCESS EXCLUSIVE:
https://www.postgresql.org/docs/current/sql-altertable.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name character varying(200));
ALTER TABLE users ALTER COLUMN name TYPE varchar(50);
```

```sql
-- before: CREATE TABLE orders (id bigint PRIMARY KEY, total numeric(12,4));
ALTER TABLE orders ALTER COLUMN total TYPE numeric(12,2);
```

```sql
-- before: CREATE TABLE orders (id bigint PRIMARY KEY, buyer text);
ALTER TABLE orders ALTER COLUMN buyer TYPE integer USING buyer::integer;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name character varying(50));
ALTER TABLE users ALTER COLUMN name TYPE varchar(200);
```

```sql
-- before: CREATE TABLE orders (id bigint PRIMARY KEY, total numeric(12,2));
ALTER TABLE orders ALTER COLUMN total TYPE numeric(14,2);
```

```sql
-- before: CREATE TABLE orders (id bigint PRIMARY KEY, buyer integer);
ALTER TABLE orders ALTER COLUMN buyer TYPE bigint;
```
"""

from replyx_db_agent.core.model import AlterColumnType, Facts, HazardKind, Operation, Risk
from replyx_db_agent.rules._types import effect, old_type

KIND = HazardKind.LOSES_DATA
RISK = Risk.HIGH
REPLACES = ("column-type-rewritten",)
INSTEAD = (
    "ALTER TABLE {table} ADD COLUMN {column}_new {new_type}; backfill it in batches and count what "
    "does not fit, write both, switch the readers, drop {column} in a later release."
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire when the old type is known and holds more than the new one."""
    if not isinstance(operation, AlterColumnType):
        return None
    old = old_type(operation, facts)
    if old is None or effect(old, operation.new_type) != "narrowed":
        return None
    name = f"{operation.table}.{operation.column}"
    return f"{name!r} goes from {old} to {operation.new_type}, which does not hold every value."
