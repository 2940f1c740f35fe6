"""A schema is dropped.

With CASCADE every table, type and function in it goes and the data is lost; without it the
statement fails as long as anything is left: https://www.postgresql.org/docs/current/sql-dropschema.html

Bad:

```sql
-- before: CREATE SCHEMA billing;
DROP SCHEMA billing;
```

Good:

```sql
-- upgrade: CREATE SCHEMA billing;
-- downgrade
DROP SCHEMA billing;
```
"""

from replyx_db_agent.core.model import DropObject, Facts, HazardKind, Operation, Risk

KIND = HazardKind.LOSES_DATA
RISK = Risk.HIGH
INSTEAD = (
    "Move what is still needed (ALTER TABLE {name}.<table> SET SCHEMA <other>), release code "
    "without the schema, drop its objects one by one, then: DROP SCHEMA {name} RESTRICT;"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on every DROP SCHEMA."""
    if isinstance(operation, DropObject) and operation.kind == "schema":
        return (
            f"Dropping schema {operation.name!r} takes what is in it and breaks code that uses it."
        )
    return None
