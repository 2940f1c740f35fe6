"""Something is dropped with CASCADE.

CASCADE also drops what depends on it: views, foreign keys, columns of a type, defaults, tables of a
schema. Nobody listed them, so nobody reviewed them, and on production there may be others than
here: https://www.postgresql.org/docs/current/ddl-depend.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
-- before: CREATE VIEW everyone AS SELECT id FROM users;
DROP TABLE users CASCADE;
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
TRUNCATE users CASCADE;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
-- before: CREATE VIEW everyone AS SELECT id FROM users;
DROP VIEW everyone;
DROP TABLE users;
```
"""

from replyx_db_agent.core.model import (
    DropIndex,
    DropObject,
    Facts,
    HazardKind,
    Operation,
    Risk,
    object_name,
)

KIND = HazardKind.LOSES_DATA
RISK = Risk.HIGH
ALWAYS = True
INSTEAD = "Name each dependent object in a DROP of its own, then drop this one without CASCADE."


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on CASCADE in any DROP or TRUNCATE, and on DROP OWNED."""
    name = object_name(operation)
    if isinstance(operation, DropObject) and operation.kind == "owned":
        return f"DROP OWNED BY {name!r} drops every object of that role in this database."
    if getattr(operation, "cascade", False):
        what = f"index {name!r}" if isinstance(operation, DropIndex) else repr(name)
        return f"CASCADE on {what} also drops everything that depends on it, whatever that is."
    return None
