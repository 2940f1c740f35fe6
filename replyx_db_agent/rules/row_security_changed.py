"""Who may see or change what is changed: row security, policies, privileges, owners, roles.

Enabling row security without a policy hides every row from all but the owner; a GRANT opens what
nobody reviewed. Policies and ENABLE take ACCESS EXCLUSIVE:
https://www.postgresql.org/docs/current/ddl-rowsecurity.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
GRANT SELECT ON users TO PUBLIC;
```

Good:

```sql
CREATE TABLE users (id bigint PRIMARY KEY);
CREATE POLICY everyone ON users USING (true);
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users SET (fillfactor = 90);
```
"""

from replyx_db_agent.core.model import (
    AlterOther,
    DropObject,
    Facts,
    HazardKind,
    Operation,
    Risk,
    object_name,
)

KIND = HazardKind.AUTHORIZATION
RISK = Risk.HIGH
INSTEAD = (
    "Policies first, then ENABLE ROW LEVEL SECURITY, in one transaction; "
    "and a person who owns access rights approves this step by name."
)

_WORDS = (
    "GRANT",
    "REVOKE",
    "GRANT ROLE",
    "REVOKE ROLE",
    "CREATE POLICY",
    "ALTER POLICY",
    "CREATE ROLE",
    "ALTER ROLE",
    "ALTER ROLE ... SET",
    "ALTER DEFAULT PRIVILEGES",
    "REASSIGN OWNED",
    "RENAME POLICY",
)
_ENDINGS = ("OWNER TO", "ROW LEVEL SECURITY")


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on every change of access to what was there before."""
    where = f" of {object_name(operation)!r}" if object_name(operation) else ""
    match operation:
        case AlterOther(what=what) if what in _WORDS or what.endswith(_ENDINGS):
            return f"{what}{where} changes who may see or change data."
        case DropObject(kind="policy" | "role" as kind):
            return f"DROP {kind.upper()}{where} changes who may see or change data."
    return None
