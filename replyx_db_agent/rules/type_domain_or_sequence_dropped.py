"""A type, domain or sequence is dropped.

With CASCADE the columns of the type, or the defaults that use the sequence, go too; running code
that casts to the type or calls nextval fails: https://www.postgresql.org/docs/current/sql-droptype.html

Bad:

```sql
-- before: CREATE TYPE status AS ENUM ('new', 'done');
DROP TYPE status;
```

```sql
-- before: CREATE SEQUENCE invoice_numbers;
DROP SEQUENCE invoice_numbers;
```

Good:

```sql
-- upgrade: CREATE TYPE status AS ENUM ('new', 'done');
-- downgrade
DROP TYPE status;
```
"""

from replyx_db_agent.core.model import DropObject, Facts, HazardKind, Operation, Risk

KIND = HazardKind.BREAKS_RUNNING_CODE
RISK = Risk.HIGH
INSTEAD = (
    "Name what still uses {name}, release code without it, then drop it in a contract revision: "
    "DROP {kind} {name} RESTRICT;"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on DROP TYPE, DOMAIN and SEQUENCE."""
    if isinstance(operation, DropObject) and operation.kind in ("type", "domain", "sequence"):
        return f"Dropping {operation.kind} {operation.name!r} breaks code and columns that use it."
    return None
