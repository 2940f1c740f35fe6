"""A view, function, procedure or foreign table is dropped and not made again in the same run.

Running code, other views and triggers that use it fail:
https://www.postgresql.org/docs/current/sql-dropview.html,
https://www.postgresql.org/docs/current/sql-dropfunction.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, active boolean);
-- before: CREATE VIEW active_users AS SELECT id FROM users WHERE active;
DROP VIEW active_users;
```

```sql
-- before: CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
DROP FUNCTION twice(int);
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, active boolean);
-- before: CREATE VIEW active_users AS SELECT id FROM users WHERE active;
CREATE OR REPLACE VIEW active_users AS SELECT id, active FROM users WHERE active;
```

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, active boolean);
-- before: CREATE VIEW active_users AS SELECT id, active FROM users WHERE active;
DROP VIEW active_users;
CREATE VIEW active_users AS SELECT id FROM users WHERE active;
```
"""

from collections.abc import Iterator, Sequence

from replyx_db_agent.core.model import (
    CreateObject,
    DropObject,
    Facts,
    HazardKind,
    Operation,
    Risk,
    Statement,
)
from replyx_db_agent.rules._timeline import moments

KIND = HazardKind.BREAKS_RUNNING_CODE
RISK = Risk.HIGH
INSTEAD = (
    "Replace it in place (CREATE OR REPLACE {kind} {name} ...), or make {name} again in the same "
    "transaction; drop it in a contract revision, when no released code uses it."
)

_KINDS = (
    "view",
    "materialized view",
    "function",
    "procedure",
    "routine",
    "aggregate",
    "foreign table",
)


def check_all(statements: Sequence[Statement], facts: Facts) -> Iterator[tuple[int, str]]:
    """Fire on a drop whose object is not created again in the same transaction."""
    run = list(moments(statements, facts))
    for moment in run:
        dropped = moment.operation
        if not isinstance(dropped, DropObject) or dropped.kind not in _KINDS:
            continue
        later = (
            other.operation
            for other in run
            if other.index >= moment.index and other.transaction == moment.transaction
        )
        if not any(_makes(operation, dropped.name) for operation in later):
            yield (
                moment.index,
                f"Dropping {dropped.kind} {dropped.name!r} breaks code and objects that use it.",
            )


def _makes(operation: Operation, name: str) -> bool:
    """Say whether the operation creates an object of that name."""
    return isinstance(operation, CreateObject) and operation.name == name
