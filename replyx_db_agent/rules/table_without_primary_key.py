"""A table is created without a primary key.

Its rows cannot be named one by one (batches, corrections, replicas), and once it is published for
logical replication, UPDATE and DELETE on it fail:
https://www.postgresql.org/docs/current/logical-replication-publication.html

Bad:

```sql
CREATE TABLE events (happened timestamptz NOT NULL, what text);
```

Good:

```sql
CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text);
```

```sql
CREATE TABLE events (id bigint NOT NULL, what text);
ALTER TABLE events ADD PRIMARY KEY (id);
```

```sql
CREATE TEMPORARY TABLE scratch (what text);
```
"""

from collections.abc import Iterator, Sequence

from replyx_db_agent.core.model import (
    AddConstraint,
    CreateTable,
    Facts,
    HazardKind,
    Risk,
    Statement,
)
from replyx_db_agent.rules._archive import is_archive

KIND = HazardKind.MALFORMED
RISK = Risk.LOW
INSTEAD = "ALTER TABLE {table} ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;"


def check_all(statements: Sequence[Statement], facts: Facts) -> Iterator[tuple[int, str]]:
    """Fire unless the key comes with the table or later in the run; archives need none."""
    keyed = {
        operation.table
        for statement in statements
        for operation in statement.operations
        if isinstance(operation, AddConstraint) and operation.kind == "primary key"
    }
    for index, statement in enumerate(statements):
        for operation in statement.operations:
            if isinstance(operation, CreateTable) and _is_bare(operation, keyed):
                yield index, f"Table {operation.table!r} has no primary key."


def _is_bare(made: CreateTable, keyed: set[str]) -> bool:
    """Say whether a table that stays has no key."""
    has_key = made.primary_key or made.table in keyed
    return not (has_key or made.temporary or is_archive(made.table))
