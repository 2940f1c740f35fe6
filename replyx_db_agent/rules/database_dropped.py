"""A database is dropped.

Everything in it is lost, and it cannot be undone or run in a transaction:
https://www.postgresql.org/docs/current/sql-dropdatabase.html

Bad:

```sql
-- autocommit
DROP DATABASE IF EXISTS reports_of_2019;
```

Good:

```sql
-- before: CREATE SCHEMA old;
CREATE SCHEMA IF NOT EXISTS old;
```
"""

from replyx_db_agent.core.model import DropObject, Facts, HazardKind, Operation, Risk

KIND = HazardKind.LOSES_DATA
RISK = Risk.HIGH
ALWAYS = True
INSTEAD = "Take it out of the revision: a person drops database {name} by hand, after a backup."


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on DROP DATABASE."""
    if isinstance(operation, DropObject) and operation.kind == "database":
        return f"Dropping database {operation.name!r} loses everything that is in it."
    return None
