"""A column gets a type that is stored in another way.

PostgreSQL writes the whole table and its indexes again under ACCESS EXCLUSIVE: nobody reads or
writes it meanwhile. Not rewritten: a longer varchar, varchar to text, cidr to inet, a numeric with
more digits and the same scale: https://www.postgresql.org/docs/current/sql-altertable.html

Bad:

```sql
-- before: CREATE TABLE orders (id integer PRIMARY KEY);
ALTER TABLE orders ALTER COLUMN id TYPE bigint;
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name character varying(50));
ALTER TABLE users ALTER COLUMN name TYPE text USING lower(name);
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name character varying(50));
ALTER TABLE users ALTER COLUMN name TYPE text;
```

```sql
-- before: CREATE TABLE hosts (id bigint PRIMARY KEY, net cidr);
ALTER TABLE hosts ALTER COLUMN net TYPE inet;
```

```sql
CREATE TABLE orders (id integer PRIMARY KEY);
ALTER TABLE orders ALTER COLUMN id TYPE bigint;
```
"""

import re

from replyx_db_agent.core.model import AlterColumnType, Facts, HazardKind, Operation, Risk
from replyx_db_agent.rules._types import effect, old_type

KIND = HazardKind.REWRITES_TABLE
RISK = Risk.HIGH
INSTEAD = (
    "ALTER TABLE {table} ADD COLUMN {column}_new {new_type}; write both columns (a trigger does), "
    "backfill in batches, switch the readers, drop {column} in a later release."
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire unless the change is known to leave the stored values as they are."""
    if not isinstance(operation, AlterColumnType):
        return None
    old = old_type(operation, facts)
    if old and effect(old, operation.new_type) == "none" and not _computes(operation):
        return None
    name, was = f"{operation.table}.{operation.column}", old or "a type that is not known here"
    return (
        f"{name!r} goes from {was} to {operation.new_type}: "
        f"table {operation.table!r} is rewritten while nobody can read it."
    )


def _computes(operation: AlterColumnType) -> bool:
    """Say whether USING does more than name the column or cast it."""
    expression = operation.expression or operation.column
    plain = rf'\(*"?{re.escape(operation.column)}"?\)*(::[\w ."]+(\([\d, ]+\))?(\[\])?)?\)*'
    return re.fullmatch(plain, expression) is None
