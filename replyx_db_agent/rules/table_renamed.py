"""A table or view is renamed or moved to another schema, and nothing stays under the old name.

Running code that names it fails from the commit on; ACCESS EXCLUSIVE, briefly. An updatable view
under the old name, made in the same transaction, keeps old code alive:
https://www.postgresql.org/docs/current/sql-createview.html

Bad:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name text);
ALTER TABLE users RENAME TO accounts;
```

```sql
-- before: CREATE SCHEMA billing;
-- before: CREATE TABLE invoices (id bigint PRIMARY KEY);
ALTER TABLE invoices SET SCHEMA billing;
```

Good:

```sql
-- before: CREATE TABLE users (id bigint PRIMARY KEY, name text);
ALTER TABLE users RENAME TO accounts;
CREATE VIEW users AS SELECT * FROM accounts;
```
"""

from collections.abc import Iterator, Sequence

from replyx_db_agent.core.model import (
    AlterOther,
    CreateObject,
    Facts,
    HazardKind,
    Operation,
    RenameTable,
    Risk,
    Statement,
)
from replyx_db_agent.rules._timeline import moments

KIND = HazardKind.BREAKS_RUNNING_CODE
RISK = Risk.HIGH
INSTEAD = (
    "In the same transaction, so that old code goes on: "
    "CREATE VIEW {table} AS SELECT * FROM {new_name}; and drop the view in a later release."
)

_MOVES = (
    "ALTER TABLE ... SET SCHEMA",
    "ALTER VIEW ... SET SCHEMA",
    "ALTER MATERIALIZED VIEW ... SET SCHEMA",
    "ALTER VIEW ... RENAME TO",
    "ALTER MATERIALIZED VIEW ... RENAME TO",
)


def check_all(statements: Sequence[Statement], facts: Facts) -> Iterator[tuple[int, str]]:
    """Fire on a rename that leaves no view under the old name in its transaction."""
    run = list(moments(statements, facts))
    for moment in run:
        name = _lost_name(moment.operation)
        stand_ins = (
            later.operation
            for later in run
            if later.index >= moment.index and later.transaction == moment.transaction
        )
        if name and CreateObject("view", name) not in stand_ins:
            yield (
                moment.index,
                f"After this, nothing answers to the name {name!r}: running code breaks at once.",
            )


def _lost_name(operation: Operation) -> str | None:
    """Return the name that stops to exist."""
    if isinstance(operation, RenameTable):
        return operation.table
    if isinstance(operation, AlterOther) and operation.what in _MOVES:
        return operation.table or operation.name
    return None
