"""A column is added with a default that is computed anew for each row.

PostgreSQL then writes the whole table again under ACCESS EXCLUSIVE. A constant, or a stable
function like now(), is stored once and costs nothing:
https://www.postgresql.org/docs/current/ddl-alter.html#DDL-ALTER-ADDING-A-COLUMN

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid();
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN seen timestamptz DEFAULT now();
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY);
ALTER TABLE users ADD COLUMN token uuid;
ALTER TABLE users ALTER COLUMN token SET DEFAULT gen_random_uuid();
```
"""

import re

from replyx_db_agent.core.model import AddColumn, Facts, HazardKind, Operation, Risk

KIND = HazardKind.REWRITES_TABLE
RISK = Risk.HIGH
INSTEAD = (
    "ALTER TABLE {table} ADD COLUMN {column} {type}; "
    "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default}; "
    "then fill the existing rows in batches, in a data revision."
)

_SAME_FOR_ALL_ROWS = frozenset(
    [
        *("now", "transaction_timestamp", "statement_timestamp", "current_setting", "timezone"),
        *("current_user", "session_user", "current_database", "current_schema", "to_char"),
        *("lower", "upper", "md5", "concat", "coalesce", "nullif", "date_trunc", "make_interval"),
        *("jsonb_build_object", "jsonb_build_array", "json_build_object", "json_build_array"),
        *("to_timestamp", "to_date", "to_tsvector", "array_fill", "repeat", "abs", "round"),
        *("varchar", "numeric", "vector", "halfvec", "bit", "char", "character", "varying"),
        *("timestamp", "timestamptz", "time", "interval", "row", "array", "cast", "extract"),
    ]
)
_QUOTED = re.compile(r"'(?:[^']|'')*'")
_CALL = re.compile(r"([a-z_][\w.]*)\s*\(", re.IGNORECASE)


def check(operation: Operation, facts: Facts) -> str | None:
    """Fire on a default that calls a function not known to give all rows the same value."""
    if not isinstance(operation, AddColumn) or operation.default is None:
        return None
    calls = _CALL.findall(_QUOTED.sub("''", operation.default))
    volatile = [call for call in calls if call.lower().rpartition(".")[2] not in _SAME_FOR_ALL_ROWS]
    if not volatile:
        return None
    name = f"{operation.table}.{operation.column}"
    return (
        f"The default of {name!r} calls {volatile[0]}() for each row: "
        f"table {operation.table!r} is rewritten while nobody can read it."
    )
