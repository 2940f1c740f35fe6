"""An extension is created, updated or dropped.

It must be installed on the target's server and the role must have the right; dropping it with
CASCADE takes the columns of its types along:
https://www.postgresql.org/docs/current/sql-createextension.html

Bad:

```sql
CREATE EXTENSION IF NOT EXISTS vector;
```

Good:

```sql
CREATE SCHEMA IF NOT EXISTS search;
```
"""

from replyx_db_agent.core.model import (
    AlterOther,
    CreateObject,
    DropObject,
    Facts,
    HazardKind,
    Operation,
    Risk,
)

KIND = HazardKind.AUTHORIZATION
RISK = Risk.NOTE
INSTEAD = (
    "Check on the target first: "
    "SELECT name, default_version, installed_version FROM pg_available_extensions "
    "WHERE name = '{name}';"
)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on CREATE, ALTER and DROP EXTENSION."""
    match operation:
        case CreateObject("extension", name) | DropObject("extension", name):
            pass
        case AlterOther(what=what, name=name) if what.startswith("ALTER EXTENSION"):
            pass
        case _:
            return None
    return f"Extension {name!r} needs rights, and to be installed on the server it runs on."
