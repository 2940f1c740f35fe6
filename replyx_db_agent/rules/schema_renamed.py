"""A schema is renamed.

Every qualified name in running code, and every search_path that names the schema, fails from the
commit on: https://www.postgresql.org/docs/current/sql-alterschema.html

Bad:

```sql
-- before: CREATE SCHEMA billing;
ALTER SCHEMA billing RENAME TO invoicing;
```

Good:

```sql
-- before: CREATE SCHEMA billing;
CREATE SCHEMA invoicing;
```
"""

from replyx_db_agent.core.model import AlterOther, Facts, HazardKind, Operation, Risk

KIND = HazardKind.BREAKS_RUNNING_CODE
RISK = Risk.HIGH
INSTEAD = (
    "CREATE SCHEMA <new>; move the tables one at a time, each with a view under its old name: "
    "ALTER TABLE {name}.<table> SET SCHEMA <new>; "
    "CREATE VIEW {name}.<table> AS SELECT * FROM <new>.<table>;"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on ALTER SCHEMA ... RENAME TO."""
    match operation:
        case AlterOther(what="ALTER SCHEMA ... RENAME TO", name=name):
            return f"Renaming schema {name!r} breaks every qualified name in running code."
    return None
