"""A value of an enum type is renamed.

Every row shows the new value at once, and running code that writes or compares the old one fails
with "invalid input value for enum": https://www.postgresql.org/docs/current/sql-altertype.html

Bad:

```sql
-- before: CREATE TYPE status AS ENUM ('new', 'done');
ALTER TYPE status RENAME VALUE 'done' TO 'closed';
```

Good:

```sql
-- before: CREATE TYPE status AS ENUM ('new', 'done');
ALTER TYPE status ADD VALUE IF NOT EXISTS 'closed';
```
"""

from replyx_db_agent.core.model import AlterOther, Facts, HazardKind, Operation, Risk

KIND = HazardKind.BREAKS_RUNNING_CODE
RISK = Risk.HIGH
INSTEAD = (
    "Expand: ALTER TYPE {name} ADD VALUE IF NOT EXISTS '<new>'; release code that reads both, "
    "move the rows in batches, then release code that only knows the new value."
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on ALTER TYPE ... RENAME VALUE."""
    match operation:
        case AlterOther(what="ALTER TYPE ... RENAME VALUE", name=name):
            return f"Renaming a value of enum {name!r} breaks running code that uses the old value."
    return None
